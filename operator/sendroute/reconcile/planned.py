"""From a tree and a store to a plan, and the plan carried out: one decision for everybody who
asks, whether to show it, to apply it once or to keep it so."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from sendroute.model.change import Plan
from sendroute.model.finding import Finding, Position, Where
from sendroute.model.held import Held
from sendroute.model.outcome import Result
from sendroute.model.stamp import Stamp
from sendroute.model.wanted import Wanted
from sendroute.planner.guards import Guards
from sendroute.reconcile.commit import apply_plan
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.proving import Proven, Prover, Scope
from sendroute.reconcile.record import Record, Sealed

Knows = Callable[[Any], bool]
Locate = Callable[[Where], Position | None]
Prove = Callable[[Wanted, Held], Prover]
"""The prover of one run over these manifests and this store."""


class Source(NamedTuple):
    """What is wanted, where it was read and at which commit. ``mismatches`` says what its lock
    files have against a store: what it holds, and whether it has come by a revision."""

    wanted: Wanted
    commit: str | None
    locate: Locate
    mismatches: Callable[[Held, Knows], Iterable[Finding]] = lambda _held, _knows: ()


class Planned(NamedTuple):
    """A plan and what it was made from. ``mismatch`` says that the store is not the one that a
    lock file names."""

    record: Record
    source: Source
    held: Held
    sealed: Sealed
    proven: Proven
    prover: Prover
    scope: Scope
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
        proven = self.prover.decide(self.source.wanted, self.held, self.sealed, self.scope)
        return self._replace(proven=proven).with_findings(self.mismatch)

    def replan(self) -> Plan:
        """The same manifests on a store that has moved on."""
        held, sealed = self.record.read_sealed()
        return self.prover.decide(self.source.wanted, held, sealed, self.scope).plan

    def carry_out(
        self,
        stamp: Stamp,
        *,
        ended: Callable[[], bool] = lambda: False,
        advance: Callable[[int], None] = lambda _accounts: None,
    ) -> Result:
        """See :func:`~sendroute.reconcile.commit.apply_plan`."""
        return apply_plan(
            self.record,
            self.plan,
            stamp,
            replan=self.replan,
            seal=self.prover.seal,
            ended=ended,
            advance=advance,
        )


def plan_source(
    record: Record,
    source: Source,
    prove: Prove,
    scope: Callable[[Held], Scope] = lambda _held: Scope(Guards()),
) -> Planned:
    """Raises :class:`~sendroute.model.problem.ProblemError` where the store, the folder of
    secrets or a key cannot be used."""
    held, sealed = record.read_sealed()
    chosen = scope(held)
    prover = prove(source.wanted, held)
    proven = prover.decide(source.wanted, held, sealed, chosen)
    mismatch = tuple(source.mismatches(held, record.knows))
    planned = Planned(record, source, held, sealed, proven, prover, chosen, mismatch)
    return planned.with_findings(mismatch)
