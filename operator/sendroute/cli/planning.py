"""From paths, or a saved plan, to a plan: what ``plan`` shows and ``apply`` commits."""

from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

from sendroute.cli.account_names import accounts_named
from sendroute.cli.applied_plan import applied_revisions
from sendroute.cli.connection_tests import tester_of
from sendroute.cli.saved_plan import decided_by, differing, load
from sendroute.cli.session import Session
from sendroute.cli.store_lock import locks_of, mismatches
from sendroute.cli.tree import read_tree
from sendroute.git.worktree import commit_of
from sendroute.manifests.tree import LoadedTree, places_of
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, nowhere, whole_file
from sendroute.model.problem import ProblemError
from sendroute.planner.guards import Guards
from sendroute.planner.plan import plan_accounts
from sendroute.reconcile.reconciler import Planned, PlanRequest, Reconciler, Source
from sendroute.reconcile.verifier import Shown
from sendroute.runtime.factory import Factory
from sendroute.store.record import Store

_LISTED = 5


class GivenLimits(NamedTuple):
    """The limits of the guards as typed; None if not given."""

    change_percent: int | None = None
    remove_percent: int | None = None

    def guards(self, otherwise: Guards = Guards()) -> Guards:  # noqa: B008 - it is frozen
        """The guards with these limits; ``otherwise`` has those that are not given."""
        change, remove = self
        return Guards(
            otherwise.change_percent if change is None else change,
            otherwise.remove_percent if remove is None else remove,
        )


class PlanOptions(NamedTuple):
    """What to plan, and for what.

    ``only`` are names of accounts as typed; ``lock`` is the lock file that apply will write.
    ``saves``: it is planned in order to be applied. ``test``: test connections now. ``recorded``:
    the commit of the manifests is needed, for which git walks over the tree.
    """

    only: Sequence[str] | None = None
    guards: Guards = Guards()
    lock: str | None = None
    saves: bool = False
    test: bool = False
    recorded: bool = True


def reconciler_of(
    store: Store, session: Session, *, saves: bool, shown: Shown | None = None
) -> Reconciler:
    """The reconciler of one command; ``shown`` is what a saved plan was made with."""
    verifier_for = partial(Factory(session.settings).verifier, saves=saves, shown=shown)
    return Reconciler(store, verifier_for, tester_of(session.terminal))


def plan_paths(
    store: Store, session: Session, paths: Sequence[str], options: PlanOptions
) -> Planned:
    """Read the manifests and plan them.

    Raises:
        ProblemError: an account is unknown, or the store, the secrets or a key is unusable.
    """
    tree = read_tree(paths, session, cached=True)
    known = chain(tree.desired.accounts, tree.desired.orphans, tree.desired.stopped)
    only = accounts_named(options.only, chain(known, store.accounts())) if options.only else None
    request = PlanRequest(options.guards, only)
    source = _source(tree, paths, options)
    reconciler = reconciler_of(store, session, saves=options.saves)
    planned = reconciler.plan(source, request, test=options.test)
    tree.locate.expect(places_of(planned.plan))
    return planned


def _source(tree: LoadedTree, paths: Sequence[str], options: PlanOptions) -> Source:
    commit = commit_of(paths) if options.recorded else None
    locks = locks_of(paths, options.lock)
    return Source(tree.desired, commit, tree.locate, partial(mismatches, locks))


def plan_saved(
    store: Store, session: Session, path: str, limits: GivenLimits, lock: str | None
) -> Planned:
    """Plan a saved plan again, with what it was made with: the secrets that were rotated then, the
    profiles that had failed then.

    That decision must be identical. What is committed differs from it only by what cannot be saved
    now: a secret that no longer exists, a test that fails. A secret that was rotated since is left
    to the next plan. The guards have the limits of the saved plan, unless ``limits`` has others.

    Raises:
        ProblemError: ``stale-plan`` if the decision for any account would differ, if the plan was
            applied already, or if it was made for another store; otherwise what is wrong with the
            file.
    """
    saved = load(path)
    if saved.lineage != store.read(()).lineage:
        raise ProblemError(_other_store(path))
    shown, locks, guards = saved.shown(), locks_of((), lock), limits.guards(saved.limits.guards())
    source = Source(saved.desired(), saved.commit, nowhere, partial(mismatches, locks))
    request = PlanRequest(guards, frozenset(saved.only))
    planned = reconciler_of(store, session, saves=True, shown=shown).plan(source, request)
    same = plan_accounts(
        source.desired,
        planned.current,
        planned.scope.only,
        planned.scope.others,
        failed=shown.failed,
        rotated=planned.verified.secrets.rotated,
        guards=guards,
    )
    changed = differing(saved.decided, decided_by(same))
    if changed:
        revisions = applied_revisions(saved, store)
        raise ProblemError(_applied(path, revisions) if revisions else _stale(path, changed))
    return planned


def _stale(path: str, changed: list[str]) -> Finding:
    listed = ", ".join(changed[:_LISTED])
    more = f" and {len(changed) - _LISTED} more" if len(changed) > _LISTED else ""
    return finding(
        "stale-plan",
        f"The saved plan no longer fits the store: the decision would differ for {listed}{more}.",
        hint=f"Make the plan again, and review it: sendroute plan PATH --out {path}",
        where=whole_file(path),
    )


def _applied(path: str, revisions: list[int]) -> Finding:
    """Its decision differs because it is in effect."""
    first, last = revisions[0], revisions[-1]
    at = f"revision {first}" if first == last else f"revisions {first} to {last}"
    return finding(
        "stale-plan",
        f"The saved plan was applied already, at {at}.",
        hint=f"For further changes make a new plan: sendroute plan PATH --out {path}",
        where=whole_file(path),
    )


def _other_store(path: str) -> Finding:
    return finding(
        "stale-plan",
        "The saved plan was made for another store.",
        hint="Specify the store that it was made for with --store, or make the plan again.",
        where=whole_file(path),
    )
