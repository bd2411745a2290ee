"""Which credentials go along when a store goes back to an earlier state."""

from typing import assert_never

from sendroute.model.change import (
    PLATFORM_KEY,
    RELAY,
    AccountChange,
    Change,
    DomainChange,
    Plan,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.desired import AccountKey
from sendroute.model.platform import Relay
from sendroute.model.profile import Profile
from sendroute.planner.platform import relay_of
from sendroute.planner.profiles import needs_test
from sendroute.reconcile.record import Sealed


def credentials_back(plan: Plan, then: Sealed) -> Sealed:
    """Of the sealed credentials ``then`` those of destinations that are made again or become other
    ones. What goes on where it goes keeps the one it has: that may have been rotated since."""
    back: dict[AccountKey, dict[str, str]] = {}
    changes = [change for account in plan.accounts for change in account.changes]
    for change in (*changes, *([plan.platform] if plan.platform is not None else ())):
        key, name, before, after = _destinations(change)
        token = then.get(key, {}).get(name)
        if after is not None and token is not None and needs_test(before, after):
            back.setdefault(key, {})[name] = token
    return back


_Destination = Profile | Relay | None


def _destinations(change: Change) -> tuple[AccountKey, str, _Destination, _Destination]:
    """The owner and the name of the destination that a change writes, before and after."""
    match change:
        case ProfileChange():
            return change.account, change.name, change.before, change.after
        case PlatformChange():
            return PLATFORM_KEY, RELAY, relay_of(change.before), relay_of(change.after)
        case AccountChange() | DomainChange():
            return change.account, change.name, None, None
        case _:
            assert_never(change)
