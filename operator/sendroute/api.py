"""The Python API that ``import sendroute`` offers; docs/library.md shows it in use.

It reads, checks and plans. Applying is the command line's and the loop's: they also confirm, test
connections and save credentials.

Problems of manifests are findings. What the caller got wrong is a TypeError or a ValueError; what
ends the work otherwise is a ProblemError with its findings.
"""

import os
from collections.abc import Collection, Iterable

from msgspec.structs import replace

from sendroute.manifests.locate import with_positions
from sendroute.manifests.tree import LoadedTree, read_base, read_tree
from sendroute.model.change import Plan
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.spelling import did_you_mean
from sendroute.planner.guards import Guards
from sendroute.planner.offline import check_tree
from sendroute.reconcile.reconciler import PlanRequest, Reconciler
from sendroute.runtime.desired_tree import tree_of_paths
from sendroute.runtime.factory import verifier_without_secrets
from sendroute.store import record
from sendroute.store.record import Store
from sendroute.store.url import BUSY_TIMEOUT

__all__ = ["load", "open_store", "plan", "validate"]

PathArgument = str | os.PathLike[str]
_LONGEST_WAIT = 604_800  # a week


def load(*paths: PathArgument) -> LoadedTree:
    """Read manifests.

    Args:
        paths: directories and files, as ``sendroute validate`` takes them.

    Returns:
        The tree. ``tree.desired`` holds one value for each account, ``tree.desired.findings`` what
        is wrong with the documents, and ``tree.locate(where)`` the line and column of a ``Where``.
        Invalid manifests raise nothing: they are findings. So is a tree without manifests, and no
        path at all (``no-manifests``).

    Raises:
        TypeError: a path is neither a string nor a path object.
    """
    return read_tree(_names(paths))


def validate(*paths: PathArgument, base: str | None = None) -> tuple[Finding, ...]:
    """Find every problem that needs no store, as ``sendroute validate`` does.

    Args:
        paths: directories and files.
        base: a git revision; what it declares counts as known (rules: references).

    Returns:
        The findings, each with its position, sorted by file, line and column.

    Raises:
        ProblemError: the revision does not exist, or the paths are not in a git repository.
        TypeError: a path or the revision has the wrong type.
    """
    names = _names(paths)
    if base is not None:
        _expect("base", base, str, "a git revision")
    tree = read_tree(names)
    findings = check_tree(tree.desired, read_base(base, names) if base is not None else None)
    return tuple(with_positions(tree.files, findings))


def open_store(url: str, *, busy_timeout: float = BUSY_TIMEOUT) -> Store:
    """Open the store that ``sendroute init`` created, and upgrade its schema if it is older than
    this program.

    Args:
        url: ``sqlite:///./FILE`` or ``postgresql://USER@HOST/DATABASE``.
        busy_timeout: how many seconds to wait for another writer, at most a week.

    Returns:
        The store. Close it, or use it in a ``with`` statement; a closed store raises ValueError.

    Raises:
        ProblemError: the URL is invalid, or there is no store that can be used.
        TypeError: an argument has the wrong type.
        ValueError: the time is not in range.
    """
    _expect("url", url, str, "a string such as 'sqlite:///./sendroute.db'")
    _expect("busy_timeout", busy_timeout, (int, float), "a number of seconds")
    if not 0 <= busy_timeout <= _LONGEST_WAIT:
        raise ValueError(
            f"busy_timeout must be from 0 to {_LONGEST_WAIT} seconds, not {busy_timeout!r}."
        )
    return record.open_store(url, busy_timeout=busy_timeout)


def plan(
    tree: LoadedTree,
    store: Store,
    *,
    guards: Guards | None = None,
    only: Collection[tuple[str, str]] | None = None,
) -> Plan:
    """Decide what applying the tree to the store would change, and why, as ``sendroute plan`` does
    without secrets. Nothing is written.

    Secrets are not read and connections not tested, so the plan assumes that each new or changed
    profile will pass its connection test; ``secret-not-compared`` says so. The commit of the tree
    and its lock files are those at the time of the call.

    Args:
        tree: what :func:`load` returned.
        store: an open store; only read.
        guards: the limits of one change; the default is 30 % (rules: guards).
        only: the accounts to plan, as (namespace, name); all of them if None.

    Returns:
        The plan. Its findings have positions.

    Raises:
        ProblemError: the store could not be read, or ``only`` or ``guards.remove_accounts`` has an
            account that neither the manifests nor the store have (``unknown-account``).
        TypeError: an argument has the wrong type.
        ValueError: the store is closed.
    """
    _expect("tree", tree, LoadedTree, "what load() returned")
    _expect("store", store, Store, "what open_store() returned")
    _expect("guards", guards, (Guards, type(None)), "Guards or None")
    guards = guards or Guards()
    keys = None if only is None else _keys(only)
    named = guards.remove_accounts.union(keys or ())
    removed = store.removed_accounts(guards.remove_accounts - tree.desired.mentioned)
    _require_known(named - removed, tree.desired, store)
    reconciler = Reconciler(store, verifier_without_secrets)
    planned = reconciler.plan(tree_of_paths(tree), PlanRequest(guards, keys)).plan
    accounts = tuple(
        replace(account, findings=tuple(with_positions(tree.files, account.findings)))
        if account.findings
        else account
        for account in planned.accounts
    )
    findings = tuple(with_positions(tree.files, planned.findings))
    return replace(planned, accounts=accounts, findings=findings)


def _names(paths: Iterable[PathArgument]) -> list[str]:
    names = [os.fspath(path) if isinstance(path, os.PathLike) else path for path in paths]
    for name in names:
        _expect("a path", name, str, "a string or a path object")
    return names


def _expect(name: str, value: object, kind: type | tuple[type, ...], description: str) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        # Not the value: a store's URL may hold a password, and a tree may be large.
        raise TypeError(f"{name} must be {description}, not {type(value).__name__}.")


def _keys(only: Collection[tuple[str, str]]) -> frozenset[AccountKey]:
    _expect("only", only, Iterable, "a collection of accounts")
    keys = set()
    for key in [only] if isinstance(only, str) else only:
        if not isinstance(key, tuple | list) or [type(name) for name in key] != [str, str]:
            raise TypeError(f"only must have accounts as (namespace, name), not {key!r}.")
        keys.add(AccountKey(*key))
    return frozenset(keys)


def _require_known(keys: frozenset[AccountKey], desired: Desired, store: Store) -> None:
    undeclared = keys - desired.mentioned
    if not undeclared:
        return
    known = desired.mentioned.union(store.accounts())
    if unknown := undeclared - known:
        raise ProblemError(*(_unknown_account(key, known) for key in sorted(unknown)))


def _unknown_account(key: AccountKey, known: Iterable[AccountKey]) -> Finding:
    return finding(
        "unknown-account",
        f"Neither the manifests nor the store have an account {key}.",
        hint=did_you_mean(str(key), map(str, known)) or "Specify it as (namespace, name).",
        account=key,
    )
