"""From paths and a store to a plan: what ``plan`` shows and ``apply`` carries out."""

from collections.abc import Iterator, Sequence
from functools import partial

from sendroute.cli.only import accounts_named
from sendroute.cli.proof import verifier_of
from sendroute.cli.session import Session
from sendroute.cli.store_lock import locks_of, mismatches
from sendroute.cli.tree import read_tree
from sendroute.git.worktree import commit_of
from sendroute.manifests.tree import places_of
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.planner.guards import Guards
from sendroute.reconcile.planned import Planned, Source, plan_source
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.verifier import Scope, Verifier
from sendroute.store.record import Store


def plan_paths(
    store: Store,
    session: Session,
    paths: Sequence[str],
    only: Sequence[str] | None,
    guards: Guards | None = None,
    lock: str | None = None,
    *,
    tester: Tester | None = None,
    saves: bool = False,
    recorded: bool = True,
) -> Planned:
    """``only`` are names as typed; ``lock`` is the lock file that apply is to write. ``saves``:
    it is planned in order to be applied; ``tester``: what it would save is tested now. Git is
    asked for the commit, which takes it a walk over the tree, only for a plan that is
    ``recorded``."""
    tree = read_tree(paths, session, cached=True)

    def scope(current: Current) -> Scope:
        chosen = accounts_named(only, _known(tree.desired, current)) if only else None
        return Scope(guards or Guards(), chosen)

    def prove(desired: Desired, current: Current) -> Verifier:
        return verifier_of(session, desired, current, tester=tester, saves=saves)

    commit = commit_of(paths) if recorded else None
    locks = locks_of(paths, lock)
    source = Source(tree.desired, commit, tree.places, partial(mismatches, locks))
    planned = plan_source(store, source, prove, scope)
    tree.places.expect(places_of(planned.plan))
    return planned


def _known(desired: Desired, current: Current) -> Iterator[AccountKey]:
    yield from desired.accounts
    yield from desired.orphans
    yield from desired.stopped
    yield from (key for key, account in current.accounts.items() if account.state is not None)
