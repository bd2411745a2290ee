"""What mail from one sender takes, and why: decided from the store's record alone.

It says what Postfix is given (:mod:`relay tables <sendroute.store>`): the same nexthop aliases.
"""

from typing import Any, NamedTuple, assert_never

from sendroute.model.held import DomainState
from sendroute.model.platform import Platform
from sendroute.model.profile import Encryption, Profile
from sendroute.model.route import Origin, RouteKind
from sendroute.model.wanted import AccountKey
from sendroute.reports.states import as_manifest

_REFUSED = "mail from it is refused with 5.7.1"
PLATFORM_NAMESPACE = "default"


class Nexthop(NamedTuple):
    """Where mail goes. ``alias`` names one revision of one profile; ``namespace`` is that of the
    secret."""

    alias: str
    host: str
    port: int
    encryption: Encryption
    secret: str | None
    namespace: str

    @property
    def transport(self) -> str:
        """As the transport table names it: transport:[alias]:port (postfix transport(5))."""
        return f"sendroute-{self.encryption}:[{self.alias}]:{self.port}"


class Assigned(NamedTuple):
    """A sending domain as the store holds it: ``since`` is the time of the change that assigned
    its route, ``plan`` the account's plan."""

    account: AccountKey
    state: DomainState
    since: str
    plan: str
    profile: Profile | None
    alias: str | None


class Explanation(NamedTuple):
    """``domain`` is the A-label, None for the null sender; ``assigned`` None where the store
    knows no such domain; ``nexthop`` None where mail is refused."""

    address: str
    domain: str | None
    assigned: Assigned | None
    nexthop: Nexthop | None
    limits: dict[str, Any] | None
    reason: str

    def as_document(self) -> dict[str, Any]:
        """The keys of the design's ``explain -o json``."""
        held, to = self.assigned, self.nexthop
        return {
            "address": self.address,
            "domain": self.domain,
            "namespace": held.account.namespace if held else None,
            "account": held.account.name if held else None,
            "route": held.state.route.as_manifest() if held else _NULL_ROUTE[to is not None],
            "origin": held.state.origin.value if held else None,
            "since": held.since if held else None,
            "transport": to.transport if to else None,
            "host": to.host if to else None,
            "port": to.port if to else None,
            "encryption": to.encryption.value if to else None,
            "credentials": {"secretRef": {"name": to.secret}} if to and to.secret else None,
            "limits": self.limits,
            "reason": self.reason,
        }


_NULL_ROUTE: dict[bool, dict[str, Any] | None] = {True: {"managed": {}}, False: None}


def explain_null_sender(platform: Platform | None, alias: str | None) -> Explanation:
    """The null sender takes the managed relay where the platform has one, else it is refused."""
    nexthop = _managed(platform, alias)
    if nexthop is None:
        reason = "The null sender is refused with 5.7.1: the platform has no managed relay."
    else:
        reason = "The null sender (bounces) takes the platform's managed relay."
    return Explanation("<>", None, None, nexthop, None, reason)


def explain_unknown(address: str, domain: str) -> Explanation:
    reason = f"No account has the domain {domain}: {_REFUSED}."
    return Explanation(address, domain, None, None, None, reason)


def explain_assigned(
    address: str, domain: str, held: Assigned, platform: Platform | None, managed: str | None
) -> Explanation:
    """``managed`` is the alias of the platform's relay."""
    why = f"{domain} has it {_because(held.state)}"
    match held.state.route.kind:
        case RouteKind.UNCONFIGURED:
            reason = f"{domain} is unconfigured ({_because(held.state)}): {_REFUSED}."
            return Explanation(address, domain, held, None, None, reason)
        case RouteKind.MANAGED:
            plan = platform.plan(held.plan) if platform else None
            nexthop = _managed(platform, managed)
            limits = _plan_limits(platform, plan.name if plan else None)
            reason = f"Managed sending: {why}."
        case RouteKind.PROFILE:
            nexthop = _through(held)
            limits = as_manifest(held.profile).get("limits") if held.profile else None
            reason = f"Profile {held.state.route.profile}: {why}."
        case _:
            assert_never(held.state.route.kind)
    return Explanation(address, domain, held, nexthop, limits, reason)


def _because(state: DomainState) -> str:
    match state.origin:
        case Origin.DECLARED:
            because = "because its manifest declares it"
        case Origin.DEFAULT:
            because = "because that was the account's default when it was created"
        case Origin.APPLY_ALL:
            because = "because an apply-all gave it to every domain of the account"
        case Origin.REASSIGNED:
            because = "because the route it had before cannot be had any more"
        case _:
            assert_never(state.origin)
    if state.shadow is not None and state.declared not in (None, state.route):
        because += f"; its declared route, {state.declared}, is shadowed by apply-all {state.shadow}"
    return because


def _managed(platform: Platform | None, alias: str | None) -> Nexthop | None:
    if platform is None or platform.managed is None or alias is None:
        return None
    relay = platform.managed.relay
    return Nexthop(
        alias, relay.host, relay.port, relay.encryption, relay.secret, PLATFORM_NAMESPACE
    )


def _through(held: Assigned) -> Nexthop | None:
    profile = held.profile
    if profile is None or held.alias is None:
        return None
    return Nexthop(
        held.alias,
        profile.host,
        profile.port,
        profile.encryption,
        profile.secret,
        held.account.namespace,
    )


def _plan_limits(platform: Platform | None, plan: str | None) -> dict[str, Any] | None:
    if platform is None or plan is None:
        return None
    plans = as_manifest(platform)["plans"]
    limits: dict[str, Any] | None = next(p.get("limits") for p in plans if p["name"] == plan)
    return limits
