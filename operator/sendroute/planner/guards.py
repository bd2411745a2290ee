"""Guards: a change that is larger than expected needs a confirmation or an approval.

Three guards are for an account: it would lose, or reroute, too large a share of its domains, or go
as a whole without being asked to. Two are for the whole change: the accounts together would lose,
or reroute, too large a share of the domains in the store. Then every account that loses, or
reroutes, any is held back. As long as a part of it is held back, it is measured also by the store
as it was when that part was held back first: what was applied meanwhile does not let it through.

What counts is what the manifests would remove and reroute, whatever is held back for another
reason. A domain that moves, an apply-all and a confirmed removal of an account do not count.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    ChangeReason,
    DomainChange,
    DomainCounts,
    WholeChange,
)
from sendroute.model.codes import Code, finding
from sendroute.model.desired import AccountKey, DesiredAccount
from sendroute.model.finding import Finding, TenantText
from sendroute.model.remedy import Approve, ConfirmRemoval, GuardLimit, RaiseLimit, Remedy
from sendroute.model.route import Origin
from sendroute.model.words import counted

FROM_DOMAINS = 10

_WAITS = (
    "Another account declares domains of it, and cannot take them now. Fix that account first: then"
    " they move."
)


Pending = Mapping[AccountKey, DomainCounts]
"""By account, what the guards count of a change that was planned and not committed."""

NOTHING_PENDING: Pending = {}

HeldChanges = Mapping[AccountKey, WholeChange]
"""By account, the whole change because of whose size the account was held back."""

NOTHING_HELD: HeldChanges = {}


class Guards(Struct, frozen=True):
    """The limits of one change: shares of the domains that an account, and the store, had before,
    in percent.

    ``approved`` maps an account to the digest of its approved plan, which the loop may apply. It is
    None for a command, where the user raises a limit with an option instead. ``remove_accounts``
    are the accounts whose removal the user confirms. ``allow_older_tree`` lets a tree through that
    lacks a commit which was applied before. ``tenants``: each namespace has an author of its own,
    so what the one that loses most would lose does not hold back the accounts of the others.
    ``measured_by`` says in the messages which domains the whole change is a share of.
    """

    change_percent: int = 30
    remove_percent: int = 30
    approved: Mapping[AccountKey, str] | None = None
    remove_accounts: frozenset[AccountKey] = frozenset()
    allow_older_tree: bool = False
    tenants: bool = False
    measured_by: str = "in the store"

    def __post_init__(self) -> None:
        """Raises TypeError or ValueError for a limit that is not a whole number from 0 to 100, and
        for an account that is no pair of strings."""
        for name in ("change_percent", "remove_percent"):
            limit = getattr(self, name)
            message = f"{name} must be a whole number from 0 to 100, not {limit!r}."
            if not isinstance(limit, int) or isinstance(limit, bool):
                raise TypeError(message)
            if not 0 <= limit <= 100:
                raise ValueError(message)
        for key in self.remove_accounts:
            if not isinstance(key, tuple) or [type(name) for name in key] != [str, str]:
                raise TypeError(f"remove_accounts must have (namespace, name), not {key!r}.")

    def lets_through(self, key: AccountKey, digest: str) -> bool:
        """Whether the plan of an account with this digest is approved."""
        return self.approved is not None and self.approved.get(key) == digest


class ChangeSize(Struct, frozen=True):
    """What one change would do to the domains of an account, or of the store: ``counts`` of
    ``domain_count``. ``held`` is the whole change that it is a part of, if that was held back
    before; ``counts`` includes what was applied of it."""

    domain_count: int
    counts: DomainCounts
    held: WholeChange | None = None


class GuardRefusals(Struct, frozen=True):
    """A refusal for each limit that an account's plan exceeds. ``whole`` is the whole change, if
    that exceeds a limit."""

    findings: tuple[Finding, ...]
    whole: WholeChange | None


def count_domains(
    plan: AccountPlan, desired: DesiredAccount | None, guards: Guards
) -> DomainCounts:
    """Count what an account's plan removes and reroutes without being confirmed.

    Args:
        plan: the plan.
        desired: its manifests; None if there are none.
        guards: the removals that the user confirms.

    Returns:
        The counts. A move is no removal, and an apply-all is no reroute.
    """
    return _unconfirmed(plan.key, _count_changes(plan), desired, guards)


def check_guards(
    plan: AccountPlan,
    desired: DesiredAccount | None,
    domain_count: int,
    sizes: Collection[ChangeSize],
    guards: Guards,
) -> GuardRefusals:
    """Check an account's plan against the limits.

    Args:
        plan: the plan.
        desired: its manifests; None if there are none.
        domain_count: the number of its domains before the change.
        sizes: what the change would do to the whole store, by each measure.
        guards: the limits.

    Returns:
        The refusals.
    """
    totals = _count_changes(plan)
    counts = _unconfirmed(plan.key, totals, desired, guards)
    waits = any(item.code == Code.REMOVED_BEFORE_MOVE for item in plan.findings)
    change = ChangeSize(domain_count, counts)
    check = _GuardCheck(plan.key, desired, change, sizes, guards, waits)
    refusals = []
    if totals.removes_account and counts.removed:
        refusals.append(check.account_removal(counts.removed))
    refusals += check.limit("too-many-removals")
    refusals += check.limit("too-many-changes")
    return GuardRefusals(tuple(refusals), check.exceeded())


def whole_sizes(
    domain_count: int, counts: DomainCounts, held: Iterable[WholeChange]
) -> tuple[ChangeSize, ...]:
    """Measure a whole change.

    Args:
        domain_count: the number of domains in the store.
        counts: what the guards count of the change.
        held: the changes that were held back before, of which a part is in this one.

    Returns:
        The size now, and as a part of each of the earlier changes.
    """
    earlier = (
        ChangeSize(whole.domain_count, total((counts, whole.applied)), whole) for whole in held
    )
    return ChangeSize(domain_count, counts), *earlier


def total(counts: Iterable[DomainCounts]) -> DomainCounts:
    """Add up what the guards count.

    Args:
        counts: the counts of accounts, or of parts of a change.

    Returns:
        Their sum.
    """
    removed = rerouted = 0
    for count in counts:
        removed += count.removed
        rerouted += count.rerouted
    return DomainCounts(removed, rerouted)


class _GuardCheck(Struct, frozen=True):
    """One account: ``account`` is what the change would do to its domains. ``waits``: it would lose
    domains that another account declares and cannot take now."""

    key: AccountKey
    desired: DesiredAccount | None
    account: ChangeSize
    sizes: Collection[ChangeSize]
    guards: Guards
    waits: bool

    def exceeded(self) -> WholeChange | None:
        """The whole change, if it exceeds a limit for the kind of changes that the account has."""
        for removing in (True, False):
            size = self._largest(removing)
            if _count(self.account, removing) and self._exceeds(size, removing):
                return size.held or WholeChange(size.domain_count)
        return None

    def _largest(self, removing: bool) -> ChangeSize:
        return max(
            self.sizes,
            key=lambda size: (
                self._exceeds(size, removing),
                _count(size, removing) / max(size.domain_count, 1),
            ),
        )

    def _exceeds(self, size: ChangeSize, removing: bool) -> bool:
        percent = self.guards.remove_percent if removing else self.guards.change_percent
        return _exceeds(_count(size, removing), size.domain_count, percent)

    def account_removal(self, removed: int) -> Finding:
        confirmed = self.desired.remove if self.desired is not None else None
        number = counted(removed, "domain")
        if confirmed is None:
            message = (
                f"Account {self.key} is no longer in the manifests; applying them would remove it"
                f" with {number}."
            )
            hint = (
                "If it should stay, check the given paths, or restore its documents. To remove it,"
                f" declare spec.remove: {{confirm: {{domains: {removed}}}}} in its MailAccount, or"
                " confirm the removal."
            )
        else:
            message = (
                f"The removal of account {self.key} is confirmed for"
                f" {counted(confirmed, 'domain')}, but it would remove {number}."
            )
            hint = (
                f"To remove all of them, set confirm: {{domains: {removed}}}, or confirm the"
                " removal."
            )
        remedy = ConfirmRemoval(*self.key)
        return self._refusal("account-removal", message, hint, remedy, "remove", "confirm")

    def limit(self, code: str) -> Iterator[Finding]:
        removing = code == Code.TOO_MANY_REMOVALS
        verb = "remove" if removing else "reroute"
        largest = self._largest(removing)
        count, whole = _count(self.account, removing), _count(largest, removing)
        percent = self.guards.remove_percent if removing else self.guards.change_percent
        would, limit = f"Applying the manifests would {verb}", f"the limit is {percent} %."
        kind = GuardLimit.REMOVALS if removing else GuardLimit.CHANGES
        hint = "If the change is intended, apply with a higher limit."
        enough = (size for size in (self.account, largest) if self._exceeds(size, removing))
        # One limit for both refusals: a hint that is followed lets the account through.
        remedy = RaiseLimit(kind, max((_percent(size, removing) for size in enough), default=100))
        if self._exceeds(self.account, removing):
            message = (
                f"{would} {count} of the {self.account.domain_count} domains of account {self.key}"
            )
            yield self._refusal(code, f"{message}; {limit}", hint, remedy)
            if self.account.domain_count == largest.domain_count:
                return  # the store has no other domains
        if count and self._exceeds(largest, removing):
            if largest.held is not None:
                would = f"With what was applied since it was held back, the change would {verb}"
            held, now = "that were in the store before it", self.guards.measured_by
            message = (
                f"{would} {whole} of the {largest.domain_count} domains"
                f" {held if largest.held else now}, {count} of them"
                f" of account {self.key}"
            )
            to_tenant = (
                f"The change of account {self.key} would {verb} {counted(count, 'domain')}, as a"
                f" part of a larger change that would {verb} more than {percent} % of all domains."
            )
            yield self._refusal(code, f"{message}; {limit}", hint, remedy, to_tenant=to_tenant)

    def _refusal(
        self,
        code: str,
        message: str,
        hint: str,
        remedy: Remedy | None,
        *path: str,
        to_tenant: str | None = None,
    ) -> Finding:
        """``to_tenant`` is the message without what it says of the whole store.

        What lets a removal through is not offered while a domain of it could move instead: nothing
        of the domain would be sent until then.
        """
        if self.waits and code != Code.TOO_MANY_CHANGES:
            hint, remedy = _WAITS, None
            if code == Code.ACCOUNT_REMOVAL:  # no claim of another tenant can keep it
                count = self.account.counts.removed
                hint += (
                    " To give them up all the same, declare spec.remove: {confirm: {domains:"
                    f" {count}}}}} in its MailAccount."
                )
        elif self.guards.approved is not None:
            hint, remedy = "If the change is intended, approve it.", Approve(*self.key)
        where = None
        if self.desired is not None:
            where = self.desired.where.at("spec", *path) if path else self.desired.where
        return finding(
            code,
            message,
            hint=hint,
            remedy=remedy,
            where=where,
            account=self.key,
            for_tenant=TenantText(to_tenant, hint) if to_tenant is not None else None,
        )


def _count(change: ChangeSize, removing: bool) -> int:
    return change.counts.removed if removing else change.counts.rerouted


def _exceeds(count: int, domain_count: int, percent: int) -> bool:
    return domain_count >= FROM_DOMAINS and count * 100 > percent * domain_count


def _percent(change: ChangeSize, removing: bool) -> int:
    """The lowest limit that lets a change through; all are counted, so at most 100."""
    return min(100, -(-_count(change, removing) * 100 // change.domain_count))


class _PlanCounts(NamedTuple):
    """What a plan does to the domains of its account. A domain that moves is not removed."""

    removed: int
    rerouted: int
    removes_account: bool


def _count_changes(plan: AccountPlan) -> _PlanCounts:
    removed = rerouted = 0
    removes_account = False
    for change in plan.changes:  # one pass: a first plan has a change for each domain
        action = change.action
        if action is Action.DELETE:
            removes_account |= isinstance(change, AccountChange)
            removed += isinstance(change, DomainChange) and change.reason != ChangeReason.MOVED
        elif action is Action.REASSIGN or action is Action.REROUTE:
            rerouted += isinstance(change, DomainChange) and _is_reroute(change)
    return _PlanCounts(removed, rerouted, removes_account)


def _unconfirmed(
    key: AccountKey, totals: _PlanCounts, desired: DesiredAccount | None, guards: Guards
) -> DomainCounts:
    """The counts without a removal of the account that the manifests or the user confirm."""
    confirmed = desired.remove if desired is not None else None
    is_confirmed = totals.removes_account and (
        key in guards.remove_accounts or (confirmed is not None and totals.removed <= confirmed)
    )
    return DomainCounts(0 if is_confirmed else totals.removed, totals.rerouted)


def _is_reroute(change: DomainChange) -> bool:
    if change.action is Action.REASSIGN:
        return True
    by_apply_all = change.after is not None and change.after.origin is Origin.APPLY_ALL
    return change.action is Action.REROUTE and not by_apply_all
