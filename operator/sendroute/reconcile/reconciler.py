"""The one sequence of every front end: plan, verify, commit, record the account statuses.

A front end passes the tree, the store and its adapters, and calls :meth:`Reconciler.plan`,
:meth:`Reconciler.confirmed` and :meth:`Reconciler.commit` in this order. Preview and execution use
the same decision: the planned changes are committed, except those whose connection test fails in
between.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.ancestry import Ancestry, AncestryOf, AppliedCommit, no_ancestry
from sendroute.model.change import AccountPlan, Plan, PlatformChange
from sendroute.model.codes import Code
from sendroute.model.credential import EncryptedCredentials
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Locate, Severity
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.problem import ProblemError, StaleError
from sendroute.model.provenance import Provenance
from sendroute.planner.claim_index import ClaimsOf, claims_of
from sendroute.planner.guards import Guards, Pending
from sendroute.planner.plan import PlanScope
from sendroute.planner.platform import may_lose_relay
from sendroute.planner.selection import select
from sendroute.planner.whole_change import count_others
from sendroute.reconcile.assessment import AccountStatuses, Assessment, assess, held_changes
from sendroute.reconcile.commit import commit_plan, has_work, left_alone
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.record import Record
from sendroute.reconcile.verifier import VerifiedPlan, Verifier

Mismatches = Callable[[Current, Record], Iterable[Finding]]
"""Compares lock files with a store. Its arguments are the store's state, of which only lineage,
revision and platform are complete, and the store, of which it asks for the commits."""
VerifierFor = Callable[[], Verifier]
"""Builds the verifier of one run."""
ConfirmPlan = Callable[["Planned"], Finding | None]
"""Asks the user whether a plan may be applied. Returns None if it may, else a finding."""


def no_mismatches(_current: Current, _record: Record) -> Iterable[Finding]:
    """For a tree without lock files."""
    return ()


class DesiredTree(Struct, frozen=True):
    """The desired state, its commit, the positions of its values, the index of which accounts
    declare a domain, the check of its lock files, and how its commit relates to others."""

    desired: Desired
    commit: str | None
    locate: Locate
    claims: ClaimsOf
    mismatches: Mismatches = no_mismatches
    ancestry: AncestryOf = no_ancestry

    @classmethod
    def of(
        cls,
        desired: Desired,
        commit: str | None,
        locate: Locate,
        mismatches: Mismatches = no_mismatches,
        ancestry: AncestryOf = no_ancestry,
    ) -> "DesiredTree":
        """Build the tree of a desired state whose owner keeps no index of its claims.

        Args:
            desired: the desired state, which does not change.
            commit: its commit; None outside git.
            locate: finds the positions of its values.
            mismatches: checks its lock files.
            ancestry: how its commit relates to those that were applied.

        Returns:
            The tree. The index is built if a plan needs it.
        """
        claims = claims_of(desired.claiming.values())
        return cls(desired, commit, locate, claims, mismatches, ancestry)


class PlanRequest(Struct, frozen=True):
    """What to plan. ``only`` are the accounts; None for every account. ``linked`` adds the accounts
    that exchange domains with these; without them these domains do not move. ``pending`` is what
    the guards count of the other accounts of the same change; None to find it out from the
    manifests and the store. ``keeps_platform``: the change of the platform must wait, and ``only``
    are planned on the platform in the store."""

    guards: Guards = Guards()
    only: frozenset[AccountKey] | None = None
    linked: bool = False
    pending: Pending | None = None
    keeps_platform: bool = False


class Planned(Struct, frozen=True):
    """A verified plan and everything that it was made from, so that it can be repeated.

    ``mismatch``: why the store is not the one that belongs to the manifests, and warnings about
    their lock files. ``applied`` are the commits applied last that the tree's were compared with.
    ``latest`` are those that must still be among them when anything is written: the tree's own,
    once they are recorded.
    """

    tree: DesiredTree
    scope: PlanScope
    verifier: Verifier
    current: Current
    encrypted: EncryptedCredentials
    verified: VerifiedPlan
    applied: tuple[AppliedCommit, ...] = ()
    mismatch: tuple[Finding, ...] = ()
    latest: frozenset[str] = frozenset()

    @property
    def plan(self) -> Plan:
        """The plan to show: with the mismatch among its findings."""
        plan = self.verified.plan
        return replace(plan, findings=(*plan.findings, *self.mismatch)) if self.mismatch else plan

    def encrypt(
        self, accounts: Sequence[AccountPlan], platform: PlatformChange | None
    ) -> EncryptedCredentials:
        """Encrypt the credentials that belong to changes of this plan; see
        :meth:`~sendroute.reconcile.verifier.Verifier.encrypt`.

        Args:
            accounts: the accounts that are written.
            platform: the platform's change; None if it does not change.

        Returns:
            The encrypted credentials by owner and profile.

        Raises:
            LookupError: a change was planned without its credential, which is a bug.
        """
        return self.verifier.encrypt(self.verified.secrets, accounts, platform)


class Applied(Struct, frozen=True):
    """``planned`` is the plan as it was committed, ``result`` the outcome of each account.

    ``assessment`` are the account statuses; None if nothing was attempted. ``unrecorded`` says why
    they could not be written to the store; empty if they were.
    """

    planned: Planned
    result: Result
    assessment: Assessment | None = None
    unrecorded: tuple[Finding, ...] = ()


class Reconciler(Struct, frozen=True):
    """Plans and commits. ``tester`` runs connection tests. ``interruptible`` is a context for work
    that writes nothing: reading, planning and testing."""

    store: Record
    verifier_for: VerifierFor
    tester: Tester | None = None
    interruptible: Callable[[], AbstractContextManager[None]] = nullcontext

    def plan(self, tree: DesiredTree, request: PlanRequest, *, test: bool = False) -> Planned:
        """Read the store and plan what applying the tree would change.

        The cost of planning some accounts depends only on these accounts, unless it must be found
        out what the manifests would remove and reroute in the others: see
        :func:`~sendroute.planner.whole_change.count_others`.

        Args:
            tree: the manifests.
            request: the guards and the accounts.
            test: also test the connections of the profiles that would be saved.

        Returns:
            The plan, and what it was made from.

        Raises:
            ProblemError: the store, the secrets or a key cannot be used.
        """
        with self.interruptible():
            applied = tuple(self.store.applied_commits())
            scope, current, encrypted = self._read(tree, request, tree.ancestry(applied))
            verifier = self.verifier_for()
            tester = self.tester if test else None
            verified = verifier.verify(tree.desired, current, encrypted, scope, tester=tester)
            mismatch = tuple(tree.mismatches(current, self.store))
        return Planned(tree, scope, verifier, current, encrypted, verified, applied, mismatch)

    def _read(
        self, tree: DesiredTree, request: PlanRequest, ancestry: Ancestry | None
    ) -> tuple[PlanScope, Current, EncryptedCredentials]:
        """The scope of the request, and its accounts at one revision of the store. The commits
        applied last, and what was held back, are read before: what is recorded later belongs to a
        later change."""
        held = held_changes(self.store.account_statuses())
        if request.only is None:
            return PlanScope(
                request.guards, held=held, ancestry=ancestry
            ), *self.store.read_with_credentials()
        with self.store.snapshot() as snapshot:
            selection = select(
                request.only,
                tree.desired.claiming,
                tree.claims(),
                snapshot,
                linked=request.linked,
            )
            current = replace(snapshot.read_accounts(()), accounts=dict(selection.current))
            others = selection.others
            if may_lose_relay(tree.desired, current):
                outside = snapshot.accounts_on_managed() - selection.keys
                others = replace(others, on_managed=outside)
            encrypted = snapshot.encrypted(selection.keys)
            pending = request.pending
            if pending is None:
                pending = count_others(
                    tree.desired,
                    current,
                    selection,
                    tree.claims(),
                    snapshot,
                    guards=request.guards,
                    ancestry=ancestry,
                )
        scope = PlanScope(
            request.guards,
            selection.keys,
            others,
            pending,
            held,
            ancestry,
            request.keeps_platform,
        )
        return scope, current, encrypted

    def confirmed(
        self, planned: Planned, confirm: ConfirmPlan = lambda _planned: None
    ) -> tuple[Planned, Result | None]:
        """Decide whether a plan may be committed, and test the connections of what it would save.

        Args:
            planned: what :meth:`plan` returned.
            confirm: called if there is anything to write, before any credential is sent.

        Returns:
            The same decision without the changes whose connection test fails; and the result if
            it may not be committed, because the store is another one or the user refused.

        Raises:
            ProblemError: a secret or a file that the tests need cannot be read.
        """
        if any(item.severity is not Severity.WARNING for item in planned.mismatch):
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
        """Commit a confirmed plan, and record the account statuses.

        Args:
            planned: what :meth:`confirmed` returned.
            provenance: who applies it, when, and from which commit.
            statuses: the account statuses before; None to read them from the store.
            should_stop: checked before each transaction; if true, the other accounts are skipped.
            advance: called with the number of accounts of each completed group.

        Returns:
            The outcome of each account. A failed commit raises nothing: it is an outcome.
        """
        planned, unrecorded = self._record_commits(planned)
        result = commit_plan(
            self.store,
            planned,
            provenance,
            replan=lambda: self._record_commits(self._plan_again(planned))[0],
            should_stop=should_stop,
            advance=advance,
        )
        result = replace(result, findings=(*result.findings, *unrecorded))
        return self._record_statuses(planned, result, statuses)

    def _record_commits(self, planned: Planned) -> tuple[Planned, tuple[Finding, ...]]:
        """Remember the commits of the manifests as applied, before the first change is written: if
        the process ends in between, an older tree is refused all the same.

        Returns:
            The plan, which is stale from now on if another tree of a repository takes the place of
            this one; it is stale at once if one did, and the decision may differ. And the findings
            if the store cannot be written.
        """
        ancestry, applied = planned.scope.ancestry, planned.applied
        if ancestry is None or _is_held_back(planned, ancestry):
            return replace(planned, latest=frozenset()), ()
        latest = frozenset(tree.commit for tree in ancestry.trees)
        verdict, planned = ancestry.verdict, replace(planned, latest=latest)
        while ancestry is not None and ancestry.verdict == verdict:
            if ancestry.is_recorded:
                break
            try:
                self.store.record_commits(ancestry.trees, ancestry.compared, applied)
                break
            except StaleError:
                applied = tuple(self.store.applied_commits())
                ancestry = planned.tree.ancestry(applied)
            except ProblemError as problem:
                return replace(planned, latest=frozenset()), problem.findings
        return planned, ()

    def _tested(self, planned: Planned) -> Planned:
        """The same decision without the changes whose connection test fails now."""
        if self.tester is None or not planned.verified.untested:
            return planned
        with self.interruptible():
            verified = planned.verifier.verify(
                planned.tree.desired,
                planned.current,
                planned.encrypted,
                planned.scope,
                tester=self.tester,
                tests=planned.verified.tests,
            )
        return replace(planned, verified=verified)

    def _plan_again(self, planned: Planned) -> Planned:
        """Plan the same manifests on the changed store. Tests that ran are not repeated."""
        request = PlanRequest(
            planned.scope.guards,
            planned.scope.only,
            pending=planned.scope.pending,
            keeps_platform=planned.scope.keeps_platform,
        )
        applied = tuple(self.store.applied_commits())
        ancestry = planned.tree.ancestry(applied)
        scope, current, encrypted = self._read(planned.tree, request, ancestry)
        verified = planned.verifier.verify(
            planned.tree.desired,
            current,
            encrypted,
            scope,
            tester=self.tester,
            tests=planned.verified.tests,
        )
        return replace(
            planned,
            scope=scope,
            current=current,
            encrypted=encrypted,
            verified=verified,
            applied=applied,
        )

    def _record_statuses(
        self, planned: Planned, result: Result, statuses: AccountStatuses | None
    ) -> Applied:
        """Write the account statuses, which people read and approvals refer to."""
        try:
            assessment = assess(
                result,
                self.store.account_statuses() if statuses is None else statuses,
                _assessed(planned),
                datetime.now(UTC),
                planned.tree.commit,
                planned.tree.locate,
                planned.scope.held,
            )
            self.store.write_account_statuses(assessment.written, assessment.cleared)
        except ProblemError as problem:
            return Applied(planned, result, None, problem.findings)
        return Applied(planned, result, assessment)


def _is_held_back(planned: Planned, ancestry: Ancestry) -> bool:
    """Whether the commits of a tree stay unrecorded because it is older. It becomes the one applied
    last only if it is allowed, or if nothing of the whole tree is held back because of its age:
    then the store has its state."""
    if not ancestry.tree.commit:
        return True
    if not ancestry.missing or planned.scope.guards.allow_older_tree:
        return False
    held_back = any(item.code == Code.OLDER_TREE for item in planned.plan.all_findings)
    return held_back or planned.scope.only is not None


def _assessed(planned: Planned) -> frozenset[AccountKey] | None:
    """The accounts whose statuses the result decides; None for all. Without a readable platform
    nothing is planned, so what is left open of the other accounts, and approved, remains."""
    if planned.tree.desired.platform is not None:
        return planned.scope.only
    return frozenset(account.key for account in planned.plan.accounts)


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
