"""Back to an earlier state: the difference of two records, as changes like any others.

No rule decides here and no guard: what was assigned then is assigned again, with its origin, its
declared route and its shadow, whatever today's manifests say. The next plan decides by those.
"""

from collections.abc import Iterator

from msgspec import Struct

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    DomainChange,
    ObjectChange,
    Plan,
    PlatformChange,
    ProfileChange,
    State,
)
from sendroute.model.current import Current, CurrentAccount, RanApplyAll
from sendroute.model.desired import AccountKey

REASON = "restored"


class Restoration(Struct, frozen=True):
    """``plan`` leads from what is held to what was; all of it is one transaction. ``ran`` are
    apply-alls that ran by then and are not known now: ids stay for ever, so both are kept."""

    plan: Plan
    ran: dict[AccountKey, dict[str, RanApplyAll]]

    @property
    def is_empty(self) -> bool:
        return not (self.plan.accounts or self.plan.platform or self.ran)


def plan_restore(now: Current, then: Current) -> Restoration:
    """What brings the record back to ``then``: the state of the same store at another revision.

    A platform that was recorded since then stays, for a platform is changed, never removed.
    """
    at = f"as at revision {then.revision}"
    holder = {name: key for key, current in then.accounts.items() for name in current.domains}
    accounts = []
    for key in sorted(now.accounts.keys() | then.accounts.keys()):
        before = now.accounts.get(key) or CurrentAccount(key, 0, None)
        after = then.accounts.get(key) or CurrentAccount(key, 0, None)
        changes: tuple[ObjectChange, ...] = (
            *_account(before, after, at),
            *_profiles(before, after, at),
            *_domains(before, after, holder, at),
        )
        if changes:
            accounts.append(AccountPlan(key, before.revision, changes))
    keys = tuple(account.key for account in accounts)
    plan = Plan(
        now.lineage,
        now.revision,
        _platform(now, then, at),
        tuple(accounts),
        (keys,) if len(keys) > 1 else (),
    )
    return Restoration(plan, _forgotten(now, then))


def _platform(now: Current, then: Current, at: str) -> PlatformChange | None:
    if then.platform is None or then.platform == now.platform:
        return None
    message = f"The platform is {at}."
    action = _action(now.platform, then.platform)
    return PlatformChange(action, now.platform, then.platform, REASON, message)


def _account(before: CurrentAccount, after: CurrentAccount, at: str) -> Iterator[AccountChange]:
    if before.state != after.state:
        name = before.key.name
        told = f"Account {name} is not there, {at}."
        if after.state is not None:
            told = f"Account {name} is {at}."
        action = _action(before.state, after.state)
        yield AccountChange(before.key, name, action, before.state, after.state, REASON, told)


def _profiles(before: CurrentAccount, after: CurrentAccount, at: str) -> Iterator[ProfileChange]:
    for name in sorted(before.profiles.keys() | after.profiles.keys()):
        was, will = before.profiles.get(name), after.profiles.get(name)
        if was != will:
            told = f"Profile {name} is {'not there, ' if will is None else ''}{at}."
            yield ProfileChange(before.key, name, _action(was, will), was, will, REASON, told)


def _domains(
    before: CurrentAccount, after: CurrentAccount, holder: dict[str, AccountKey], at: str
) -> Iterator[DomainChange]:
    for name in sorted(before.domains.keys() | after.domains.keys()):
        was, will = before.domains.get(name), after.domains.get(name)
        if was == will:
            continue
        if will is not None:
            told = f"{name} is {at}."
        elif name in holder:
            told = f"{name} is of account {holder[name]}, {at}."
        else:
            told = f"{name} is not there, {at}; it may not send."
        action = _action(was, will)
        if was is not None and will is not None and was.route != will.route:
            action = Action.REROUTE
        yield DomainChange(before.key, name, action, was, will, REASON, told)


def _action(was: State | None, will: State | None) -> Action:
    if was is None:
        return Action.CREATE
    if will is None:
        return Action.DELETE
    return Action.UPDATE


def _forgotten(now: Current, then: Current) -> dict[AccountKey, dict[str, RanApplyAll]]:
    found = {}
    for key, account in sorted(then.accounts.items()):
        known = now.accounts[key].ran if key in now.accounts else {}
        missing = {ran_id: ran for ran_id, ran in account.ran.items() if ran_id not in known}
        if missing:
            found[key] = missing
    return found
