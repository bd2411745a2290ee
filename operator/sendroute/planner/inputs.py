"""One account's case: everything its plan is decided from, gathered before any rule looks."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, DesiredAccount
from sendroute.model.platform import ServicePlan
from sendroute.model.profile import Profile
from sendroute.model.route import MANAGED, UNCONFIGURED, Route, via


class Claims(Struct, frozen=True):
    """What the other accounts mean for one account's domains.

    ``denied``: domains it declares but does not get in this change; ``waiting``: those of them
    that another account holds and would give up, with that account's key. ``retained``: domains it
    holds and keeps although it no longer declares them; ``unmoved``: those of them that would move
    to another account, with its key. ``outgoing`` and ``incoming``: moves, with the other account's
    key.
    """

    denied: frozenset[str] = frozenset()
    retained: frozenset[str] = frozenset()
    waiting: dict[str, AccountKey] = field(default_factory=dict)
    unmoved: dict[str, AccountKey] = field(default_factory=dict)
    outgoing: dict[str, AccountKey] = field(default_factory=dict)
    incoming: dict[str, AccountKey] = field(default_factory=dict)


class AccountInput(Struct, frozen=True):
    """``failed`` names the profiles that were tried for this change and may not be saved, each
    with the code that says why; ``rotated`` those whose secret's content changed."""

    desired: DesiredAccount
    current: CurrentAccount
    plan: ServicePlan
    claims: Claims = Claims()
    failed: Mapping[str, str] = {}
    rotated: frozenset[str] = frozenset()

    @property
    def key(self) -> AccountKey:
        return self.desired.key


class RouteContext(Struct, frozen=True):
    """What steps 1 and 2 of a change have settled, for every domain alike.

    ``removed`` are the profiles that go in this change, ``waiting`` the new or changed ones that
    were not saved: nothing newly depends on them. ``default`` is what a new domain without a
    declared route starts on, None while that waits for such a profile.
    """

    plan_default: Route
    satisfiable: frozenset[Route]
    removed: dict[str, Profile]
    waiting: frozenset[str]
    default: Route | None


def satisfiable_routes(plan: ServicePlan, profiles: Iterable[str]) -> frozenset[Route]:
    """``profiles``: the names of those that exist after the change."""
    routes = {UNCONFIGURED, *(via(name) for name in profiles)}
    if plan.managed:
        routes.add(MANAGED)
    return frozenset(routes)
