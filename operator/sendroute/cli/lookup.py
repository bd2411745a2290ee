"""Reads the input of commands: a tree of manifests, and names of accounts and profiles."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from sendroute.cli.command_line import stderr_line, suggestion
from sendroute.cli.session import Session
from sendroute.manifests import tree
from sendroute.manifests.tree import LoadedTree
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError

if TYPE_CHECKING:  # only `test` has profiles, and these records import much of the model
    from sendroute.model.records import StoredProfile


def read_tree(
    paths: Sequence[str], session: Session, *, cached: bool = False, parallel: bool = True
) -> LoadedTree:
    """Read the manifests in ``paths``; see :func:`sendroute.manifests.tree.read_tree`. With
    ``--verbose``, report the number of skipped documents.

    Args:
        parallel: False for a long-running process, which has threads and connections.
    """
    loaded = tree.read_tree(paths, cached=cached, parallel=parallel)
    if session.terminal.verbose and loaded.foreign:
        line = f"Skipped {loaded.foreign} documents of other API groups."
        if session.settings.log_format == "json":
            import logging

            logging.getLogger(__name__).debug(line)
        else:
            stderr_line(line)
    return loaded


def accounts_named(names: Sequence[str], known: Iterable[AccountKey]) -> frozenset[AccountKey]:
    """The accounts that ``NAMESPACE/NAME``, or ``NAME`` if it is unambiguous, refer to.

    Raises:
        ProblemError: ``unknown-account`` for each name that is unknown or ambiguous.
    """
    accounts = {key: (str(key), key.name) for key in sorted(set(known))}
    chosen: set[AccountKey] = set()
    findings: list[Finding] = []
    for name in names:
        matching = _matching(name, accounts)
        if len(matching) == 1:
            chosen.update(matching)
        elif matching:
            findings.append(_ambiguous_account(name, matching))
        else:
            hint = _nearest(name, accounts) or "Specify NAME or NAMESPACE/NAME."
            message = f"There is no account `{name}`, neither in the manifests nor in the store."
            findings.append(finding("unknown-account", message, hint=hint))
    if findings:
        raise ProblemError(*findings)
    return frozenset(chosen)


def profiles_named(
    names: Sequence[str], profiles: Sequence["StoredProfile"]
) -> list["StoredProfile"]:
    """The saved profiles that ``NAMESPACE/NAME``, or ``NAME`` if it is unambiguous, refer to, in
    the order of ``profiles``. Two accounts of one namespace may each have a profile of that name:
    both are returned.

    Raises:
        ProblemError: ``unknown-profile`` for each name that is unknown or ambiguous.
    """
    by_id = {p.id: (f"{p.account.namespace}/{p.name}", p.name) for p in profiles}
    chosen: set[int] = set()
    findings: list[Finding] = []
    for name in names:
        matching = _matching(name, by_id)
        full_names = sorted({by_id[profile_id][0] for profile_id in matching})
        if len(full_names) == 1:
            chosen.update(matching)
        elif matching:
            message = f"Profiles of several namespaces are named `{name}`."
            hint = f"Specify one of {', '.join(full_names)}."
            findings.append(finding("unknown-profile", message, hint=hint))
        else:
            usage = "Specify NAME or NAMESPACE/NAME; only applied profiles can be tested."
            message = f"The store has no profile `{name}`."
            hint = _nearest(name, by_id) or usage
            findings.append(finding("unknown-profile", message, hint=hint))
    if findings:
        raise ProblemError(*findings)
    return [profile for profile in profiles if profile.id in chosen]


def held_back_account(name: str, held_back: Iterable[AccountKey]) -> AccountKey:
    """The held-back account that ``NAME`` or ``NAMESPACE/NAME`` refers to.

    Raises:
        ProblemError: ``not-held-back`` if there is none, ``unknown-account`` if there are several.
    """
    accounts = {key: (str(key), key.name) for key in sorted(held_back)}
    matching = _matching(name, accounts)
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ProblemError(_ambiguous_account(name, matching, " is held back"))
    raise ProblemError(
        finding(
            "not-held-back",
            f"Account {name} has no change that is held back.",
            hint=_nearest(name, accounts) or "`sendroute status` lists what is held back.",
        )
    )


_Key = TypeVar("_Key")


def _matching(name: str, known: Mapping[_Key, tuple[str, str]]) -> list[_Key]:
    """The keys whose full or short name is ``name``."""
    return [key for key, names in known.items() if name in names]


def _nearest(name: str, known: Mapping[_Key, tuple[str, str]]) -> str:
    return suggestion(name, {text for names in known.values() for text in names}).strip()


def _ambiguous_account(name: str, matching: Sequence[AccountKey], state: str = "") -> Finding:
    return finding(
        "unknown-account",
        f"More than one account named `{name}`{state or ' exists'}.",
        hint=f"Specify one of {', '.join(map(str, matching))}.",
    )
