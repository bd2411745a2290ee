"""Restore: the difference between the store's current and an earlier state, as ordinary changes.

No rule and no guard applies: every route is assigned again as it was, with its origin, its declared
route and its shadow, independently of the present manifests. The next plan applies the manifests.
"""

from collections.abc import Iterator

from msgspec import Struct

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    ChangeReason,
    DomainChange,
    ObjectChange,
    Plan,
    PlatformChange,
    ProfileChange,
    State,
)
from sendroute.model.current import Current, CurrentAccount, RanApplyAll
from sendroute.model.desired import AccountKey

_REASON = ChangeReason.RESTORED


class RestorePlan(Struct, frozen=True):
    """``plan`` leads from the present state to the earlier one; it is committed as one transaction.
    ``apply_alls`` ran before the earlier state and are unknown to the present one: their ids stay
    used forever."""

    plan: Plan
    apply_alls: dict[AccountKey, dict[str, RanApplyAll]]

    @property
    def is_empty(self) -> bool:
        """Whether the restore changes nothing."""
        return not (self.plan.accounts or self.plan.platform or self.apply_alls)


def plan_restore(current: Current, target: Current) -> RestorePlan:
    """Plan the changes from the current state to an earlier one.

    A platform that was recorded after the earlier state stays, because a platform is never removed.

    Args:
        current: the present state of the store.
        target: a state of the same store at another revision.

    Returns:
        The plan, and the apply-alls that the store does not know.
    """
    at = f"at revision {target.revision}"
    holder = {name: key for key, account in target.accounts.items() for name in account.domains}
    accounts = []
    for key in sorted(current.accounts.keys() | target.accounts.keys()):
        before = current.account(key)
        after = target.account(key)
        changes: tuple[ObjectChange, ...] = (
            *_account_changes(before, after, at),
            *_profiles(before, after, at),
            *_domains(before, after, holder, at),
        )
        if changes:
            accounts.append(AccountPlan(key, before.revision, changes))
    keys = tuple(account.key for account in accounts)
    plan = Plan(
        current.lineage,
        current.revision,
        _platform(current, target, at),
        tuple(accounts),
        (keys,) if len(keys) > 1 else (),
    )
    return RestorePlan(plan, _unknown_apply_alls(current, target))


def _platform(current: Current, target: Current, at: str) -> PlatformChange | None:
    if target.platform is None or target.platform == current.platform:
        return None
    message = f"The platform becomes what it was {at}."
    action = _object_action(current.platform, target.platform)
    return PlatformChange(action, current.platform, target.platform, _REASON, message)


def _account_changes(
    before: CurrentAccount, after: CurrentAccount, at: str
) -> Iterator[AccountChange]:
    if before.state != after.state:
        message = f"Account {before.key} did not exist {at}."
        if after.state is not None:
            message = f"Account {before.key} becomes what it was {at}."
        action = _object_action(before.state, after.state)
        yield AccountChange(
            before.key, before.key.name, action, before.state, after.state, _REASON, message
        )


def _profiles(before: CurrentAccount, after: CurrentAccount, at: str) -> Iterator[ProfileChange]:
    for name in sorted(before.profiles.keys() | after.profiles.keys()):
        old, new = before.profiles.get(name), after.profiles.get(name)
        if old != new:
            state = "did not exist" if new is None else "becomes what it was"
            message = f"Profile {name} of account {before.key} {state} {at}."
            yield ProfileChange(
                before.key, name, _object_action(old, new), old, new, _REASON, message
            )


def _domains(
    before: CurrentAccount, after: CurrentAccount, holder: dict[str, AccountKey], at: str
) -> Iterator[DomainChange]:
    for name in sorted(before.domains.keys() | after.domains.keys()):
        old, new = before.domains.get(name), after.domains.get(name)
        if old == new:
            continue
        if new is not None:
            message = f"{name} becomes what it was {at}."
        elif name in holder:
            message = f"{name} belonged to account {holder[name]} {at}."
        else:
            message = f"{name} did not exist {at} and can no longer send."
        action = _object_action(old, new)
        if old is not None and new is not None and old.route != new.route:
            action = Action.REROUTE
        yield DomainChange(before.key, name, action, old, new, _REASON, message)


def _object_action(old: State | None, new: State | None) -> Action:
    if old is None:
        return Action.CREATE
    if new is None:
        return Action.DELETE
    return Action.UPDATE


def _unknown_apply_alls(
    current: Current, target: Current
) -> dict[AccountKey, dict[str, RanApplyAll]]:
    apply_alls = {}
    for key, account in sorted(target.accounts.items()):
        known = current.accounts[key].completed_apply_alls if key in current.accounts else {}
        missing = {
            ran_id: ran
            for ran_id, ran in account.completed_apply_alls.items()
            if ran_id not in known
        }
        if missing:
            apply_alls[key] = missing
    return apply_alls
