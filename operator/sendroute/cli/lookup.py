"""Reads the input of commands: a tree of manifests, and names of accounts and profiles."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sendroute.cli.command_line import stderr_line, suggestion
from sendroute.cli.session import Session
from sendroute.manifests import tree
from sendroute.manifests.sources import unreadable
from sendroute.manifests.tree import LoadedTree
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity, located, sort_findings
from sendroute.model.problem import InvalidSettingError, ProblemError
from sendroute.model.words import counted
from sendroute.reports.progress import prepared_progress

if TYPE_CHECKING:  # only `test` has profiles, and these records import much of the model
    from sendroute.model.records import StoredProfile
    from sendroute.store.record import Store


def read_tree(
    paths: Sequence[str],
    session: Session,
    *,
    cached: bool = False,
    parallel: bool = True,
    submodules: Sequence[str] = (),
) -> LoadedTree:
    """Read the manifests in ``paths``; see :func:`sendroute.manifests.tree.read_tree`. With
    ``--verbose``, report the number of skipped documents.

    Args:
        parallel: False for a long-running process, which has threads and connections.
    """
    quiet = session.terminal.quiet or not parallel
    with prepared_progress("Reading files", sys.stderr, quiet=quiet) as progress:
        loaded = tree.read_tree(
            paths, cached=cached, parallel=parallel, submodules=submodules, progress=progress
        )
    if session.terminal.verbose and loaded.foreign:
        line = f"Skipped {counted(loaded.foreign, 'document')} of other API groups."
        if session.settings.log_format == "json":
            import logging

            logging.getLogger(__name__).debug(line)
        else:
            stderr_line(line)
    return loaded


def store_of(paths: Sequence[str], session: Session) -> "Store":
    """Open the store to which manifests are applied.

    Args:
        paths: directories and files of manifests.
        session: settings and terminal.

    Returns:
        The store, as :meth:`~sendroute.runtime.factory.Factory.store_of` opens it.

    Raises:
        ProblemError: it cannot be opened. The errors of the manifests are part of it, so that they
            are all reported at once.
    """
    try:
        return session.factory.store_of(paths)
    except InvalidSettingError:
        raise
    except ProblemError as problem:
        loaded = read_tree(paths, session)
        errors = (item for item in loaded.desired.findings if item.severity is Severity.ERROR)
        of_tree = sort_findings(located(item, loaded.locate) for item in errors)
        raise ProblemError(*problem.findings, *of_tree) from problem


def store_beside(paths: Sequence[str], session: Session) -> "Store":
    """Open the store with which manifests, or a part of them, are compared.

    Args:
        paths: directories and files of manifests; empty for the working directory.
        session: settings and terminal.

    Returns:
        The store, as :meth:`~sendroute.runtime.factory.Factory.store_of` opens it.

    Raises:
        ProblemError: it cannot be opened, or a path does not exist; all of them at once.
    """
    absent = [path for path in paths if not os.path.lexists(path)]
    missing = [unreadable(path, "there is no such file") for path in absent]
    try:
        store = session.factory.store_of(paths or ["."])
    except InvalidSettingError:
        raise
    except ProblemError as problem:
        raise ProblemError(*problem.findings, *missing) from problem
    if missing:
        store.close()
        raise ProblemError(*missing)
    return store


def accounts_named(
    names: Sequence[str], known: Iterable[AccountKey], unknown: Callable[[str], str]
) -> frozenset[AccountKey]:
    """The accounts that ``NAMESPACE/NAME``, or ``NAME`` if it is unambiguous, refer to.

    Args:
        names: the names.
        known: all accounts that they may refer to.
        unknown: the sentence for a name that none of them has.

    Raises:
        ProblemError: ``unknown-account`` for each name that is unknown or ambiguous.
    """

    def unknown_account(name: str, nearest: str) -> Finding:
        hint = nearest or "Specify NAME or NAMESPACE/NAME."
        return finding("unknown-account", unknown(name), hint=hint)

    accounts = {key: (str(key), key.name) for key in sorted(set(known))}
    return frozenset(_named(names, accounts, unknown_account, _ambiguous_account))


def nowhere(name: str) -> str:
    """That an account is neither in the manifests nor in the store, as a sentence."""
    return f"There is no account `{name}`, neither in the manifests nor in the store."


def not_stored(name: str) -> str:
    """That an account is not in the store, as a sentence."""
    return f"The store has no account `{name}`."


def profiles_named(
    names: Sequence[str], profiles: Sequence["StoredProfile"], owner: str = "The store"
) -> list["StoredProfile"]:
    """The saved profiles that ``NAMESPACE/NAME``, or ``NAME`` if it is unambiguous, refer to, in
    the order of ``profiles``. Two accounts of one namespace may each have a profile of that name:
    both are returned. ``owner`` is whose the profiles are, for a message.

    Raises:
        ProblemError: ``unknown-profile`` for each name that is unknown or ambiguous.
    """

    def unknown(name: str, nearest: str) -> Finding:
        usage = "Specify NAME or NAMESPACE/NAME of an applied profile."
        message = f"{owner} has no profile `{name}`."
        return finding("unknown-profile", message, hint=nearest or usage)

    def ambiguous(name: str, full_names: Sequence[str]) -> Finding:
        message = f"Profiles of several namespaces are named `{name}`."
        hint = f"Specify one of {', '.join(full_names)}."
        return finding("unknown-profile", message, hint=hint)

    by_id = {p.id: (f"{p.account.namespace}/{p.name}", p.name) for p in profiles}
    chosen = _named(names, by_id, unknown, ambiguous)
    return [profile for profile in profiles if profile.id in chosen]


def profile_in_manifests(
    text: str, profiles: Iterable[tuple[AccountKey, str]]
) -> tuple[AccountKey, str]:
    """The profile that ``NAMESPACE/NAME``, or ``NAME`` if it is unambiguous, refers to.

    Args:
        text: the name.
        profiles: the account and the name of each profile.

    Raises:
        ProblemError: ``unknown-profile`` if there is none, or several.
    """
    names = {(key, name): (f"{key.namespace}/{name}", name) for key, name in profiles}
    matching = sorted(profile for profile, spellings in names.items() if text in spellings)
    if len(matching) == 1:
        return matching[0]
    if matching:
        message = f"Several accounts have a profile `{text}`."
        hint = f"Add {' or '.join(f'--account {key}' for key, _ in matching)}."
    else:
        message = f"The given manifests have no profile `{text}`."
        hint = _nearest(text, names) or "Specify NAME or NAMESPACE/NAME."
    raise ProblemError(finding("unknown-profile", message, hint=hint))


def held_back_account(
    name: str, held_back: Iterable[AccountKey], known: Iterable[AccountKey]
) -> AccountKey:
    """The held-back account that ``NAME`` or ``NAMESPACE/NAME`` refers to.

    Args:
        name: the name.
        held_back: the accounts with a change that is held back.
        known: these and all other accounts.

    Raises:
        ProblemError: ``not-held-back`` if the account has no such change, ``unknown-account`` if
            there is no account of that name, or several.
    """

    def unknown(name: str, _nearest: str) -> Finding:
        accounts_named([name], known, not_stored)
        message = f"Account {name} has no change that is held back."
        hint = "`sendroute status` lists what is held back."
        return finding("not-held-back", message, hint=hint)

    accounts = {key: (str(key), key.name) for key in sorted(held_back)}
    (key,) = _named([name], accounts, unknown, partial(_ambiguous_account, state=" is held back"))
    return key


_Key = TypeVar("_Key")


def _named(
    names: Sequence[str],
    known: Mapping[_Key, tuple[str, str]],
    unknown: Callable[[str, str], Finding],
    ambiguous: Callable[[str, Sequence[str]], Finding],
) -> set[_Key]:
    """The keys that the names refer to.

    Args:
        names: full or short names.
        known: the full and the short name of each key. Several keys may share a full name.
        unknown: the finding for a name that nothing has, and a suggestion or nothing.
        ambiguous: the finding for a name that several full names share.

    Raises:
        ProblemError: a finding for each name that is unknown or ambiguous.
    """
    chosen: set[_Key] = set()
    findings: list[Finding] = []
    for name in names:
        matching = [key for key, spellings in known.items() if name in spellings]
        full_names = sorted({known[key][0] for key in matching})
        if len(full_names) == 1:
            chosen.update(matching)
        elif matching:
            findings.append(ambiguous(name, full_names))
        else:
            findings.append(unknown(name, _nearest(name, known)))
    if findings:
        raise ProblemError(*findings)
    return chosen


def _nearest(name: str, known: Mapping[_Key, tuple[str, str]]) -> str:
    return suggestion(name, {text for names in known.values() for text in names}).strip()


def _ambiguous_account(name: str, full_names: Sequence[str], state: str = " exists") -> Finding:
    return finding(
        "unknown-account",
        f"More than one account named `{name}`{state}.",
        hint=f"Specify one of {', '.join(full_names)}.",
    )
