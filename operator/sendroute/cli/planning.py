"""From paths and a store to a plan: what ``plan`` shows and ``apply`` carries out."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from sendroute.cli.git import commit_of
from sendroute.cli.only import accounts_named
from sendroute.cli.session import Session
from sendroute.cli.store_lock import locks_of, mismatches
from sendroute.cli.tree import places_of, read_tree
from sendroute.model.change import Plan
from sendroute.model.finding import Finding
from sendroute.model.held import Held
from sendroute.model.wanted import AccountKey, Wanted
from sendroute.planner.guards import Guards
from sendroute.planner.plan import plan_tree
from sendroute.reconcile.untested import tell_untested
from sendroute.reports.report import Locate
from sendroute.store.record import Store


class Planned(NamedTuple):
    """A plan and what it was made from. ``only`` is None where every account was planned;
    ``mismatch`` says that the store is not the one that a lock file names."""

    store: Store
    wanted: Wanted
    held: Held
    plan: Plan
    guards: Guards
    only: frozenset[AccountKey] | None
    commit: str | None
    locate: Locate
    mismatch: tuple[Finding, ...] = ()

    def with_findings(self, findings: Sequence[Finding]) -> "Planned":
        """The same, with findings that are no account's."""
        told = (*self.plan.findings, *findings)
        return self._replace(plan=replace(self.plan, findings=told))

    def replan(self, held: Held) -> Plan:
        """The same manifests on a store that has moved on."""
        return decide(self.wanted, held, self.guards, self.only)


def decide(wanted: Wanted, held: Held, guards: Guards, only: frozenset[AccountKey] | None) -> Plan:
    return tell_untested(plan_tree(wanted, held, guards=guards, only=only))


def plan_paths(
    store: Store,
    session: Session,
    paths: Sequence[str],
    only: Sequence[str] | None,
    guards: Guards | None = None,
    lock: str | None = None,
) -> Planned:
    """``only`` are names as typed; ``lock`` is the lock file that apply is to write."""
    guards = guards or Guards()
    tree = read_tree(paths, session, cached=True)
    held = store.read()
    chosen = accounts_named(only, _known(tree.wanted, held)) if only else None
    plan = decide(tree.wanted, held, guards, chosen)
    tree.places.expect(places_of(plan))
    mismatch = tuple(mismatches(held, locks_of(paths, lock)))
    planned = Planned(
        store,
        tree.wanted,
        held,
        plan,
        guards,
        chosen,
        commit_of(paths),
        tree.places,
        mismatch,
    )
    return planned.with_findings(planned.mismatch)


def _known(wanted: Wanted, held: Held) -> Iterator[AccountKey]:
    yield from wanted.accounts
    yield from wanted.strays
    yield from wanted.stopped
    yield from (key for key, account in held.accounts.items() if account.state is not None)
