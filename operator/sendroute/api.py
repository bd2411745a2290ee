"""The Python API that ``import sendroute`` offers; docs/library.md shows it in use.

It reads, checks and plans. Applying is the command line's and the loop's: they also confirm, test
connections and save credentials.
"""

import os
from collections.abc import Collection

from msgspec.structs import replace

from sendroute.manifests.locate import locate
from sendroute.manifests.tree import LoadedTree, read_base, read_tree
from sendroute.model.change import Plan
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.planner.guards import Guards
from sendroute.planner.offline import check_tree
from sendroute.planner.plan import plan_tree
from sendroute.store.record import Store, open_store

__all__ = ["load", "open_store", "plan", "validate"]

Path = str | os.PathLike[str]


def load(*paths: Path) -> LoadedTree:
    """Read manifests.

    Args:
        paths: directories and files, as ``sendroute validate`` takes them.

    Returns:
        The tree. ``tree.desired`` holds one value for each account, ``tree.desired.findings`` what
        is wrong with the documents, and ``tree.places(where)`` the line and column of a ``Where``.
        Invalid manifests raise nothing: they are findings.
    """
    return read_tree([os.fspath(path) for path in paths])


def validate(*paths: Path, base: str | None = None) -> tuple[Finding, ...]:
    """Find every problem that needs no store, as ``sendroute validate`` does.

    Args:
        paths: directories and files.
        base: a git revision; what it declares counts as known (rules: references).

    Returns:
        The findings, each with its position, sorted by file, line and column.

    Raises:
        ProblemError: the revision does not exist, or the paths are not in a git repository.
    """
    names = [os.fspath(path) for path in paths]
    tree = read_tree(names)
    findings = check_tree(tree.desired, read_base(base, names) if base is not None else None)
    return tuple(locate(tree.files, findings))


def plan(
    tree: LoadedTree,
    store: Store,
    *,
    guards: Guards | None = None,
    only: Collection[tuple[str, str]] | None = None,
) -> Plan:
    """Decide what applying the tree to the store would change, and why. Nothing is written.

    Secrets are not read and connections not tested, so the plan assumes that each new or changed
    profile will pass its connection test.

    Args:
        tree: what :func:`load` returned.
        store: an open store; only read.
        guards: the limits of one change; the default is 30 % (rules: guards).
        only: the accounts to plan, as (namespace, name); all of them if None.

    Returns:
        The plan. Its findings have positions.

    Raises:
        ProblemError: the store could not be read.
    """
    chosen = frozenset(AccountKey(*key) for key in only) if only is not None else None
    planned = plan_tree(tree.desired, store.read(), guards=guards, only=chosen)
    accounts = tuple(
        replace(account, findings=tuple(locate(tree.files, account.findings)))
        if account.findings
        else account
        for account in planned.accounts
    )
    findings = tuple(locate(tree.files, planned.findings))
    return replace(planned, accounts=accounts, findings=findings)
