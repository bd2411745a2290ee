"""The rows of Postfix's lookup tables, from the record alone.

Five flat tables, each of keys and values:

========== ============================ =========================================================
table      key                          value
========== ============================ =========================================================
access     sender domain, ``<>``        ``OK``, or ``REJECT 5.7.1 …`` (access(5))
transport  sender domain, ``<>``        ``sendroute-starttls:[p42r7]:587`` (transport(5))
credentials ``p42r7``                   ``user:password`` (SASL_README, "smtp_sasl_password_maps")
tls_policy ``[p42r7]:587``              ``secure match=… servername=…`` (TLS_README, "Client TLS
                                        security levels")
senders    sender domain                the logins that may send as it, separated by commas
                                        (postconf(5), ``smtpd_sender_login_maps``)
========== ============================ =========================================================

A domain has a row for its A-label and one for its U-label, because a client may send either (RFC
6531). A nexthop whose credential is missing has no row in ``transport``: mail waits, and is never
sent without signing in.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from sendroute.delivery.explain import Nexthop, explain_null_sender
from sendroute.delivery.sender import NULL_SENDER, domain_keys
from sendroute.model.credential import Credential
from sendroute.model.nexthop import RELAY_ID, Alias
from sendroute.model.profile import Encryption
from sendroute.model.records import DomainRoute, Endpoint, ExplainFacts
from sendroute.model.route import RouteKind
from sendroute.model.secret import SecretBinding
from sendroute.model.smtp_client import tls_policy

OK = "OK"
UNCONFIGURED = (
    "REJECT 5.7.1 This sender domain has no outbound route. Assign managed sending or an SMTP"
    " profile to it."
)
NO_NULL_SENDER = "REJECT 5.7.1 This platform sends no bounces: it has no relay for the null sender."


class DomainRow(NamedTuple):
    """One sender domain in ``access``, ``transport`` and ``senders``. ``alias`` is that of its
    nexthop, None for no route; ``logins`` are the clients that may send as it, None for any.
    ``access`` is None for a domain that is in no table."""

    key: str
    access: str | None
    alias: str | None
    logins: str | None = None


class NexthopRows(NamedTuple):
    """One nexthop in all tables. ``owner`` says whose it is. ``host`` is the name that the alias
    stands for, None if the nexthop needs no alias. ``transport`` is None while mail must not take
    it."""

    alias: str
    owner: str
    host: str | None
    transport: str | None
    credential: str | None
    policy_key: str
    policy: str | None


def domain_rows(route: DomainRoute, relay_version: int) -> Iterable[DomainRow]:
    """The rows of one sender domain.

    Args:
        route: the domain and its route.
        relay_version: the version of the managed relay.

    Returns:
        A row for each key.
    """
    access, alias = _decided(route, relay_version)
    logins = ", ".join(route.logins) or None
    return [DomainRow(key, access, alias, logins) for key in domain_keys(route.domain)]


def _decided(route: DomainRoute, relay_version: int) -> tuple[str | None, str | None]:
    match route.kind:
        case None:
            return None, None
        case RouteKind.UNCONFIGURED:
            return UNCONFIGURED, None
        case RouteKind.MANAGED:
            return OK, _alias(RELAY_ID, relay_version)
        case _:
            return OK, None if route.profile is None else _alias(*route.profile)


@lru_cache(10_000)  # a million domains have some thousand profiles
def _alias(profile: int, version: int) -> str:
    return str(Alias(profile, version))


def null_sender_row(facts: ExplainFacts) -> DomainRow:
    """The row of the null sender of bounces, decided as
    :func:`~sendroute.delivery.explain.explain_null_sender` explains it.

    Args:
        facts: the platform, and the endpoints of the store.

    Returns:
        The row, which refuses the null sender if it has no nexthop.
    """
    nexthop = explain_null_sender(facts).nexthop
    if nexthop is None:
        return DomainRow(NULL_SENDER, NO_NULL_SENDER, None)
    return DomainRow(NULL_SENDER, OK, nexthop.alias)


def nexthop_of(endpoint: Endpoint) -> Nexthop:
    """The nexthop of an endpoint. The name of its secret is not known here."""
    bound = endpoint.binding
    return Nexthop(endpoint.alias, bound.host, bound.port, bound.encryption, None, bound.namespace)


def nexthop_rows(
    endpoint: Endpoint, *, signs_in: bool, credential: Credential | None
) -> NexthopRows:
    """The rows of one nexthop.

    Args:
        endpoint: one revision of a profile, or of a relay of the platform.
        signs_in: whether its mail is sent with a credential.
        credential: the credential; None if there is none, or if no key decrypts it.

    Returns:
        The rows. Without the credential that it needs it has no ``transport``.
    """
    nexthop = nexthop_of(endpoint)
    bound = endpoint.binding
    usable = credential if signs_in else None
    return NexthopRows(
        nexthop.alias,
        bound.title,
        None if nexthop.site != nexthop.alias else bound.host.removesuffix("."),
        None if signs_in and credential is None else nexthop.transport,
        f"{usable.username}:{usable.password}" if usable is not None else None,
        nexthop.destination,
        tls_policy_value(bound),
    )


def tls_policy_value(bound: SecretBinding) -> str | None:
    """The TLS policy of a destination, for ``smtp_tls_policy_maps`` (postconf(5)): the certificate
    must be valid for the host. None without TLS."""
    policy = tls_policy(bound)
    if policy.mode is Encryption.NONE:
        return None
    value = f"secure match={policy.verify}"
    return f"{value} servername={policy.sni}" if policy.sni is not None else value
