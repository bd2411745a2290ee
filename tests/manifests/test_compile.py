"""Compiling: the desired value of each account, and errors between documents."""

import itertools
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from sendroute.manifests import shapes
from sendroute.manifests.compile import Compilation
from sendroute.model.codes import finding
from sendroute.model.connection import ConnectionPolicy
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.manifest_form import as_manifest
from sendroute.model.platform import Relay, ServicePlan
from sendroute.model.profile import Encryption
from sendroute.model.route import MANAGED, UNCONFIGURED, via

ACME = AccountKey("acme", "acme")
UNREADABLE = finding("unreadable", "x")
RELAY = {"host": "relay.example", "port": 25, "encryption": "starttls"}
MANAGED_RELAY = {
    "host": "smtp.example",
    "ports": [{"port": 587, "encryption": "starttls"}],
    "relay": RELAY,
}
SECRET = {"secretRef": {"name": "s"}}


def document(kind: str, name: str, spec: dict[str, Any], namespace: str = "acme") -> dict[str, Any]:
    metadata = {"name": name} if kind == "MailPlatform" else {"name": name, "namespace": namespace}
    return {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


def platform(name: str = "default", **spec: Any) -> dict[str, Any]:
    plans = [{"name": "pro", "managed": False}]
    return document("MailPlatform", name, {"plans": plans} | spec)


def account(name: str = "acme", **spec: Any) -> dict[str, Any]:
    return document("MailAccount", name, {"plan": "pro"} | spec)


def profile(name: str, account: str = "acme", **spec: Any) -> dict[str, Any]:
    return document("SMTPProfile", name, {"account": account} | RELAY | spec)


def domain(name: str, text: str, account: str = "acme", **spec: Any) -> dict[str, Any]:
    return document("SendingDomain", name, {"account": account, "domain": text} | spec)


def inline(name: str, **fields: Any) -> dict[str, Any]:
    return {"newProfile": {"name": name} | RELAY | fields}


def compiled(*documents: dict[str, Any], **known: Any) -> Desired:
    """Compile documents; each is in a separate file named by its index: ``0``, ``1`` …"""
    placed = [(shapes.decode(raw), Where(str(index), 0)) for index, raw in enumerate(documents)]
    return compile_all(placed, **known)


def compile_all(placed: Iterable[tuple[shapes.Document, Where]], **known: Any) -> Desired:
    compilation = Compilation()
    for decoded, where in placed:
        compilation.add(decoded, where)
    return compilation.finish(**known)


def reported(desired: Desired) -> list[tuple[str, str, tuple[str | int, ...]]]:
    return [
        (finding.code, finding.where.file, finding.where.path)
        if finding.where
        else (finding.code, "", ())
        for finding in desired.findings
    ]


def only_finding(desired: Desired) -> Finding:
    (finding,) = desired.findings
    return finding


def test_an_account_is_compiled_with_its_profiles_and_domains() -> None:
    desired = compiled(
        platform(),
        account(
            defaultRoute={"profile": "ses"},
            applyToAll={"id": "x", "route": {"unconfigured": {}}, "confirm": {"domains": 3}},
        ),
        profile("ses", onDelete={"reassignTo": {"managed": {}}}, credentials=SECRET),
        domain("a", "A.example", route=inline("other")),
        domain("b", "bücher.example", route={"managed": {}}),
        domain("c", "c.example", suspend=True),
    )
    assert desired.findings == ()
    here = desired.accounts[ACME]
    assert (here.plan, here.default) == ("pro", via("ses"))
    assert here.apply_all is not None
    assert (here.apply_all.id, here.apply_all.route, here.apply_all.confirm) == (
        "x",
        UNCONFIGURED,
        3,
    )
    assert list(here.profiles) == ["other", "ses"]
    assert here.profiles["ses"].profile.reassign_to == MANAGED
    assert here.profiles["ses"].profile.secret == "s"
    assert here.profiles["other"].inline_in == "a.example"
    assert [(d.domain, d.route, d.suspended) for d in here.domains] == [
        ("a.example", via("other"), False),
        ("xn--bcher-kva.example", MANAGED, False),
        ("c.example", None, True),
    ]
    assert here.domains[0].where == Where("3", 0)
    assert (desired.stopped, desired.orphans) == (frozenset(), {})


def test_the_platform_is_compiled_with_its_plans_sorted() -> None:
    desired = compiled(
        platform(
            managed=MANAGED_RELAY,
            plans=[
                {"name": "pro", "managed": True, "limits": {"accountPerDay": 5}},
                {"name": "nano", "managed": False},
            ],
            connectionTest={
                "allowNetworks": ["fd00:0::/8", "10.0.0.0/8"],
                "caFile": "/ca",
                "timeout": "90s",
            },
            heloName="Mail.BÜCHER.example",
        )
    )
    (limits,) = desired.findings
    assert limits.code == "not-enforced"
    assert limits.where is not None
    assert limits.where.path == ("spec", "plans", 0, "limits")
    assert desired.platform is not None
    actual = desired.platform.platform
    assert [plan.name for plan in actual.plans] == ["nano", "pro"]
    assert actual.plans[0] == ServicePlan("nano", managed=False)
    assert (actual.allow_networks, actual.ca_file) == (("10.0.0.0/8", "fd00::/8"), "/ca")
    assert (actual.helo_name, actual.test_timeout) == ("mail.xn--bcher-kva.example", 90)
    policy = ConnectionPolicy.of(actual)
    assert (policy.timeout, policy.helo_name) == (90, "mail.xn--bcher-kva.example")
    form = as_manifest(actual)
    assert (form["heloName"], form["connectionTest"]["timeout"]) == (actual.helo_name, "90s")
    assert actual.managed is not None
    assert actual.managed.relay.host == "relay.example"


def test_a_finding_about_a_sending_domain_has_its_name_as_data() -> None:
    desired = compiled(
        platform(),
        account(),
        domain("a", "Bücher.example"),
        domain("b", "bücher.example"),
        domain("c", "c.example", route=inline("own", port=465)),
        domain("d", "d.example"),
        domain("d", "other.example"),
        domain("e", "e.example", overrides="to-ses"),
        domain("f", "not a domain"),
    )
    about = {(item.code, item.where.file): item.domain for item in desired.findings if item.where}
    assert about == {
        ("domain-conflict", "3"): "xn--bcher-kva.example",
        ("encryption-mismatch", "4"): "c.example",
        ("duplicate-object", "6"): "other.example",
        ("missing-field", "7"): "e.example",
        ("invalid-value", "8"): None,
    }


def test_the_logins_of_an_account_are_a_set() -> None:
    named = compiled(platform(), account(submission={"logins": ["b@x", "a", "b@x"]}))
    assert named.accounts[ACME].logins == ("a", "b@x")
    assert compiled(platform(), account()).accounts[ACME].logins is UNSET


@pytest.mark.parametrize(
    "submission",
    [
        {},
        {"logins": []},
        {"logins": None},
        {"logins": "acme-app"},
        *({"logins": [name]} for name in ("", "a,b", "a b", "a\n", "a\tb", "é", "x" * 256, 1)),
        {"logins": ["x"] * 101},
    ],
)
def test_a_list_that_postfix_would_read_otherwise_is_no_list_of_logins(submission: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        shapes.decode(account(submission=submission))


def test_the_relay_for_bounces_is_checked_like_the_managed_relay() -> None:
    desired = compiled(platform(bounces={"relay": RELAY | {"credentials": SECRET}}))
    assert desired.platform is not None
    bounces = desired.platform.platform.bounces
    assert bounces == Relay("relay.example", 25, Encryption.STARTTLS, "s")
    assert desired.platform.platform.null_sender_relay == bounces
    assert as_manifest(desired.platform.platform)["bounces"] == {
        "relay": RELAY | {"credentials": SECRET}
    }


def test_the_order_of_documents_does_not_matter() -> None:
    documents = [
        (shapes.decode(raw), Where(str(index), 0))
        for index, raw in enumerate(
            [platform(), account(), profile("ses"), domain("a", "a.example", route=inline("b"))]
        )
    ]
    results = [compile_all(order) for order in itertools.permutations(documents)]
    assert all(result == results[0] for result in results)


NAME = ("metadata", "name")
INLINE_NAME = ("spec", "route", "newProfile", "name")

ROWS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str, tuple[str | int, ...]]]]] = {
    "two documents of one object": (
        [platform(), account(), domain("a", "a.example"), domain("a", "b.example")],
        [("duplicate-object", "3", NAME)],
    ),
    "two MailAccounts of one name": (
        [platform(), account(), account()],
        [("duplicate-object", "2", NAME)],
    ),
    "two profiles of one name in two accounts of one namespace, for each of the accounts": (
        [platform(), account(), account("b"), profile("p"), profile("p", account="b")],
        [("duplicate-object", "4", NAME), ("duplicate-object", "3", NAME)],
    ),
    "two documents of one profile": (
        [platform(), account(defaultRoute={"profile": "p"}), profile("p"), profile("p")],
        [("duplicate-profile", "3", NAME)],
    ),
    "a profile in a separate document and inline": (
        [platform(), account(), profile("p"), domain("a", "a.example", route=inline("p"))],
        [("duplicate-profile", "3", INLINE_NAME)],
    ),
    "two inline profiles of one name": (
        [
            platform(),
            account(),
            domain("a", "a.example", route=inline("p")),
            domain("b", "b.example", route=inline("p")),
        ],
        [("duplicate-profile", "3", INLINE_NAME)],
    ),
    "a platform with another name than default": (
        [platform("other"), account()],
        [("invalid-value", "0", NAME)],
    ),
    "two platforms": (
        [platform(), platform(), account()],
        [("duplicate-object", "1", NAME)],
    ),
    "no platform": ([account()], [("no-platform", "", ())]),
    "a plan that is defined twice": (
        [platform(plans=[{"name": "pro", "managed": False}] * 2)],
        [("invalid-value", "0", ("spec", "plans", 1, "name"))],
    ),
    "a plan with managed without a managed relay": (
        [platform(plans=[{"name": "pro", "managed": True}])],
        [("invalid-value", "0", ("spec", "plans", 0, "managed"))],
    ),
    "networks with host bits, without a prefix, and invalid": (
        [platform(connectionTest={"allowNetworks": ["10.0.0.1/8", "10.0.0.1", "10.0.0.0/8x"]})],
        [
            ("invalid-value", "0", ("spec", "connectionTest", "allowNetworks", index))
            for index in range(3)
        ],
    ),
    "a managed relay with credentials without encryption": (
        [
            platform(
                managed=MANAGED_RELAY
                | {"relay": RELAY | {"encryption": "none", "credentials": SECRET}}
            )
        ],
        [("insecure-auth", "0", ("spec", "managed", "relay", "encryption"))],
    ),
    "a managed relay with credentials and an address": (
        [
            platform(
                managed=MANAGED_RELAY | {"relay": RELAY | {"host": "::1", "credentials": SECRET}}
            )
        ],
        [("credentials-need-hostname", "0", ("spec", "managed", "relay", "host"))],
    ),
    "a bounce relay with credentials without encryption, and an address": (
        [
            platform(
                bounces={
                    "relay": RELAY | {"encryption": "none", "host": "::1", "credentials": SECRET}
                }
            )
        ],
        [
            ("credentials-need-hostname", "0", ("spec", "bounces", "relay", "host")),
            ("insecure-auth", "0", ("spec", "bounces", "relay", "encryption")),
        ],
    ),
    "a profile with credentials without encryption": (
        [
            platform(),
            account(defaultRoute={"profile": "p"}),
            profile("p", encryption="none", credentials=SECRET),
        ],
        [("insecure-auth", "2", ("spec", "encryption"))],
    ),
    "a profile with credentials and an address": (
        [
            platform(),
            account(defaultRoute={"profile": "p"}),
            profile("p", host="192.0.2.1", credentials=SECRET),
        ],
        [("credentials-need-hostname", "2", ("spec", "host"))],
    ),
    "an inline profile with an invalid host": (
        [platform(), account(), domain("a", "a.example", route=inline("p", host="a_b"))],
        [("invalid-value", "2", ("spec", "route", "newProfile", "host"))],
    ),
    "a domain with a trailing dot": (
        [platform(), account(), domain("a", "a.example.")],
        [("invalid-value", "2", ("spec", "domain"))],
    ),
}


@pytest.mark.parametrize("sentence", ROWS)
def test_an_error_between_documents_is_reported_at_its_field(sentence: str) -> None:
    documents, expected = ROWS[sentence]
    desired = compiled(*documents)
    assert reported(desired) == expected
    for error in desired.findings:
        assert error.severity is Severity.ERROR
        assert error.message.endswith(".")
        assert error.hint is not None
        if error.code.startswith("duplicate"):
            assert error.related
        if error.account is not None:
            assert AccountKey("acme", error.account) in desired.stopped
    if expected[0][1] in {"0", ""} or sentence == "two platforms":
        assert desired.platform is None


def test_both_accounts_of_a_duplicate_object_are_stopped() -> None:
    desired = compiled(
        platform(),
        account(),
        account("b"),
        domain("x", "a.example"),
        domain("x", "b.example", account="b"),
    )
    assert desired.stopped == {ACME, AccountKey("acme", "b")}


@pytest.mark.parametrize("name", ["192.0.2.1", "::1", "-x.example", "a b", "mail.example."])
def test_a_name_for_ehlo_that_is_no_dns_name_is_reported(name: str) -> None:
    finding = only_finding(compiled(platform(heloName=name)))
    assert finding.code == "invalid-value"
    assert finding.where is not None
    assert finding.where.path == ("spec", "heloName")


def test_the_ports_of_managed_sending_are_checked_too() -> None:
    managed = {
        "host": "smtp.example",
        "ports": [{"port": 465, "encryption": "starttls"}],
        "relay": {"host": "relay.example", "port": 587, "encryption": "tls"},
    }
    plans = [{"name": "pro", "managed": True}]
    findings = compiled(platform(managed=managed, plans=plans)).findings
    assert [(item.code, item.where and item.where.path) for item in findings] == [
        ("encryption-mismatch", ("spec", "managed", "relay", "encryption")),
        ("encryption-mismatch", ("spec", "managed", "ports", 0, "encryption")),
    ]


def test_the_hint_for_a_network_with_host_bits_is_the_correct_network() -> None:
    finding = only_finding(compiled(platform(connectionTest={"allowNetworks": ["10.1.2.3/8"]})))
    assert finding.hint == "Write 10.0.0.0/8."


def test_a_domain_declared_twice_in_an_account_is_contested_and_stops_only_itself() -> None:
    desired = compiled(
        platform(),
        account(),
        domain("a", "a.example", route={"managed": {}}),
        domain("b", "A.Example"),
        domain("c", "c.example"),
    )
    finding = only_finding(desired)
    assert (finding.code, finding.where) == ("domain-conflict", Where("3", 0, ("spec", "domain")))
    assert finding.related == (Where("2", 0, ("spec", "domain")),)
    here = desired.accounts[ACME]
    assert [d.domain for d in here.domains] == ["c.example"]
    assert here.contested == {"a.example": Where("2", 0)}
    assert desired.stopped == frozenset()


def test_objects_of_an_undefined_account_are_orphans() -> None:
    desired = compiled(platform(), profile("p"), domain("a", "a.example"))
    assert desired.accounts == {}
    assert {(o.kind, o.name, o.where.file) for o in desired.orphans[ACME]} == {
        ("SMTPProfile", "p", "1"),
        ("SendingDomain", "a", "2"),
    }
    assert desired.undefined[ACME].unknown, "most likely its name is a typo"
    assert [claim.domain for claim in desired.undefined[ACME].domains] == ["a.example"]


def test_a_suspended_domain_suspends_its_inline_profile() -> None:
    desired = compiled(
        platform(), account(), domain("a", "a.example", route=inline("p"), suspend=True)
    )
    assert desired.accounts[ACME].profiles["p"].suspended


def test_an_object_without_a_namespace_is_in_default() -> None:
    alone = account()
    del alone["metadata"]["namespace"]
    assert list(compiled(platform(), alone).accounts) == [AccountKey("default", "acme")]


@pytest.mark.parametrize(
    "use",
    [
        [account(defaultRoute={"profile": "p"})],
        [account(applyToAll={"id": "1", "route": {"profile": "p"}})],
        [account(), domain("a", "a.example", route={"profile": "p"})],
        [
            account(),
            domain("a", "a.example", route=inline("q", onDelete={"reassignTo": {"profile": "p"}})),
        ],
    ],
    ids=["the default", "an apply-all", "a domain", "a reassignTo"],
)
def test_a_referenced_profile_is_used(use: list[dict[str, Any]]) -> None:
    assert compiled(platform(), profile("p"), *use).findings == ()


def test_an_unused_profile_is_information() -> None:
    finding = only_finding(compiled(platform(), account(), profile("p")))
    assert (finding.code, finding.severity) == ("profile-unused", Severity.INFO)
    assert compiled(platform(), account(), profile("p"), unread=[UNREADABLE]).findings == ()


def test_an_unusual_port_gives_a_warning() -> None:
    desired = compiled(platform(), account(defaultRoute={"profile": "p"}), profile("p", port=26))
    assert reported(desired) == [("unusual-port", "2", ("spec", "port"))]
    assert only_finding(desired).severity is Severity.WARNING
    assert "p" in desired.accounts[ACME].profiles


def test_allowed_credentials_without_encryption_give_a_warning() -> None:
    insecure = profile("p", encryption="none", credentials=SECRET, allowInsecureAuth=True)
    desired = compiled(platform(), account(defaultRoute={"profile": "p"}), insecure)
    assert (only_finding(desired).code, only_finding(desired).severity) == (
        "insecure-auth",
        Severity.WARNING,
    )
    assert desired.stopped == frozenset()


def test_findings_of_the_reader_are_kept() -> None:
    desired = compiled(
        account(),
        findings=[UNREADABLE],
        stopped={ACME: set()},
        ill_formed={ACME: UNREADABLE},
        unread=[UNREADABLE],
        platform_seen=True,
    )
    assert (desired.findings, desired.unread) == ((UNREADABLE,), (UNREADABLE,))
    assert (desired.stopped, desired.ill_formed) == ({ACME}, {ACME: UNREADABLE})
    assert not desired.complete


def test_an_empty_tree_is_reported_once() -> None:
    assert reported(compiled(findings=[finding("no-manifests", "x")])) == [("no-manifests", "", ())]


def test_a_platform_is_not_reported_as_missing_if_a_file_cannot_be_read() -> None:
    assert only_finding(compiled(account())).message == "There is no MailPlatform."
    unread = only_finding(compiled(account(), unread=[UNREADABLE]))
    assert (unread.code, unread.message) == ("no-platform", "No MailPlatform could be read.")


def test_overrides_without_a_route_is_an_error_of_its_account() -> None:
    desired = compiled(platform(), account(), domain("a", "a.example", overrides="to-ses"))
    assert [(f.code, f.where.path if f.where else ()) for f in desired.findings] == [
        ("missing-field", ("spec", "overrides"))
    ]
    assert ACME in desired.stopped
    confirmed = domain("a", "a.example", route={"managed": {}}, overrides="to-ses")
    (read,) = compiled(platform(), account(), confirmed).accounts[ACME].domains
    assert read.overrides == "to-ses"


def test_fields_that_have_no_effect_yet_are_reported() -> None:
    declared = profile("p", senderAuthorization="block", limits={"perSecond": 1})
    off = profile("q", senderAuthorization="off")
    use = [domain("a", "a.example", route={"profile": "p"}), account(defaultRoute={"profile": "q"})]
    findings = compiled(platform(), declared, off, *use).findings
    assert [(f.code, f.severity, f.where.path if f.where else ()) for f in findings] == [
        ("not-enforced", Severity.INFO, ("spec", "senderAuthorization")),
        ("not-enforced", Severity.INFO, ("spec", "limits")),
    ]
