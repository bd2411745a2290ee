"""From paths and a store to a plan: what ``plan`` shows and ``apply`` carries out."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from sendroute.cli.git import commit_of
from sendroute.cli.only import accounts_named
from sendroute.cli.proof import prover_of
from sendroute.cli.session import Session
from sendroute.cli.store_lock import locks_of, mismatches
from sendroute.cli.tree import places_of, read_tree
from sendroute.model.change import Plan
from sendroute.model.finding import Finding
from sendroute.model.held import Held
from sendroute.model.wanted import AccountKey, Wanted
from sendroute.planner.guards import Guards
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.proving import Proven, Prover, Scope
from sendroute.reconcile.record import Sealed
from sendroute.reports.report import Locate
from sendroute.store.record import Store


class Planned(NamedTuple):
    """A plan and what it was made from. ``mismatch`` says that the store is not the one that a
    lock file names."""

    store: Store
    wanted: Wanted
    held: Held
    sealed: Sealed
    proven: Proven
    prover: Prover
    scope: Scope
    commit: str | None
    locate: Locate
    mismatch: tuple[Finding, ...] = ()

    @property
    def plan(self) -> Plan:
        return self.proven.plan

    def with_findings(self, findings: Sequence[Finding]) -> "Planned":
        """The same, with findings that are no account's."""
        plan = replace(self.plan, findings=(*self.plan.findings, *findings))
        return self._replace(proven=replace(self.proven, plan=plan))

    def tested_by(self, tester: Tester) -> "Planned":
        """The same decision, on the same store, less what fails its connection test now."""
        self.prover.tested_by(tester)
        if not self.proven.untested:
            return self
        proven = self.prover.decide(self.wanted, self.held, self.sealed, self.scope)
        return self._replace(proven=proven).with_findings(self.mismatch)

    def replan(self) -> Plan:
        """The same manifests on a store that has moved on."""
        held, sealed = self.store.read_sealed()
        return self.prover.decide(self.wanted, held, sealed, self.scope).plan


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
    held, sealed = store.read_sealed()
    chosen = accounts_named(only, _known(tree.wanted, held)) if only else None
    scope = Scope(guards or Guards(), chosen)
    prover = prover_of(session, tree.wanted, held, tester=tester, saves=saves)
    proven = prover.decide(tree.wanted, held, sealed, scope)
    tree.places.expect(places_of(proven.plan))
    mismatch = tuple(mismatches(held, locks_of(paths, lock), store.knows))
    commit = commit_of(paths) if recorded else None
    planned = Planned(
        store, tree.wanted, held, sealed, proven, prover, scope, commit, tree.places, mismatch
    )
    return planned.with_findings(planned.mismatch)


def _known(wanted: Wanted, held: Held) -> Iterator[AccountKey]:
    yield from wanted.accounts
    yield from wanted.strays
    yield from wanted.stopped
    yield from (key for key, account in held.accounts.items() if account.state is not None)
