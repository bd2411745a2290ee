"""The route of mail from one sender, and the reason for it, from the store alone.

The alias of a nexthop identifies one version of one profile, ``p42r7``, of the managed relay,
``m0r3``, or of the bounce relay, ``b0r3``. Postfix gets the same aliases.
"""

from typing import Any, NamedTuple, assert_never

from sendroute.delivery.sender import NULL_SENDER, is_looked_up_as
from sendroute.model.current import DomainState
from sendroute.model.manifest_form import limits_form, service_form
from sendroute.model.nexthop import BOUNCES_ID, RELAY_ID, Alias
from sendroute.model.platform import Managed, Relay
from sendroute.model.profile import Encryption
from sendroute.model.records import ExplainFacts, HistoryEntry, RouteRow
from sendroute.model.route import Origin, RouteKind
from sendroute.model.secret import PLATFORM_NAMESPACE
from sendroute.model.smtp_client import is_address
from sendroute.model.times import rfc3339

_REFUSED = "mail from it is refused with 5.7.1"


class Nexthop(NamedTuple):
    """The host that mail is handed to; ``namespace`` is that of the secret."""

    alias: str
    host: str
    port: int
    encryption: Encryption
    secret: str | None
    namespace: str

    @property
    def site(self) -> str:
        """The host in Postfix's tables: the alias, or an address, which has no alias. Only a relay
        without credentials has an address, so no credential is ever looked up by it."""
        return self.host if is_address(self.host) else self.alias

    @property
    def destination(self) -> str:
        """The key of the TLS policy, ``[p42r7]:587`` (postconf(5), ``smtp_tls_policy_maps``)."""
        return f"[{self.site}]:{self.port}"

    @property
    def transport(self) -> str:
        """The entry of the transport table, ``transport:[alias]:port`` (Postfix, transport(5))."""
        return f"sendroute-{self.encryption}:{self.destination}"


class Explanation(NamedTuple):
    """``domain`` is the A-label, None for the null sender. ``row`` is None if the store does not
    have the domain, ``nexthop`` if mail is refused. ``assignment`` is the change that gave the
    route. ``service`` is set for a managed domain: what its users configure to send. ``logins`` are
    the names of the authenticated clients that may send as the domain; None if any may."""

    address: str
    domain: str | None
    route: dict[str, Any] | None
    row: RouteRow | None
    nexthop: Nexthop | None
    limits: dict[str, Any] | None
    reason: str
    assignment: HistoryEntry | None = None
    service: Managed | None = None
    logins: tuple[str, ...] | None = None

    def as_document(self) -> dict[str, Any]:
        """Return the explanation as a JSON report shows it."""
        row, to, assignment = self.row, self.nexthop, self.assignment
        return {
            "format_version": "1.0",
            "address": self.address,
            "domain": self.domain,
            "namespace": row.account.namespace if row else None,
            "account": row.account.name if row else None,
            "route": self.route,
            "origin": row.state.origin.value if row else None,
            "since": rfc3339(row.since) if row else None,
            "transport": to.transport if to else None,
            "host": to.host if to else None,
            "port": to.port if to else None,
            "encryption": to.encryption.value if to else None,
            "credentials": {"secretRef": {"name": to.secret}} if to and to.secret else None,
            "managed_service": service_form(self.service) if self.service else None,
            "limits": self.limits,
            "limits_enforced": False if self.limits else None,
            "logins": list(self.logins) if self.logins is not None else None,
            "reason": self.reason,
            "change": change_document(assignment) if assignment else None,
        }


def change_document(assignment: HistoryEntry) -> dict[str, Any]:
    """Return a change as a JSON report shows it.

    Args:
        assignment: the change, as the history has it.

    Returns:
        Its revision, time, actor, commit and reason.
    """
    return {
        "revision": assignment.revision,
        "time": rfc3339(assignment.at),
        "actor": assignment.actor,
        "commit": assignment.source_commit,
        "reason": assignment.reason,
    }


def explain_null_sender(facts: ExplainFacts) -> Explanation:
    """Explain the route of the null sender of bounces (RFC 5321, 4.5.5): the platform's bounce
    relay, else its managed relay. Without both, its mail is refused (rules: relay).

    Args:
        facts: the platform, and the endpoints of the store.

    Returns:
        The explanation; without a nexthop, its reason is the refusal.
    """
    platform = facts.platform
    if platform is not None and platform.bounces:
        reason = "The null sender of bounces takes the platform's bounce relay."
        nexthop = _relay_nexthop(platform.bounces, BOUNCES_ID, facts)
        return Explanation(NULL_SENDER, None, None, None, nexthop, None, reason)
    managed = _managed_nexthop(facts)
    if managed is None:
        reason = (
            "The null sender is refused with 5.7.1: the platform has neither a bounce relay"
            " nor a managed relay."
        )
        return Explanation(NULL_SENDER, None, None, None, None, None, reason)
    reason = "The null sender of bounces takes the platform's managed relay."
    return Explanation(NULL_SENDER, None, {"managed": {}}, None, managed, None, reason)


def explain_domain(address: str, domain: str, facts: ExplainFacts) -> Explanation:
    """Explain the route of mail from an address.

    Args:
        address: the envelope sender, as typed.
        domain: its domain as an A-label, or as typed if it cannot be one.
        facts: what the store knows about that domain.

    Returns:
        The route, the nexthop and the reason.
    """
    row = facts.row
    if row is None:
        reason = f"No account has the domain {domain}: {_REFUSED}."
        return Explanation(address, domain, None, None, None, None, reason)
    nexthop, limits, service = None, None, None
    if not is_looked_up_as(address, domain):
        reason = (
            "A relay refuses this form of the domain, which Postfix looks up as another name;"
            f" mail from {domain} is accepted."
        )
        route = row.state.route.as_manifest()
        return Explanation(address, domain, route, row, None, None, reason)
    origin = _origin_clause(row.state)
    match row.state.route.kind:
        case RouteKind.UNCONFIGURED:
            reason = f"{domain} is unconfigured {origin}: {_REFUSED}."
        case RouteKind.MANAGED:
            nexthop, limits = _managed_nexthop(facts), _plan_limits(facts)
            service = facts.platform.managed if facts.platform else None
            reason = f"{domain} is sent through the managed relay {origin}."
        case RouteKind.PROFILE:
            nexthop, limits = _through_profile(facts), _profile_limits(facts)
            reason = f"{domain} is sent through profile {row.state.route.profile} {origin}."
        case _:
            assert_never(row.state.route.kind)
    route = row.state.route.as_manifest()
    return Explanation(
        address,
        domain,
        route,
        row,
        nexthop,
        limits,
        reason,
        facts.assignment,
        service,
        facts.logins or None,
    )


def _origin_clause(state: DomainState) -> str:
    match state.origin:
        case Origin.DECLARED:
            clause = "because its manifest declares it"
        case Origin.DEFAULT:
            clause = "because it was the account's default when the domain was created"
        case Origin.APPLY_ALL:
            clause = f"because the apply-all {state.shadow} switched every domain of the account"
        case Origin.REASSIGNED:
            clause = "because its previous route was not satisfiable when it was reassigned"
        case _:
            assert_never(state.origin)
    if state.is_shadowed:
        clause += (
            f"; it shadows the declared route, {state.declared}, until the manifest sets"
            " spec.overrides to that id, or declares another route"
        )
    return clause


def _managed_nexthop(facts: ExplainFacts) -> Nexthop | None:
    if facts.platform is None or facts.platform.managed is None:
        return None
    return _relay_nexthop(facts.platform.managed.relay, RELAY_ID, facts)


def _relay_nexthop(relay: Relay, number: int, facts: ExplainFacts) -> Nexthop:
    alias = str(Alias(number, facts.platform_version))
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
    return limits_form(facts.profile.profile.limits) if facts.profile else None


def _plan_limits(facts: ExplainFacts) -> dict[str, Any] | None:
    """The limits of the account's service plan, which apply on the managed relay."""
    plan = facts.platform.plan(facts.plan) if facts.platform and facts.plan else None
    return limits_form(plan.limits) if plan is not None else None
