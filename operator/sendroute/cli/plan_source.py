"""Makes a plan from paths or from a saved plan, for ``plan`` and ``apply``."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sendroute.cli.connection_tests import tester_of
from sendroute.cli.lookup import accounts_named, read_tree
from sendroute.cli.session import Session
from sendroute.git.tree_history import tree_history
from sendroute.git.worktree import commit_of
from sendroute.manifests.sources import STDIN
from sendroute.manifests.tree import LoadedTree, locations_of
from sendroute.model.ancestry import Ancestry, AppliedCommit, compare
from sendroute.planner.guards import Guards
from sendroute.reconcile.reconciler import Planned, PlanRequest, Reconciler, Source
from sendroute.reconcile.saved_plan import (
    decode,
    encode,
    is_saved_plan,
    plan_again,
    saved_plan_of,
    unusable,
)
from sendroute.reconcile.verifier import SavedInputs
from sendroute.reports.render import Format, render
from sendroute.reports.report import of_plan
from sendroute.reports.write import write
from sendroute.runtime.factory import Factory
from sendroute.store.lock_guard import locks_of, mismatches
from sendroute.store.record import Store

_TOP = 4096


class GuardOptions(NamedTuple):
    """The limits of the guards as typed; None if not given."""

    change_percent: int | None = None
    remove_percent: int | None = None
    allow_older_tree: bool = False

    def guards(self, otherwise: Guards = Guards()) -> Guards:  # noqa: B008 - it is frozen
        """The guards with these limits; ``otherwise`` has those that are not given."""
        change, remove, allow_older_tree = self
        return Guards(
            otherwise.change_percent if change is None else change,
            otherwise.remove_percent if remove is None else remove,
            allow_older_tree=allow_older_tree or otherwise.allow_older_tree,
        )


class PlanOptions(NamedTuple):
    """What to plan, and how.

    ``only`` are names of accounts as typed. ``lock`` is the lock file that apply will write.
    ``saves``: the plan will be applied. ``test``: test connections now. ``recorded``: the commit of
    the manifests is needed; git must then examine the tree.
    """

    only: Sequence[str] | None = None
    guards: Guards = Guards()
    lock: str | None = None
    saves: bool = False
    test: bool = False
    recorded: bool = True


def reconciler_of(
    store: Store, session: Session, *, saves: bool, shown: SavedInputs | None = None
) -> Reconciler:
    """The reconciler of one command. ``saves``: its plan will be applied. ``shown``: what a saved
    plan was made with; None for a new plan."""
    tester = tester_of(session.terminal)
    return Factory(session.settings).reconciler(store, tester, saves=saves, shown=shown)


def plan_paths(
    store: Store, session: Session, paths: Sequence[str], options: PlanOptions
) -> Planned:
    """Read the manifests and plan them.

    Raises:
        ProblemError: an account is unknown, or the store, the secrets or a key is unusable.
    """
    tree = read_tree(paths, session, cached=True)
    only = None
    if options.only:
        only = accounts_named(options.only, tree.desired.mentioned.union(store.accounts()))
    request = PlanRequest(options.guards, only)
    source = _source(tree, paths, options)
    reconciler = reconciler_of(store, session, saves=options.saves)
    planned = reconciler.plan(source, request, test=options.test)
    tree.locate.expect(locations_of(planned.plan))
    return planned


def _source(tree: LoadedTree, paths: Sequence[str], options: PlanOptions) -> Source:
    commit = commit_of(paths) if options.recorded else None
    locks = locks_of(paths, options.lock)
    return Source(
        tree.desired,
        commit,
        tree.locate,
        partial(mismatches, locks, written=options.lock),
        partial(ancestry_of, paths, options.recorded),
    )


def ancestry_of(
    paths: Sequence[str], recorded: bool, applied: Sequence[AppliedCommit]
) -> Ancestry | None:
    """Compare the commit of manifests with the commits that were applied last.

    Args:
        paths: the manifests; the first that is in a repository counts.
        recorded: whether the tree may be applied, so that its commit is needed in any case.
        applied: the commits that were applied last.

    Returns:
        The comparison; None outside git.
    """
    if not (applied or recorded):
        return None
    history = tree_history(paths)
    return compare(history, applied) if history is not None else None


def plan_saved(
    store: Store, session: Session, path: str, limits: GuardOptions, lock: str | None
) -> Planned:
    """Plan the saved plan in a file again; see :func:`plan_again`. The guards have the limits of
    the saved plan, unless ``limits`` has others.

    Raises:
        ProblemError: the file is invalid, or as :func:`plan_again`.
    """
    try:
        saved = decode(Path(path).read_bytes(), path)
    except OSError as error:
        why = f"it cannot be read ({error.strerror})"
        raise unusable("unreadable", path, why) from error
    reconciler = reconciler_of(store, session, saves=True, shown=saved.shown())
    guards = limits.guards(saved.limits.guards())
    checks = partial(mismatches, locks_of((), lock), written=lock)
    return plan_again(reconciler, saved, path, guards, checks, store.history)


def save_plan(path: str, planned: Planned) -> None:
    """Write a plan into a file. It names secrets, but holds none.

    Raises:
        ProblemError: ``unwritable``.
    """
    report = of_plan(planned.plan, locate=planned.source.locate)
    saved = saved_plan_of(planned, "".join(render(report, Format.JSON)))
    write(path, [encode(saved)], subject="The saved plan", mode=0o600)


def is_saved_plan_file(path: str) -> bool:
    """Whether a file is a saved plan, valid or not, by its first bytes."""
    if path == STDIN:
        return False
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as stream:
            return is_saved_plan(stream.read(_TOP))
    except (OSError, ValueError):
        return False
