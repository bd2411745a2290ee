"""Which credentials go along when a store goes back to an earlier state."""

from sendroute.model.change import PLATFORM_KEY, RELAY, Change, Plan
from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform, Relay
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
        key, name = _place(change)
        before, after = _destination(change.before), _destination(change.after)
        token = then.get(key, {}).get(name)
        if after is not None and token is not None and needs_test(before, after):
            back.setdefault(key, {})[name] = token
    return back


def _place(change: Change) -> tuple[AccountKey, str]:
    if isinstance(change.after, Platform):
        return PLATFORM_KEY, RELAY
    return change.account, change.name


def _destination(state: object) -> Profile | Relay | None:
    match state:
        case Profile():
            return state
        case Platform():
            return relay_of(state)
        case _:
            return None
