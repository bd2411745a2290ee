"""Guards: a change that is larger than expected needs a confirmation or an approval.

Three guards are for an account: it would lose, or reroute, too large a share of its domains, or go
as a whole without being asked to. Two are for the whole change: the accounts together would lose,
or reroute, too large a share of the domains in the store. Then every account that loses, or
reroutes, any is held back.

What counts is what the manifests would remove and reroute, whatever is held back for another
reason. A domain that moves, an apply-all and a confirmed removal of an account do not count.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from sendroute.model.change import AccountChange, AccountPlan, Action, DomainChange, DomainCounts
from sendroute.model.codes import Code, finding
from sendroute.model.desired import AccountKey, DesiredAccount
from sendroute.model.finding import Finding
from sendroute.model.remedy import Approve, ConfirmRemoval, GuardLimit, RaiseLimit, Remedy
from sendroute.model.route import Origin

FROM_DOMAINS = 10


class Guards(Struct, frozen=True):
    """The limits of one change: shares of the domains that an account, and the store, had before,
    in percent.

    ``approved`` maps an account to the digest of its approved plan, which the loop may apply. It is
    None for a command, where the user raises a limit with an option instead. ``remove_accounts``
    are the accounts whose removal the user confirms. ``allow_older_tree`` lets a tree through that
    lacks a commit which was applied before.
    """

    change_percent: int = 30
    remove_percent: int = 30
    approved: Mapping[AccountKey, str] | None = None
    remove_accounts: frozenset[AccountKey] = frozenset()
    allow_older_tree: bool = False

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
    ``domains``."""

    domains: int
    counts: DomainCounts


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
    removed = _removed_domains(plan)
    return DomainCounts(
        0 if _is_confirmed(plan, desired, guards, removed) else removed,
        sum(isinstance(change, DomainChange) and _is_reroute(change) for change in plan.changes),
    )


def check_guards(
    plan: AccountPlan,
    desired: DesiredAccount | None,
    domains: int,
    whole: ChangeSize,
    guards: Guards,
) -> tuple[Finding, ...]:
    """Check an account's plan against the limits.

    Args:
        plan: the plan.
        desired: its manifests; None if there are none.
        domains: the number of its domains before the change.
        whole: what the change would do to the whole store.
        guards: the limits.

    Returns:
        A refusal for each limit that is exceeded.
    """
    account = ChangeSize(domains, count_domains(plan, desired, guards))
    check = _Check(plan.key, desired, account, whole, guards)
    removed = _removed_domains(plan)
    refusals = []
    if _removes_account(plan) and removed and not _is_confirmed(plan, desired, guards, removed):
        refusals.append(check.account_removal(removed))
    refusals += check.limit("too-many-removals")
    refusals += check.limit("too-many-changes")
    return tuple(refusals)


def total(counts: Iterable[DomainCounts]) -> DomainCounts:
    """The sum of some counts."""
    removed = rerouted = 0
    for count in counts:
        removed += count.removed
        rerouted += count.rerouted
    return DomainCounts(removed, rerouted)


class _Check(Struct, frozen=True):
    """One account: ``account`` is what the change would do to its domains."""

    key: AccountKey
    desired: DesiredAccount | None
    account: ChangeSize
    whole: ChangeSize
    guards: Guards

    def account_removal(self, removed: int) -> Finding:
        confirmed = self.desired.remove if self.desired is not None else None
        number = f"{removed} domain{'' if removed == 1 else 's'}"
        if confirmed is None:
            message = (
                f"Account {self.key} is no longer in the manifests; applying them would remove it"
                f" with {number}."
            )
            hint = (
                f"To remove the account, declare spec.remove: {{confirm: {{domains: {removed}}}}}"
                " in its MailAccount, or confirm the removal."
            )
        else:
            message = (
                f"The removal of account {self.key} is confirmed for {confirmed} domains, but it"
                f" would remove {number}."
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
        count, whole = _count(self.account, removing), _count(self.whole, removing)
        percent = self.guards.remove_percent if removing else self.guards.change_percent
        would, limit = f"Applying the manifests would {verb}", f"the limit is {percent} %."
        kind = GuardLimit.REMOVALS if removing else GuardLimit.CHANGES
        hint = "If the change is intended, apply with a higher limit."
        if _exceeds(count, self.account.domains, percent):
            message = f"{would} {count} of the {self.account.domains} domains of account {self.key}"
            remedy = RaiseLimit(kind, _percent(count, self.account.domains))
            yield self._refusal(code, f"{message}; {limit}", hint, remedy)
            if self.account.domains == self.whole.domains:
                return  # the store has no other domains
        if count and _exceeds(whole, self.whole.domains, percent):
            message = (
                f"{would} {whole} of the {self.whole.domains} domains in the store, {count} of them"
                f" of account {self.key}"
            )
            remedy = RaiseLimit(kind, _percent(whole, self.whole.domains))
            yield self._refusal(code, f"{message}; {limit}", hint, remedy)

    def _refusal(self, code: str, message: str, hint: str, remedy: Remedy, *path: str) -> Finding:
        if self.guards.approved is not None:
            hint, remedy = "If the change is intended, approve it.", Approve(*self.key)
        where = None
        if self.desired is not None:
            where = self.desired.where.at("spec", *path) if path else self.desired.where
        return finding(code, message, hint=hint, remedy=remedy, where=where, account=self.key)


def _count(change: ChangeSize, removing: bool) -> int:
    return change.counts.removed if removing else change.counts.rerouted


def _exceeds(count: int, domains: int, percent: int) -> bool:
    return domains >= FROM_DOMAINS and count * 100 > percent * domains


def _percent(count: int, domains: int) -> int:
    """The lowest limit that lets this share through; all are counted, so at most 100."""
    return min(100, -(-count * 100 // domains))


def _removes_account(plan: AccountPlan) -> bool:
    return any(
        isinstance(change, AccountChange) and change.action is Action.DELETE
        for change in plan.changes
    )


def _removed_domains(plan: AccountPlan) -> int:
    """The domains that the plan removes; a domain that moves is not removed."""
    return sum(
        isinstance(change, DomainChange)
        and change.action is Action.DELETE
        and change.reason != "moved"
        for change in plan.changes
    )


def _is_confirmed(
    plan: AccountPlan, desired: DesiredAccount | None, guards: Guards, removed: int
) -> bool:
    """Whether the plan removes the account, and the manifests or the user confirm that."""
    if not _removes_account(plan):
        return False
    confirmed = desired.remove if desired is not None else None
    return plan.key in guards.remove_accounts or (confirmed is not None and removed <= confirmed)


def _is_reroute(change: DomainChange) -> bool:
    if change.action is Action.REASSIGN:
        return True
    by_apply_all = change.after is not None and change.after.origin is Origin.APPLY_ALL
    return change.action is Action.REROUTE and not by_apply_all
