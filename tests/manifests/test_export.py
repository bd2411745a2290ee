"""Exported manifests hold every field of a store's objects: compiled again, they are equal."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import fields

from sendroute.manifests.export import manifests_of
from sendroute.model.current import AccountState, DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.export import AccountExport, StoreExport
from sendroute.model.finding import Finding
from sendroute.model.platform import Managed, PlanLimits, Platform, PublicPort, Relay, ServicePlan
from sendroute.model.profile import (
    ConnectionTest,
    Encryption,
    Profile,
    ProviderLimits,
    SenderAuthorization,
)
from sendroute.model.route import MANAGED, UNCONFIGURED, Origin, Route, via

from .test_compile import compiled

ACME = AccountKey("acme", "acme")
PROFILES = ("mailgun", "ses")


def every_field(kind: type[Any], **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of a kind of object. A field that this test does not know of fails it."""
    assert {field.name for field in fields(kind)} == values.keys()
    return st.builds(kind, **values)


hosts = st.sampled_from(["smtp.one.example", "smtp.two.example"])
ports = st.integers(1, 65535)
texts = st.sampled_from(["Émile's relay", "no", "1.50", "a: b # c"])
counts = st.none() | st.integers(1, 10**9)
routes = st.sampled_from([MANAGED, UNCONFIGURED, *map(via, PROFILES)])
encrypted = st.sampled_from([Encryption.STARTTLS, Encryption.TLS])

profiles = every_field(
    Profile,
    host=hosts,
    port=ports,
    encryption=encrypted,
    display_name=st.none() | texts,
    provider=st.just(None),  # a preset would set other fields
    secret=st.none() | st.just("a-secret"),
    username=st.just(None),  # only a preset sets it
    allow_insecure_auth=st.booleans(),
    connection_test=st.sampled_from(ConnectionTest),
    limits=every_field(ProviderLimits, per_second=counts, per_day=counts),
    sender_authorization=st.sampled_from(SenderAuthorization),
    reassign_to=st.none() | st.sampled_from([MANAGED, UNCONFIGURED]),
)
relays = every_field(
    Relay,
    host=hosts,
    port=ports,
    encryption=encrypted,
    secret=st.none() | st.just("managed-relay"),
    allow_insecure_auth=st.booleans(),
)
managed = every_field(
    Managed,
    display_name=st.none() | texts,
    host=hosts,
    ports=st.lists(
        every_field(PublicPort, port=ports, encryption=encrypted), min_size=1, max_size=3
    ).map(tuple),
    relay=relays,
    spf=st.none() | st.just("include:spf.example"),
)
plans = every_field(
    ServicePlan,
    name=st.just("pro"),
    managed=st.just(True),
    limits=every_field(PlanLimits, account_per_day=counts, mailbox_per_day=counts),
)
platforms = every_field(
    Platform,
    managed=managed,
    plans=st.tuples(plans),
    allow_networks=st.just(()) | st.just(("10.0.0.0/8", "fd00::/8")),
    ca_file=st.none() | st.just("/etc/our-ca.pem"),
    bounces=st.just(UNSET) | relays,
    helo_name=st.just(UNSET) | st.just("mail.example"),
    test_timeout=st.just(UNSET) | st.integers(1, 300),
)


def _state(declared: Route | None, overrides: str | None, assigned: Route) -> DomainState:
    if declared is None:
        return DomainState(assigned, Origin.DEFAULT)
    return DomainState(declared, Origin.DECLARED, declared, None, overrides)


domains = st.builds(
    _state,
    declared=st.none() | routes,
    overrides=st.none() | st.sampled_from(["2026-11-move", "a: b"]),
    assigned=routes,
)


def exported(store: StoreExport) -> tuple[list[dict[str, Any]], list[Finding]]:
    findings: list[Finding] = []
    batches = manifests_of(store, findings.append)
    return [document for batch in batches for document in batch.documents], findings


def store_of(
    platform: Platform, account: AccountState, profiles: dict[str, Profile], *states: DomainState
) -> StoreExport:
    def accounts() -> Iterator[AccountExport]:
        named = ((f"d{index}.example", state) for index, state in enumerate(states))
        yield AccountExport(ACME, account, profiles, named)

    return StoreExport(platform, frozenset(), frozenset(), accounts())


@settings(max_examples=60, deadline=None)
@given(
    platforms,
    every_field(
        AccountState,
        plan=st.just("pro"),
        default=st.none() | routes,
        logins=st.sampled_from([UNSET, ("acme-app", "acme-crm")]),
    ),
    st.fixed_dictionaries(dict.fromkeys(PROFILES, profiles)),
    st.lists(domains, max_size=5),
)
def test_an_export_compiles_to_what_the_store_held(
    platform: Platform,
    account: AccountState,
    saved: dict[str, Profile],
    states: list[DomainState],
) -> None:
    documents, _ = exported(store_of(platform, account, saved, *states))
    desired = compiled(*documents)
    assert not [item for item in desired.findings if item.severity == "error"]
    assert desired.platform is not None
    assert desired.platform.platform == platform
    of_account = desired.accounts[ACME]
    assert AccountState(of_account.plan, of_account.default, of_account.logins) == account
    assert {name: item.profile for name, item in of_account.profiles.items()} == saved
    assert [(item.route, item.overrides) for item in of_account.domains] == [
        (_exported_route(account, state), state.overrides) for state in states
    ]


def _exported_route(account: AccountState, state: DomainState) -> Route | None:
    """The declared route. If there is none, the assigned one unless a new domain gets that."""
    of_new_domain = MANAGED if account.default is None else account.default
    undeclared = None if state.route == of_new_domain else state.route
    return state.declared or undeclared


def test_an_export_names_the_domains_that_another_store_would_route_differently() -> None:
    ses = Profile("smtp.ses.example", 587, Encryption.STARTTLS)
    platform = Platform(None, (ServicePlan("pro", managed=False),))
    store = store_of(
        platform,
        AccountState("pro", via("ses")),
        {"ses": ses},
        DomainState(UNCONFIGURED, Origin.APPLY_ALL, via("ses"), "move"),  # shadowed
        DomainState(UNCONFIGURED, Origin.DEFAULT),  # the default was another one
        DomainState(via("ses"), Origin.DEFAULT),
        DomainState(via("ses"), Origin.DECLARED, via("ses")),
    )
    documents, (declared, routed_differently) = exported(store)
    assert (routed_differently.code, routed_differently.severity) == ("out-of-sync", "info")
    assert "1 domain of account acme/acme" in routed_differently.message
    assert "d0.example." in routed_differently.message
    assert (declared.code, declared.severity) == ("route-now-declared", "info")
    assert "1 domain of account acme/acme" in declared.message
    assert "d1.example." in declared.message
    routes = [item["spec"].get("route") for item in documents if item["kind"] == "SendingDomain"]
    ses_form = {"profile": "ses"}
    assert routes == [ses_form, {"unconfigured": {}}, None, ses_form]


def test_an_export_declares_the_assigned_route_instead_of_one_that_is_unavailable() -> None:
    platform = Platform(None, (ServicePlan("pro", managed=False),))
    ses = Profile("smtp.ses.example", 587, Encryption.STARTTLS)
    store = store_of(
        platform,
        AccountState("pro", None),
        {"ses": ses},
        DomainState(via("ses"), Origin.REASSIGNED, via("deleted")),
        DomainState(MANAGED, Origin.REASSIGNED),  # unavailable too
    )
    documents, findings = exported(store)
    assert [item.code for item in findings] == [
        "profile-deleted",
        "route-now-declared",
        "out-of-sync",
    ]
    routes = [item["spec"].get("route") for item in documents if item["kind"] == "SendingDomain"]
    assert routes == [{"profile": "ses"}, None]


def test_an_export_reports_a_ca_file_that_is_relative_to_the_manifest_that_was_applied() -> None:
    absolute, relative = (Platform(None, (), ca_file=file) for file in ("/etc/ca.pem", "../ca.pem"))
    codes = []
    for platform in (absolute, relative):
        store = StoreExport(platform, frozenset(), frozenset(), ())
        codes.append([item.code for item in exported(store)[1]])
    assert codes == [[], ["relative-ca-file"]]
