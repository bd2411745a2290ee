"""The rows of Postfix's lookup tables."""

from datetime import UTC, datetime

import pytest

from sendroute.delivery.explain import explain_domain, explain_null_sender
from sendroute.delivery.lookup_tables import (
    NO_NULL_SENDER,
    OK,
    UNCONFIGURED,
    DomainRow,
    domain_rows,
    nexthop_rows,
    null_sender_row,
)
from sendroute.model import owner, route
from sendroute.model.credential import Credential
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.platform import Managed, Platform, Relay
from sendroute.model.profile import Encryption, Profile
from sendroute.model.records import DomainRoute, Endpoint, ExplainFacts, RouteRow, StoredProfile
from sendroute.model.route import Origin, Route, RouteKind
from sendroute.model.secret import binding_of

ACME = AccountKey("acme", "acme")
SECRET = Credential("ada", "p:ss%word")
RELAY = Relay("relay.internal.example", 465, Encryption.TLS, secret="relay")
PLATFORM = Platform(Managed(None, "smtp.trekmail.example", (), RELAY), ())
WITHOUT_RELAY = Platform(None, ())


def endpoint(
    host: str = "smtp.provider.example", encryption: Encryption = Encryption.STARTTLS
) -> Endpoint:
    bound = binding_of(ACME, "ses", Profile(host, 587, encryption))
    return Endpoint(42, 7, bound, None, 1, None)


@pytest.mark.parametrize(
    ("encryption", "transport", "policy"),
    [
        (Encryption.NONE, "sendroute-none:[p42r7]:587", None),
        (
            Encryption.STARTTLS,
            "sendroute-starttls:[p42r7]:587",
            "secure match=smtp.provider.example servername=smtp.provider.example",
        ),
        (
            Encryption.TLS,
            "sendroute-tls:[p42r7]:587",
            "secure match=smtp.provider.example servername=smtp.provider.example",
        ),
    ],
)
def test_a_nexthop_is_an_alias_of_its_host(
    encryption: Encryption, transport: str, policy: str | None
) -> None:
    rows = nexthop_rows(endpoint(encryption=encryption), signs_in=True, credential=SECRET)
    assert rows.alias == "p42r7"
    assert rows.host == "smtp.provider.example"
    assert rows.transport == transport
    assert rows.credential == "ada:p:ss%word"
    assert (rows.policy_key, rows.policy) == ("[p42r7]:587", policy)


def test_a_nexthop_without_its_credential_takes_no_mail() -> None:
    rows = nexthop_rows(endpoint(), signs_in=True, credential=None)
    assert rows.transport is None
    assert rows.credential is None


def test_a_nexthop_that_does_not_sign_in_needs_no_credential() -> None:
    rows = nexthop_rows(endpoint(), signs_in=False, credential=None)
    assert rows.transport == "sendroute-starttls:[p42r7]:587"
    assert nexthop_rows(endpoint(), signs_in=False, credential=SECRET).credential is None


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_has_no_alias(host: str) -> None:
    rows = nexthop_rows(endpoint(host, Encryption.NONE), signs_in=False, credential=None)
    assert rows.host is None
    assert rows.transport == f"sendroute-none:[{host}]:587"


def test_a_host_with_a_final_dot_is_written_without_it() -> None:
    rows = nexthop_rows(endpoint("smtp.provider.example."), signs_in=False, credential=None)
    assert rows.host == "smtp.provider.example"
    assert rows.policy == "secure match=smtp.provider.example servername=smtp.provider.example"


@pytest.mark.parametrize(
    ("kind", "profile", "access", "alias"),
    [
        (RouteKind.PROFILE, (42, 7), OK, "p42r7"),
        (RouteKind.MANAGED, None, OK, "m0r3"),
        (RouteKind.UNCONFIGURED, None, UNCONFIGURED, None),
        (RouteKind.PROFILE, None, OK, None),
        (None, None, None, None),
    ],
    ids=["profile", "managed", "unconfigured", "profile without a row", "removed"],
)
def test_the_rows_of_a_domain_follow_its_route(
    kind: RouteKind | None, profile: tuple[int, int] | None, access: str | None, alias: str | None
) -> None:
    rows = domain_rows(DomainRoute("shop.example.com", kind, profile), 3)
    assert list(rows) == [DomainRow("shop.example.com", access, alias)]


def test_the_null_sender_takes_the_managed_relay() -> None:
    assert null_sender_row(ExplainFacts(9, PLATFORM, 3)) == DomainRow("<>", OK, "m0r3")
    for managed in (PLATFORM.managed, None):
        platform = Platform(managed, (), bounces=Relay("b.example", 25, Encryption.NONE))
        assert null_sender_row(ExplainFacts(9, platform, 3)) == DomainRow("<>", OK, "b0r3")
        explained = explain_null_sender(ExplainFacts(9, platform, 3)).as_document()
        assert (explained["transport"], explained["host"]) == (
            "sendroute-none:[b0r3]:25",
            "b.example",
        )


def test_without_a_managed_relay_the_null_sender_is_refused() -> None:
    row = null_sender_row(ExplainFacts(9, WITHOUT_RELAY, 3))
    assert row == DomainRow("<>", NO_NULL_SENDER, None)


def test_every_refusal_has_the_status_of_a_policy() -> None:
    """RFC 3463, section 3.8: 5.7.1 is delivery not authorized."""
    for text in (UNCONFIGURED, NO_NULL_SENDER):
        assert text.startswith("REJECT 5.7.1 ")
        assert text.isascii()


@pytest.mark.parametrize("encryption", Encryption)
@pytest.mark.parametrize("host", ["smtp.provider.example", "192.0.2.1"])
def test_a_profile_has_the_transport_that_explain_shows(encryption: Encryption, host: str) -> None:
    profile = Profile(host, 2525, encryption)
    stored = StoredProfile(ACME, "ses", 42, 7, profile)
    bound = binding_of(ACME, "ses", profile)
    rows = nexthop_rows(Endpoint(42, 7, bound, None, 1, None), signs_in=False, credential=None)
    explained = explain_domain("shop.example.com", "shop.example.com", _facts(stored))
    assert explained.nexthop is not None
    assert rows.transport == explained.nexthop.transport
    [row] = domain_rows(DomainRoute("shop.example.com", RouteKind.PROFILE, (42, 7)), 3)
    assert row.alias == explained.nexthop.alias == rows.alias


def test_the_managed_relay_has_the_transport_that_explain_shows() -> None:
    bound = binding_of(owner.PLATFORM, "relay", RELAY)
    rows = nexthop_rows(Endpoint(0, 3, bound, None, 1, None), signs_in=True, credential=SECRET)
    explained = explain_domain("shop.example.com", "shop.example.com", _facts(None))
    assert explained.nexthop is not None
    assert rows.transport == explained.nexthop.transport
    null = explain_null_sender(_facts(None)).nexthop
    assert null is not None
    assert null.transport == rows.transport


def _facts(stored: StoredProfile | None) -> ExplainFacts:
    through: Route = route.MANAGED if stored is None else route.via(stored.name)
    state = DomainState(through, Origin.DECLARED, through)
    row = RouteRow(ACME, "shop.example.com", state, datetime(2026, 11, 3, tzinfo=UTC), 9)
    return ExplainFacts(9, PLATFORM, 3, row, "pro", None, stored)


def test_the_logins_of_a_domain_are_in_the_rows_of_both_its_forms() -> None:
    route = DomainRoute("xn--bcher-kva.example", RouteKind.MANAGED, None, ("acme-app", "acme-crm"))
    assert [(row.key, row.logins) for row in domain_rows(route, 1)] == [
        ("xn--bcher-kva.example", "acme-app, acme-crm"),
        ("bücher.example", "acme-app, acme-crm"),
    ]
    assert [row.logins for row in domain_rows(route._replace(logins=()), 1)] == [None, None]
