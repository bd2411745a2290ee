"""The one sequence of every front end: plan, verify, commit, record what is left.

A front end brings the source, the store and its adapters, calls :meth:`Reconciler.plan`,
:meth:`Reconciler.confirmed` and :meth:`Reconciler.commit` in this order, and gets values back.
Preview and execution are one decision: what is committed is what was planned, less what fails its
connection test in between.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.change import AccountPlan, Plan, PlatformChange
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Locate
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Provenance
from sendroute.model.secret import SecretRef
from sendroute.planner.claims import ClaimIndex
from sendroute.planner.guards import Guards
from sendroute.planner.selection import select
from sendroute.reconcile.assessment import AccountStatuses, Assessment, assess
from sendroute.reconcile.commit import commit_plan, has_work, left_alone
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.record import Record, Sealed
from sendroute.reconcile.secret_check import references_in
from sendroute.reconcile.verifier import Scope, VerifiedPlan, Verifier

Contains = Callable[[Any], bool]
Mismatches = Callable[[Current, Contains], Iterable[Finding]]
"""Compares lock files with a store: what the store holds, and whether a commit is in its history.
Of the store only the lineage, the revision and the platform are complete."""
VerifierFor = Callable[[Desired, Iterable[SecretRef]], Verifier]
"""Builds the verifier of one run from the manifests and every secret that the store refers to."""
Confirm = Callable[["Planned"], Finding | None]
"""Asks whether a plan may be applied: None if it may, else the finding that says why not."""


def no_mismatches(_current: Current, _contains: Contains) -> Iterable[Finding]:
    """For a source without lock files."""
    return ()


class Source:
    """What is desired, at which commit, where its lines are, and the check of its lock files."""

    def __init__(
        self,
        desired: Desired,
        commit: str | None,
        locate: Locate,
        mismatches: Mismatches = no_mismatches,
    ) -> None:
        self.desired = desired
        self.commit = commit
        self.locate = locate
        self.mismatches = mismatches

    @cached_property
    def claims(self) -> ClaimIndex:
        """Which account declares a domain: built once, when some accounts are planned."""
        return ClaimIndex(self.desired.accounts.values())


class PlanRequest(Struct, frozen=True):
    """What to plan. ``keys`` is None for every account; ``linked`` adds the accounts that exchange
    domains with these, which would have to wait otherwise."""

    guards: Guards = Guards()
    keys: frozenset[AccountKey] | None = None
    linked: bool = False


class Planned(Struct, frozen=True):
    """A verified plan and everything it was made from, so that it can be made again.

    ``mismatch``: why the store is not the one that belongs to the manifests; empty if it is.
    """

    source: Source
    scope: Scope
    verifier: Verifier
    current: Current
    sealed: Sealed
    verified: VerifiedPlan
    mismatch: tuple[Finding, ...] = ()

    @property
    def plan(self) -> Plan:
        """The plan to show: with the mismatch among its findings."""
        plan = self.verified.plan
        return replace(plan, findings=(*plan.findings, *self.mismatch)) if self.mismatch else plan

    def seal(self, accounts: Sequence[AccountPlan], platform: PlatformChange | None) -> Sealed:
        """Encrypt the credentials that belong to changes of this plan."""
        return self.verifier.seal(self.verified.secrets, accounts, platform)


class Applied(Struct, frozen=True):
    """``planned`` is the plan as it was committed, ``result`` the outcome of each account.

    ``assessment`` says what is left open of each account; None if nothing was attempted.
    ``unrecorded``: why it could not be written to the store; empty if it was.
    """

    planned: Planned
    result: Result
    assessment: Assessment | None = None
    unrecorded: tuple[Finding, ...] = ()


class Reconciler(Struct, frozen=True):
    """``tester`` runs connection tests. ``interruptible`` is entered for work that writes nothing:
    reading, deciding, testing."""

    store: Record
    verifier_for: VerifierFor
    tester: Tester | None = None
    interruptible: Callable[[], AbstractContextManager[None]] = nullcontext

    def plan(self, source: Source, request: PlanRequest, *, test: bool = False) -> Planned:
        """Read the store and decide what applying the source would change.

        Planning some accounts costs what these accounts cost, whatever else the store holds.

        Args:
            source: the manifests.
            request: the guards and the accounts.
            test: also test the connections of what would be saved.

        Raises:
            ProblemError: the store, the secrets or a key cannot be used.
        """
        with self.interruptible():
            scope, current, sealed = self._read(source, request)
            stored = self._stored_secrets(current, request)
            verifier = self.verifier_for(source.desired, stored)
            tester = self.tester if test else None
            verified = verifier.verify(source.desired, current, sealed, scope, tester=tester)
            mismatch = tuple(source.mismatches(current, self.store.contains))
        return Planned(source, scope, verifier, current, sealed, verified, mismatch)

    def _read(self, source: Source, request: PlanRequest) -> tuple[Scope, Current, Sealed]:
        """What the request concerns, at one revision."""
        if request.keys is None:
            return Scope(request.guards), *self.store.read_sealed()
        with self.store.snapshot() as snapshot:
            selection = select(
                request.keys,
                source.desired.accounts,
                source.claims,
                snapshot,
                linked=request.linked,
            )
            store = snapshot.read_accounts(())
            sealed = snapshot.sealed(selection.keys)
        scope = Scope(request.guards, selection.keys, selection.others)
        return scope, replace(store, accounts=dict(selection.current)), sealed

    def _stored_secrets(self, current: Current, request: PlanRequest) -> Iterator[SecretRef]:
        """Every secret that the store refers to. The secrets of all accounts matter, because two
        references may mean the same variables; they are read only if variables are given."""
        if request.keys is None:
            yield from references_in(current)
            return
        for stored in self.store.profiles():
            if stored.secret is not None:
                yield stored.secret

    def confirmed(
        self, planned: Planned, confirm: Confirm = lambda _planned: None
    ) -> tuple[Planned, Result | None]:
        """Decide whether a plan may be committed, and test the connections of what it would save.

        Args:
            planned: what :meth:`plan` returned.
            confirm: asked if there is anything to write, before any credential is sent anywhere.

        Returns:
            The same decision, less what fails its connection test now; and the result if it may
            not be committed, because the store is another one or the confirmation was refused.

        Raises:
            ProblemError: what the tests need cannot be read.
        """
        if planned.mismatch:
            return planned, _refused(planned.plan)
        if has_work(planned.plan) and (refusal := confirm(planned)) is not None:
            return planned, _refused(planned.plan, refusal)
        return self._tested(planned), None

    def commit(
        self,
        planned: Planned,
        provenance: Provenance,
        *,
        statuses: AccountStatuses | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        advance: Callable[[int], None] = lambda _accounts: None,
    ) -> Applied:
        """Commit a confirmed plan, and record what is left open of each account.

        Args:
            planned: what :meth:`confirmed` returned.
            provenance: who applies it, when, and from which commit.
            statuses: the account statuses before; None: read them from the store.
            should_stop: asked before each transaction; the remaining accounts are then skipped.
            advance: called with the number of accounts of each group that is done.

        Returns:
            The outcome of each account. A failed commit raises nothing: it is an outcome.
        """
        result = commit_plan(
            self.store,
            planned,
            provenance,
            replan=lambda: self._again(planned),
            should_stop=should_stop,
            advance=advance,
        )
        return self._recorded(planned, result, statuses)

    def _tested(self, planned: Planned) -> Planned:
        """The same decision on the same store, less what fails its connection test now."""
        if self.tester is None or not planned.verified.untested:
            return planned
        with self.interruptible():
            verified = planned.verifier.verify(
                planned.source.desired,
                planned.current,
                planned.sealed,
                planned.scope,
                tester=self.tester,
                tests=planned.verified.tests,
            )
        return replace(planned, verified=verified)

    def _again(self, planned: Planned) -> Planned:
        """The same manifests on a store that has changed. Tests that ran are not repeated."""
        request = PlanRequest(planned.scope.guards, planned.scope.only)
        scope, current, sealed = self._read(planned.source, request)
        verified = planned.verifier.verify(
            planned.source.desired,
            current,
            sealed,
            scope,
            tester=self.tester,
            tests=planned.verified.tests,
        )
        return replace(planned, scope=scope, current=current, sealed=sealed, verified=verified)

    def _recorded(
        self, planned: Planned, result: Result, statuses: AccountStatuses | None
    ) -> Applied:
        """Write what is left open of each account, for ``status`` and for approvals."""
        try:
            assessment = assess(
                result,
                self.store.account_statuses() if statuses is None else statuses,
                planned.scope.only,
                datetime.now(UTC),
                planned.source.commit,
                planned.source.locate,
            )
            self.store.write_account_statuses(assessment.written, assessment.cleared)
        except ProblemError as problem:
            return Applied(planned, result, None, problem.findings)
        return Applied(planned, result, assessment)


def _refused(plan: Plan, *findings: Finding) -> Result:
    """Nothing was written: every account with changes is refused."""
    return Result(
        plan,
        Outcome.REFUSED if plan.platform is not None else None,
        tuple(_refused_account(account) for account in plan.accounts),
        plan.revision,
        findings,
    )


def _refused_account(account: AccountPlan) -> AccountOutcome:
    if account.stopped or not account.changes:
        return left_alone(account)
    return AccountOutcome(account.key, Outcome.REFUSED, account.revision)
