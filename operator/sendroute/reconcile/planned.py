"""From a tree and a store to a plan, and the plan carried out: one decision for everybody who
asks, whether to show it, to apply it once or to keep it so."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from sendroute.model.change import Plan
from sendroute.model.current import Current
from sendroute.model.desired import Desired
from sendroute.model.finding import Finding, Position, Where
from sendroute.model.outcome import Result
from sendroute.model.provenance import Provenance
from sendroute.planner.guards import Guards
from sendroute.reconcile.commit import apply_plan
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.record import Record, Sealed
from sendroute.reconcile.verifier import Scope, VerifiedPlan, Verifier

Knows = Callable[[Any], bool]
Locate = Callable[[Where], Position | None]
Prove = Callable[[Desired, Current], Verifier]
"""The prover of one run over these manifests and this store."""


class Source(NamedTuple):
    """What is wanted, where it was read and at which commit. ``mismatches`` says what its lock
    files have against a store: what it holds, and whether it has come by a revision."""

    desired: Desired
    commit: str | None
    locate: Locate
    mismatches: Callable[[Current, Knows], Iterable[Finding]] = lambda _current, _knows: ()


class Planned(NamedTuple):
    """A plan and what it was made from. ``mismatch`` says that the store is not the one that a
    lock file names."""

    record: Record
    source: Source
    current: Current
    sealed: Sealed
    verified: VerifiedPlan
    verifier: Verifier
    scope: Scope
    mismatch: tuple[Finding, ...] = ()

    @property
    def plan(self) -> Plan:
        return self.verified.plan

    def with_findings(self, findings: Sequence[Finding]) -> "Planned":
        """The same, with findings that are no account's."""
        plan = replace(self.plan, findings=(*self.plan.findings, *findings))
        return self._replace(verified=replace(self.verified, plan=plan))

    def tested_by(self, tester: Tester) -> "Planned":
        """The same decision, on the same store, less what fails its connection test now."""
        self.verifier.tested_by(tester)
        if not self.verified.untested:
            return self
        verified = self.verifier.decide(self.source.desired, self.current, self.sealed, self.scope)
        return self._replace(verified=verified).with_findings(self.mismatch)

    def replan(self) -> Plan:
        """The same manifests on a store that has moved on."""
        current, sealed = self.record.read_sealed()
        return self.verifier.decide(self.source.desired, current, sealed, self.scope).plan

    def carry_out(
        self,
        provenance: Provenance,
        *,
        ended: Callable[[], bool] = lambda: False,
        advance: Callable[[int], None] = lambda _accounts: None,
    ) -> Result:
        """See :func:`~sendroute.reconcile.commit.apply_plan`."""
        return apply_plan(
            self.record,
            self.plan,
            provenance,
            replan=self.replan,
            seal=self.verifier.seal,
            ended=ended,
            advance=advance,
        )


def plan_source(
    record: Record,
    source: Source,
    prove: Prove,
    scope: Callable[[Current], Scope] = lambda _current: Scope(Guards()),
) -> Planned:
    """Raises :class:`~sendroute.model.problem.ProblemError` where the store, the folder of
    secrets or a key cannot be used."""
    current, sealed = record.read_sealed()
    chosen = scope(current)
    verifier = prove(source.desired, current)
    verified = verifier.decide(source.desired, current, sealed, chosen)
    mismatch = tuple(source.mismatches(current, record.contains))
    planned = Planned(record, source, current, sealed, verified, verifier, chosen, mismatch)
    return planned.with_findings(mismatch)
