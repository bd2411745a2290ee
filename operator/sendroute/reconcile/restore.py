"""Which credentials are restored with a store's earlier state."""

from typing import assert_never

from sendroute.model.change import (
    AccountChange,
    Change,
    DomainChange,
    Plan,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.owner import PLATFORM, RELAY, Owner
from sendroute.model.platform import Relay
from sendroute.model.profile import Profile
from sendroute.planner.platform import relay_of
from sendroute.planner.profiles import needs_test
from sendroute.reconcile.record import Sealed


def credentials_to_restore(plan: Plan, saved: Sealed) -> Sealed:
    """Of the ``saved`` credentials those whose destination is created again or changes. A
    destination that stays keeps its present credential, which may have been rotated since."""
    restored: dict[Owner, dict[str, str]] = {}
    changes = [change for account in plan.accounts for change in account.changes]
    for change in (*changes, *([plan.platform] if plan.platform is not None else ())):
        key, name, before, after = _destinations(change)
        token = saved.get(key, {}).get(name)
        if after is not None and token is not None and needs_test(before, after):
            restored.setdefault(key, {})[name] = token
    return restored


_Destination = Profile | Relay | None


def _destinations(change: Change) -> tuple[Owner, str, _Destination, _Destination]:
    """The owner and the name of the destination that a change writes, before and after."""
    match change:
        case ProfileChange():
            return change.account, change.name, change.before, change.after
        case PlatformChange():
            return PLATFORM, RELAY, relay_of(change.before), relay_of(change.after)
        case AccountChange() | DomainChange():
            return change.account, change.name, None, None
        case _:
            assert_never(change)
