"""Commits a plan: first the platform, then its accounts, each account completely or not at all.

Accounts between which a domain moves are one group, which is committed together. Small groups share
a transaction, because most of the cost of a small commit is the transaction. If such a batch fails,
each of its groups is committed separately, so that no account fails because of another.

If another writer changed an account in the meantime, Sendroute plans once more: it commits the same
decision, and refuses a different one.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.change import AccountPlan, Action, Kind, Plan, PlatformChange
from sendroute.model.codes import Code, finding, why_not_saved
from sendroute.model.credential import EncryptedCredentials
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.problem import ProblemError, StaleError
from sendroute.model.provenance import Provenance
from sendroute.model.words import DONE, NOUNS, counted, first_of
from sendroute.planner.digest import digest, digest_changes
from sendroute.reconcile.record import Record


class CommitDecision(Protocol):
    """A plan, and the encrypted credentials that belong to its changes."""

    @property
    def plan(self) -> Plan:
        """The plan to commit."""
        ...

    @property
    def latest(self) -> Collection[str]:
        """Commits that must be among those applied last whenever a part of the plan is written."""
        ...

    def encrypt(
        self, accounts: Sequence[AccountPlan], platform: PlatformChange | None
    ) -> EncryptedCredentials:
        """Encrypt the credentials that belong to changes of the plan.

        Args:
            accounts: the accounts that are written.
            platform: the platform's change; None if it does not change.

        Returns:
            The encrypted credentials by owner and profile.

        Raises:
            LookupError: a change was planned without its credential, which is a bug.
        """
        ...


Group = tuple[AccountPlan, ...]

_log = logging.getLogger(__name__)


_BATCH_ACCOUNTS = 200
_BATCH_CHANGES = 5_000
"""The maximum size of a transaction of small groups: half a second of work. Between transactions a
stop takes effect, and other writers of these accounts continue."""


_LOGGED = 50
"""How many removed objects of one account a line of the log names. The history has them all."""


class GroupResult(Struct, frozen=True):
    """The outcomes of one group's accounts, and the plans that were committed for them."""

    outcomes: tuple[AccountOutcome, ...]
    plans: tuple[AccountPlan, ...]
    revision: int = 0


def commit_plan(
    record: Record,
    decision: CommitDecision,
    provenance: Provenance,
    *,
    replan: Callable[[], CommitDecision],
    should_stop: Callable[[], bool] = lambda: False,
    advance: Callable[[int], None] = lambda _accounts: None,
) -> Result:
    """Commit a plan. A failure of one account stops no other.

    Args:
        record: the store.
        decision: the plan, and the credentials that belong to it.
        provenance: who applies it, when, and from which commit.
        replan: plans the same manifests on the current store.
        should_stop: checked before each transaction; if true, the remaining accounts are skipped.
        advance: called with the number of accounts of each completed group.

    Returns:
        The outcome of each account and of the platform.
    """
    plan = decision.plan
    run = _Run(record, provenance, decision, replan)
    platform, findings, revision = run.platform(plan)
    platform_revision = revision if platform is Outcome.COMMITTED else None
    if platform is Outcome.UNCHANGED:  # another writer recorded the same
        plan, platform = replace(plan, platform=None), None
    plans = {account.key: account for account in plan.accounts}
    outcomes: dict[AccountKey, AccountOutcome] = {}
    stopped = platform in (Outcome.FAILED, Outcome.REFUSED)
    for batch in _batches(_groups(plan)):
        for done in run.batch(batch, lambda: stopped or should_stop()):
            outcomes |= {outcome.key: outcome for outcome in done.outcomes}
            plans |= {account.key: account for account in done.plans}
            revision = max(revision, done.revision)
            advance(len(done.outcomes))
    for account in plan.accounts:
        if account.key not in outcomes:
            outcomes[account.key] = left_alone(account)
    return Result(
        plan=replace(plan, accounts=tuple(plans[account.key] for account in plan.accounts)),
        platform=platform,
        accounts=tuple(outcomes[account.key] for account in plan.accounts),
        revision=max(revision, plan.revision),
        findings=findings,
        platform_revision=platform_revision,
    )


def has_work(plan: Plan) -> bool:
    """Whether applying the plan would write anything."""
    return _platform_change(plan) is not None or any(map(_is_work, plan.accounts))


def _platform_change(plan: Plan) -> PlatformChange | None:
    change = plan.platform
    return None if change is None or change.action is Action.SKIP else change


def _is_work(account: AccountPlan) -> bool:
    return not account.stopped and any(
        change.action is not Action.SKIP for change in account.changes
    )


def _groups(plan: Plan) -> Iterator[Group]:
    """The accounts that are committed together, in the order of each group's first account. A group
    without changes, or with a stopped account, is left out."""
    by_key = {account.key: account for account in plan.accounts}
    group_of = {key: group for group in plan.groups for key in group}
    seen: set[AccountKey] = set()
    for account in plan.accounts:
        if account.key in seen:
            continue
        group = tuple(by_key[key] for key in group_of.get(account.key, (account.key,)))
        seen.update(member.key for member in group)
        if any(map(_is_work, group)) and not any(member.stopped for member in group):
            yield group


def _batches(groups: Iterable[Group]) -> Iterator[list[Group]]:
    """Groups that share a transaction, in their order. A large group has one of its own."""
    batch: list[Group] = []
    accounts = changes = 0
    for group in groups:
        accounts += len(group)
        changes += (size := sum(len(account.changes) for account in group))
        if batch and (accounts > _BATCH_ACCOUNTS or changes > _BATCH_CHANGES):
            yield batch
            batch, accounts, changes = [], len(group), size
        batch.append(group)
    if batch:
        yield batch


class _Run:
    """One run over a plan's groups.

    After a conflict with another writer, the remaining groups use the new plan, so that the store
    is read once per conflict and not once per account.
    """

    def __init__(
        self,
        record: Record,
        provenance: Provenance,
        decision: CommitDecision,
        replan: Callable[[], CommitDecision],
    ) -> None:
        self._record = record
        self._provenance = provenance
        self._decision = decision
        self._replan = replan
        self._fresh_plans: Mapping[AccountKey, AccountPlan] | None = None

    def platform(self, plan: Plan) -> tuple[Outcome | None, tuple[Finding, ...], int]:
        change = _platform_change(plan)
        if change is None:
            return None, (), plan.revision
        try:
            try:
                revision = self._write((), change)
            except StaleError:
                again = self._plan_again()
                fresh = again.platform
                if fresh is None:
                    new = [item for item in again.findings if item not in plan.findings]
                    refusals = _refusals(new)
                    outcome = Outcome.REFUSED if refusals else Outcome.UNCHANGED
                    return outcome, refusals, plan.revision
                if digest_changes([fresh]) != digest_changes([change]):
                    return Outcome.REFUSED, (_stale("The platform", None),), plan.revision
                revision = self._write((), fresh)
        except ProblemError as problem:
            return _outcome_of(problem.findings), problem.findings, plan.revision
        _log.info(
            "The platform is committed at revision %d.", revision, extra={"revision": revision}
        )
        return Outcome.COMMITTED, (), revision

    def batch(
        self, groups: Sequence[Group], should_stop: Callable[[], bool]
    ) -> Iterator[GroupResult]:
        """Commit the groups in one transaction; if that fails, each separately."""
        if len(groups) > 1 and not should_stop():
            try:
                yield from self._in_one_transaction(groups)
                return
            except ProblemError as problem:
                if all(item.code == Code.STORE_LOCKED for item in problem.findings):
                    # The first attempt already waited for the lock.
                    yield self._failed(groups[0], problem)
                    groups = groups[1:]
        for group in groups:
            yield _same_outcome(group, Outcome.SKIPPED) if should_stop() else self._group(group)

    def _in_one_transaction(self, groups: Sequence[Group]) -> list[GroupResult]:
        """Raises :class:`ProblemError` if nothing was written, perhaps because of one group."""
        planned = [self._replanned(group) for group in groups]
        decided = [
            _outcome_without_commit(group, fresh)
            for group, fresh in zip(groups, planned, strict=True)
        ]
        written = [fresh for fresh, done in zip(planned, decided, strict=True) if done is None]
        revisions: Iterator[int] = iter(())
        if written:
            encrypted = self._decision.encrypt(
                [account for group in written for account in group], None
            )
            revisions = iter(
                self._record.commit_groups(
                    written, self._provenance, encrypted, self._decision.latest
                )
            )
        return [
            _committed(fresh, next(revisions), self._provenance) if done is None else done
            for fresh, done in zip(planned, decided, strict=True)
        ]

    def _group(self, group: Group) -> GroupResult:
        try:
            try:
                return self._commit(group)
            except StaleError:
                self._plan_again()
                return self._commit(group)
        except ProblemError as problem:
            return self._failed(group, problem)

    def _failed(self, group: Group, problem: ProblemError) -> GroupResult:
        for account in group:
            extra = _extra(account.key) | {"commit": self._provenance.source_commit}
            _log.error("account %s: %s", account.key, problem, extra=extra)
        return _same_outcome(group, _outcome_of(problem.findings), problem.findings)

    def _commit(self, group: Group) -> GroupResult:
        fresh = self._replanned(group)
        decided = _outcome_without_commit(group, fresh)
        if decided is not None:
            return decided
        return _committed(fresh, self._write(fresh, None), self._provenance)

    def _write(self, accounts: Group, platform: PlatformChange | None) -> int:
        """Credentials are encrypted just before the commit, so no plan and no run holds one."""
        encrypted = self._decision.encrypt(accounts, platform)
        return self._record.commit(
            accounts, platform, self._provenance, encrypted, self._decision.latest
        )

    def _replanned(self, group: Group) -> Group:
        fresh = self._fresh_plans
        if fresh is None:
            return group
        # An account that is no longer there, as the plan wanted it, needs no change.
        gone = (AccountPlan(account.key, 0, ()) for account in group)
        return tuple(fresh.get(account.key, account) for account in gone)

    def _plan_again(self) -> Plan:
        self._decision = self._replan()
        plan = self._decision.plan
        self._fresh_plans = {account.key: account for account in plan.accounts}
        return plan


def _outcome_without_commit(group: Group, fresh: Group) -> GroupResult | None:
    """The outcome if nothing is committed, because another writer did the same or the decision now
    differs. None if the decision is the same and must be committed."""
    if not any(account.changes or account.stopped for account in fresh):
        return GroupResult(
            tuple(AccountOutcome(a.key, Outcome.UNCHANGED, a.revision) for a in fresh), fresh
        )
    same = {a.key: digest(a) for a in fresh} == {a.key: digest(a) for a in group}
    if same and not any(account.stopped for account in fresh):
        return None
    refused = (
        AccountOutcome(
            account.key,
            Outcome.REFUSED,
            account.revision,
            _refusals(account.findings) or (_stale(f"Account {account.key}", account.key),),
        )
        for account in fresh
    )
    return GroupResult(tuple(refused), ())


def _refusals(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Why a plan that was made again may not be committed."""
    return tuple(item for item in findings if item.severity is Severity.REFUSED)


def _committed(group: Group, revision: int, provenance: Provenance) -> GroupResult:
    for account in group:
        deleted = [change for change in account.changes if change.action is Action.DELETE]
        written = {
            "revision": revision,
            "changes": len(account.changes),
            "deleted": [f"{change.kind} {change.name}" for change in deleted[:_LOGGED]],
        }
        gone = any(change.kind is Kind.ACCOUNT for change in deleted)
        _log.info(
            "Account %s is %s at revision %d: %s.",
            account.key,
            DONE[Action.DELETE] if gone else "committed",
            revision,
            _summary(account),
            extra=_extra(account.key) | written | {"commit": provenance.source_commit},
        )
    outcomes = tuple(AccountOutcome(a.key, Outcome.COMMITTED, revision) for a in group)
    return GroupResult(outcomes, tuple(group), revision)


def _summary(account: AccountPlan) -> str:
    """What a commit did: counts by kind and action, and by name what it removed."""
    done = [change for change in account.changes if change.action is not Action.SKIP]
    counts = Counter((change.kind, change.action) for change in done)
    parts = []
    for (kind, action), count in counts.items():
        part = f"{counted(count, NOUNS[kind])} {DONE[action]}"
        if action is Action.DELETE and kind is not Kind.ACCOUNT:
            names = [
                change.name
                for change in done
                if change.kind is kind and change.action is Action.DELETE
            ]
            part += f" ({first_of(names, _LOGGED)})"
        parts.append(part)
    return ", ".join(parts)


def _same_outcome(
    group: Group, outcome: Outcome, findings: tuple[Finding, ...] = ()
) -> GroupResult:
    """One outcome for all accounts, without a commit. Each account reports the findings."""
    return GroupResult(
        tuple(
            AccountOutcome(account.key, outcome, account.revision, findings) for account in group
        ),
        (),
    )


def left_alone(account: AccountPlan) -> AccountOutcome:
    """The outcome of an account without a commit: nothing to do, or stopped. A stopped account that
    only waits for something that failed elsewhere is skipped."""
    outcome = Outcome.UNCHANGED
    if account.stopped:
        waits = any(item.code == Code.DEPENDENCY_SKIPPED for item in account.findings)
        outcome = _outcome_of(account.findings, Outcome.SKIPPED if waits else Outcome.FAILED)
    return AccountOutcome(account.key, outcome, account.revision)


def _outcome_of(findings: Sequence[Finding], otherwise: Outcome = Outcome.FAILED) -> Outcome:
    """The outcome that the most severe finding gives. An error that skips only a part of the
    account, such as a failed connection test, gives none."""
    severities = {item.severity for item in findings if why_not_saved(item.code) is None}
    if Severity.ERROR in severities:
        return Outcome.FAILED
    return Outcome.REFUSED if Severity.REFUSED in severities else otherwise


def _stale(subject: str, key: AccountKey | None) -> Finding:
    return finding(
        "stale-plan",
        f"{subject} was changed by another writer, and the plan would differ now.",
        hint="Plan again, and review the new plan.",
        account=key,
    )


def _extra(key: AccountKey) -> dict[str, object]:
    return {"namespace": key.namespace, "account": key.name}
