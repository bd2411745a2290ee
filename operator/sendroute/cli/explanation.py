"""What mail from one sender takes, and why: decided from the store's record alone.

A nexthop is an alias that names one revision of one profile, ``p42r7``, or of the managed relay,
``m0r3``: the very names that Postfix is given.
"""

from typing import Any, NamedTuple, assert_never

from sendroute.cli.moments import moment
from sendroute.model.current import DomainState
from sendroute.model.nexthop import RELAY_ID, Alias
from sendroute.model.profile import Encryption
from sendroute.model.route import Origin, RouteKind
from sendroute.model.secret import PLATFORM_NAMESPACE
from sendroute.reports.states import as_manifest
from sendroute.store.records import ExplainFacts, HistoryEntry, RouteRow

_REFUSED = "mail from it is refused with 5.7.1"


class Nexthop(NamedTuple):
    """Where mail goes; ``namespace`` is that of the secret."""

    alias: str
    host: str
    port: int
    encryption: Encryption
    secret: str | None
    namespace: str

    @property
    def transport(self) -> str:
        """As the transport table names it, ``transport:[alias]:port`` (Postfix, transport(5))."""
        return f"sendroute-{self.encryption}:[{self.alias}]:{self.port}"


class Explanation(NamedTuple):
    """``domain`` is the A-label, None for the null sender; ``row`` None where the store knows no
    such domain; ``nexthop`` None where mail is refused; ``given`` the change that gave the
    route."""

    address: str
    domain: str | None
    route: dict[str, Any] | None
    row: RouteRow | None
    nexthop: Nexthop | None
    limits: dict[str, Any] | None
    reason: str
    given: HistoryEntry | None = None

    def as_document(self) -> dict[str, Any]:
        """The keys of the design's ``explain -o json``."""
        row, to, given = self.row, self.nexthop, self.given
        return {
            "format_version": "1.0",
            "address": self.address,
            "domain": self.domain,
            "namespace": row.account.namespace if row else None,
            "account": row.account.name if row else None,
            "route": self.route,
            "origin": row.state.origin.value if row else None,
            "since": moment(row.since) if row else None,
            "transport": to.transport if to else None,
            "host": to.host if to else None,
            "port": to.port if to else None,
            "encryption": to.encryption.value if to else None,
            "credentials": {"secretRef": {"name": to.secret}} if to and to.secret else None,
            "limits": self.limits,
            "reason": self.reason,
            "change": _change(given) if given else None,
        }


def _change(given: HistoryEntry) -> dict[str, Any]:
    return {
        "revision": given.revision,
        "time": moment(given.at),
        "actor": given.actor,
        "commit": given.source_commit,
        "reason": given.reason,
    }


def explain_null_sender(facts: ExplainFacts) -> Explanation:
    """The null sender takes the managed relay where the platform has one, else it is refused."""
    nexthop = _managed(facts)
    if nexthop is None:
        reason = "The null sender is refused with 5.7.1: the platform has no managed relay."
        return Explanation("<>", None, None, None, None, None, reason)
    reason = "The null sender, that of bounces, takes the platform's managed relay."
    return Explanation("<>", None, {"managed": {}}, None, nexthop, None, reason)


def explain_domain(address: str, domain: str, facts: ExplainFacts) -> Explanation:
    """``domain`` as its A-label, or whatever was typed where it can be none."""
    row = facts.row
    if row is None:
        reason = f"No account has the domain {domain}: {_REFUSED}."
        return Explanation(address, domain, None, None, None, None, reason)
    nexthop, limits = None, None
    why = _because(row.state)
    match row.state.route.kind:
        case RouteKind.UNCONFIGURED:
            reason = f"{domain} is unconfigured, {why}: {_REFUSED}."
        case RouteKind.MANAGED:
            nexthop, limits = _managed(facts), _plan_limits(facts)
            reason = f"{domain} is sent by the managed relay, {why}."
        case RouteKind.PROFILE:
            nexthop, limits = _through_profile(facts), _profile_limits(facts)
            reason = f"{domain} is sent through profile {row.state.route.profile}, {why}."
        case _:
            assert_never(row.state.route.kind)
    route = row.state.route.as_manifest()
    return Explanation(address, domain, route, row, nexthop, limits, reason, facts.given)


def _because(state: DomainState) -> str:
    match state.origin:
        case Origin.DECLARED:
            because = "for its manifest declares it"
        case Origin.DEFAULT:
            because = "for that was the account's default when it was created"
        case Origin.APPLY_ALL:
            because = f"for the apply-all {state.shadow} gave it to every domain of the account"
        case Origin.REASSIGNED:
            because = "for the route it had before cannot be had any more"
        case _:
            assert_never(state.origin)
    if state.shadow is not None and state.declared not in (None, state.route):
        because += f", which shadows its declared route, {state.declared}"
    return because


def _managed(facts: ExplainFacts) -> Nexthop | None:
    if facts.platform is None or facts.platform.managed is None:
        return None
    relay = facts.platform.managed.relay
    alias = str(Alias(RELAY_ID, facts.platform_version))
    return Nexthop(
        alias, relay.host, relay.port, relay.encryption, relay.secret, PLATFORM_NAMESPACE
    )


def _through_profile(facts: ExplainFacts) -> Nexthop | None:
    stored = facts.profile
    if stored is None:
        return None
    profile, alias = stored.profile, str(Alias(stored.id, stored.version))
    namespace = stored.account.namespace
    return Nexthop(alias, profile.host, profile.port, profile.encryption, profile.secret, namespace)


def _profile_limits(facts: ExplainFacts) -> dict[str, Any] | None:
    return as_manifest(facts.profile.profile).get("limits") if facts.profile else None


def _plan_limits(facts: ExplainFacts) -> dict[str, Any] | None:
    """What the account's plan allows on the managed relay."""
    if facts.platform is None:
        return None
    plans = as_manifest(facts.platform)["plans"]
    return next((plan.get("limits") for plan in plans if plan["name"] == facts.plan), None)
