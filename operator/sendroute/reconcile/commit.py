"""A plan's commit: the platform first, then account by account, each whole or not at all.

Accounts between which a domain moves are committed together. What another writer changed
meanwhile is planned again once: the same decision is carried out, another one is refused.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from sendroute.model.change import AccountPlan, Action, Plan, PlatformChange
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.problem import ProblemError, StaleError
from sendroute.model.provenance import Provenance
from sendroute.planner.digest import digest, digest_changes
from sendroute.reconcile.record import Record, Sealed

Replan = Callable[[], Plan]
"""The same manifests planned on the store as it is by now."""

Seal = Callable[[Sequence[AccountPlan], PlatformChange | None], Sealed]
"""The sealed credentials that belong to these accounts' and the platform's changes."""

Group = tuple[AccountPlan, ...]

_log = logging.getLogger(__name__)


class Done(Struct, frozen=True):
    """What became of one transaction's accounts, and the plans that were carried out."""

    outcomes: tuple[AccountOutcome, ...]
    plans: tuple[AccountPlan, ...]
    revision: int = 0


def apply_plan(
    record: Record,
    plan: Plan,
    provenance: Provenance,
    *,
    replan: Replan,
    seal: Seal,
    ended: Callable[[], bool] = lambda: False,
    advance: Callable[[int], None] = lambda _accounts: None,
) -> Result:
    """Commit what ``plan`` decides, and say what became of each of its accounts.

    ``ended`` is asked before each transaction and ends the run between two accounts; ``advance``
    is told how many accounts each one was about. A failure of one account stops no other.
    """
    run = _Run(record, provenance, replan, seal)
    platform, found, revision = run.platform(plan)
    plans = {account.key: account for account in plan.accounts}
    outcomes: dict[AccountKey, AccountOutcome] = {}
    for group in _transactions(plan):
        if platform in (Outcome.FAILED, Outcome.REFUSED) or ended():
            done = Done(_all(group, Outcome.SKIPPED), ())
        else:
            done = run.group(group)
        outcomes |= {outcome.key: outcome for outcome in done.outcomes}
        plans |= {account.key: account for account in done.plans}
        revision = max(revision, done.revision)
        advance(len(group))
    for account in plan.accounts:
        if account.key not in outcomes:
            outcomes[account.key] = left_alone(account)
    return Result(
        plan=replace(plan, accounts=tuple(plans[account.key] for account in plan.accounts)),
        platform=platform,
        accounts=tuple(outcomes[account.key] for account in plan.accounts),
        revision=max(revision, plan.revision),
        findings=found,
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


def _transactions(plan: Plan) -> Iterator[Group]:
    """Groups stand where their first account does; a group of which nothing is to be done, or
    that holds a stopped account, has no transaction."""
    by_key = {account.key: account for account in plan.accounts}
    group_of = {key: group for group in plan.groups for key in group}
    begun: set[AccountKey] = set()
    for account in plan.accounts:
        if account.key in begun:
            continue
        group = tuple(by_key[key] for key in group_of.get(account.key, (account.key,)))
        begun.update(member.key for member in group)
        if any(map(_is_work, group)) and not any(member.stopped for member in group):
            yield group


class _Run:
    """One run over a plan's transactions. Once another writer was met, what is left goes by the
    plan made anew then, so that the store is read again once a meeting and not once an account.
    """

    def __init__(self, record: Record, provenance: Provenance, replan: Replan, seal: Seal) -> None:
        self._record = record
        self._provenance = provenance
        self._replan = replan
        self._seal = seal
        self._latest: Plan | None = None

    def platform(self, plan: Plan) -> tuple[Outcome | None, tuple[Finding, ...], int]:
        change = _platform_change(plan)
        if change is None:
            return None, (), plan.revision
        try:
            try:
                revision = self._write((), change)
            except StaleError:
                fresh = self._plan_again().platform
                if fresh is None:
                    return Outcome.UNCHANGED, (), plan.revision
                if digest_changes([fresh]) != digest_changes([change]):
                    return Outcome.REFUSED, (_stale("The platform", None),), plan.revision
                revision = self._write((), fresh)
        except ProblemError as problem:
            return _outcome_of(problem.findings), problem.findings, plan.revision
        _log.info(
            "The platform is committed at revision %d.", revision, extra={"revision": revision}
        )
        return Outcome.COMMITTED, (), revision

    def group(self, group: Group) -> Done:
        try:
            return self._commit(group)
        except ProblemError as problem:
            outcome = _outcome_of(problem.findings)
            for account in group:
                extra = _extra(account.key) | {"commit": self._provenance.source_commit}
                _log.error("account %s: %s", account.key, problem, extra=extra)
            return Done(_all(group, outcome, problem.findings), ())

    def _commit(self, group: Group) -> Done:
        try:
            return self._carry_out(group)
        except StaleError:
            self._plan_again()
            return self._carry_out(group)

    def _carry_out(self, group: Group) -> Done:
        fresh = self._fresh(group)
        settled = _settled(group, fresh)
        if settled is not None:
            return settled
        return _committed(fresh, self._write(fresh, None), self._provenance)

    def _write(self, accounts: Group, platform: PlatformChange | None) -> int:
        """Sealed just before: no credential waits for its turn in the plan or the run."""
        sealed = self._seal(accounts, platform)
        return self._record.commit(accounts, platform, self._provenance, sealed)

    def _fresh(self, group: Group) -> Group:
        if self._latest is None:
            return group
        keys = {account.key for account in group}
        return tuple(account for account in self._latest.accounts if account.key in keys)

    def _plan_again(self) -> Plan:
        self._latest = self._replan()
        return self._latest


def _settled(group: Group, fresh: Group) -> Done | None:
    """What is to be said without a commit: another writer has done it, or made it another
    decision. Only the same decision goes through."""
    if not any(account.changes or account.stopped for account in fresh):
        return Done(
            tuple(AccountOutcome(a.key, Outcome.UNCHANGED, a.revision) for a in fresh), fresh
        )
    same = {a.key: digest(a) for a in fresh} == {a.key: digest(a) for a in group}
    if same and not any(account.stopped for account in fresh):
        return None
    told = (
        AccountOutcome(
            account.key,
            Outcome.REFUSED,
            account.revision,
            (_stale(f"Account {account.key.name}", account.key),),
        )
        for account in group
    )
    return Done(tuple(told), ())


def _committed(group: Group, revision: int, provenance: Provenance) -> Done:
    for account in group:
        written = {"revision": revision, "changes": len(account.changes)}
        _log.info(
            "Account %s is committed at revision %d.",
            account.key,
            revision,
            extra=_extra(account.key) | written | {"commit": provenance.source_commit},
        )
    outcomes = tuple(AccountOutcome(a.key, Outcome.COMMITTED, revision) for a in group)
    return Done(outcomes, tuple(group), revision)


def _all(
    group: Group, outcome: Outcome, findings: tuple[Finding, ...] = ()
) -> tuple[AccountOutcome, ...]:
    """One outcome for all; the findings are told once, with the first."""
    return tuple(
        AccountOutcome(account.key, outcome, account.revision, () if index else findings)
        for index, account in enumerate(group)
    )


def left_alone(account: AccountPlan) -> AccountOutcome:
    """An account without a transaction: nothing to do, or stopped."""
    if not account.stopped:
        return AccountOutcome(account.key, Outcome.UNCHANGED, account.revision)
    return AccountOutcome(account.key, _outcome_of(account.findings), account.revision)


def _outcome_of(findings: Sequence[Finding]) -> Outcome:
    severities = {found.severity for found in findings}
    refused = Severity.REFUSED in severities and Severity.ERROR not in severities
    return Outcome.REFUSED if refused else Outcome.FAILED


def _stale(what: str, key: AccountKey | None) -> Finding:
    return finding(
        "stale-plan",
        f"{what} was changed by another writer meanwhile, and the plan would differ now.",
        hint="Plan again, and look at what it would do now.",
        account=key,
    )


def _extra(key: AccountKey) -> dict[str, object]:
    return {"namespace": key.namespace, "account": key.name}
