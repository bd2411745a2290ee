"""Compiling: one wanted value an account, and what is wrong between documents."""

import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from sendroute.manifests import shapes
from sendroute.manifests.compile import Compilation
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.platform import ServicePlan
from sendroute.model.route import MANAGED, UNCONFIGURED, via

ACME = AccountKey("acme", "acme")
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
    """Each document is a file of its own, named by its place in the call: ``0``, ``1`` …"""
    placed = [(shapes.decode(each), Where(str(index), 0)) for index, each in enumerate(documents)]
    return together(placed, **known)


def together(placed: Iterable[tuple[shapes.Document, Where]], **known: Any) -> Desired:
    compilation = Compilation()
    for each, where in placed:
        compilation.add(each, where)
    return compilation.finish(**known)


def reported(desired: Desired) -> list[tuple[str, str, tuple[str | int, ...]]]:
    return [
        (found.code, found.where.file, found.where.path) if found.where else (found.code, "", ())
        for found in desired.findings
    ]


def one(desired: Desired) -> Finding:
    (found,) = desired.findings
    return found


def test_an_account_is_compiled_with_all_that_it_owns() -> None:
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
    assert [(each.domain, each.route, each.suspended) for each in here.domains] == [
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
            connectionTest={"allowNetworks": ["fd00:0::/8", "10.0.0.0/8"], "caFile": "/ca"},
        )
    )
    assert desired.findings == ()
    assert desired.platform is not None
    found = desired.platform.platform
    assert [plan.name for plan in found.plans] == ["nano", "pro"]
    assert found.plans[0] == ServicePlan("nano", managed=False)
    assert (found.allow_networks, found.ca_file) == (("10.0.0.0/8", "fd00::/8"), "/ca")
    assert found.managed is not None
    assert found.managed.relay.host == "relay.example"


def test_the_order_of_documents_never_matters() -> None:
    documents = [
        (shapes.decode(each), Where(str(index), 0))
        for index, each in enumerate(
            [platform(), account(), profile("ses"), domain("a", "a.example", route=inline("b"))]
        )
    ]
    results = [together(order) for order in itertools.permutations(documents)]
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
    "two profiles of one name in two accounts of one namespace": (
        [platform(), account(), account("b"), profile("p"), profile("p", account="b")],
        [("duplicate-object", "4", NAME)],
    ),
    "two documents of one profile": (
        [platform(), account(defaultRoute={"profile": "p"}), profile("p"), profile("p")],
        [("duplicate-profile", "3", NAME)],
    ),
    "a profile in its own document and in line": (
        [platform(), account(), profile("p"), domain("a", "a.example", route=inline("p"))],
        [("duplicate-profile", "3", INLINE_NAME)],
    ),
    "a profile in line twice": (
        [
            platform(),
            account(),
            domain("a", "a.example", route=inline("p")),
            domain("b", "b.example", route=inline("p")),
        ],
        [("duplicate-profile", "3", INLINE_NAME)],
    ),
    "a platform that is not named default": (
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
    "a plan with managed where the platform has none": (
        [platform(plans=[{"name": "pro", "managed": True}])],
        [("invalid-value", "0", ("spec", "plans", 0, "managed"))],
    ),
    "a network with host bits, one without a prefix, one that is none": (
        [platform(connectionTest={"allowNetworks": ["10.0.0.1/8", "10.0.0.1", "10.0.0.0/8x"]})],
        [
            ("invalid-value", "0", ("spec", "connectionTest", "allowNetworks", index))
            for index in range(3)
        ],
    ),
    "a managed relay with credentials in clear": (
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
    "a profile with credentials in clear": (
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
    "a profile in line whose host is none": (
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
    for found in desired.findings:
        assert found.severity is Severity.ERROR
        assert found.message.endswith(".")
        assert found.hint is not None
        if found.code.startswith("duplicate"):
            assert found.related
        if found.account is not None:
            assert AccountKey("acme", found.account) in desired.stopped
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


def test_a_network_with_host_bits_gets_the_right_one_as_hint() -> None:
    found = one(compiled(platform(connectionTest={"allowNetworks": ["10.1.2.3/8"]})))
    assert found.hint == "Write 10.0.0.0/8."


def test_one_domain_declared_twice_in_one_account_is_contested_and_the_account_goes_on() -> None:
    desired = compiled(
        platform(),
        account(),
        domain("a", "a.example", route={"managed": {}}),
        domain("b", "A.Example"),
        domain("c", "c.example"),
    )
    found = one(desired)
    assert (found.code, found.where) == ("domain-conflict", Where("3", 0, ("spec", "domain")))
    assert found.related == (Where("2", 0, ("spec", "domain")),)
    here = desired.accounts[ACME]
    assert [each.domain for each in here.domains] == ["c.example"]
    assert here.contested == {"a.example": Where("2", 0)}
    assert desired.stopped == frozenset()


def test_objects_of_an_account_that_nothing_defines_are_strays() -> None:
    desired = compiled(platform(), profile("p"), domain("a", "a.example"))
    assert desired.accounts == {}
    assert {(each.kind, each.name, each.where.file) for each in desired.orphans[ACME]} == {
        ("SMTPProfile", "p", "1"),
        ("SendingDomain", "a", "2"),
    }


def test_a_suspended_domain_suspends_its_profile_in_line() -> None:
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
def test_a_profile_that_something_names_is_used(use: list[dict[str, Any]]) -> None:
    assert compiled(platform(), profile("p"), *use).findings == ()


def test_a_profile_that_nothing_names_is_advice() -> None:
    found = one(compiled(platform(), account(), profile("p")))
    assert (found.code, found.severity) == ("profile-unused", Severity.WARNING)
    assert compiled(platform(), account(), profile("p"), complete=False).findings == ()


def test_an_unusual_port_is_advice() -> None:
    desired = compiled(platform(), account(defaultRoute={"profile": "p"}), profile("p", port=26))
    assert reported(desired) == [("unusual-port", "2", ("spec", "port"))]
    assert one(desired).severity is Severity.WARNING
    assert "p" in desired.accounts[ACME].profiles


def test_credentials_in_clear_that_are_allowed_are_advice() -> None:
    insecure = profile("p", encryption="none", credentials=SECRET, allowInsecureAuth=True)
    desired = compiled(platform(), account(defaultRoute={"profile": "p"}), insecure)
    assert (one(desired).code, one(desired).severity) == ("insecure-auth", Severity.WARNING)
    assert desired.stopped == frozenset()


def test_what_reading_found_is_kept() -> None:
    unreadable = finding("unreadable", "x")
    desired = compiled(
        account(), findings=[unreadable], stopped={ACME: set()}, complete=False, platform_seen=True
    )
    assert (desired.findings, desired.stopped, desired.complete) == ((unreadable,), {ACME}, False)


def test_an_empty_tree_is_reported_once() -> None:
    assert reported(compiled(findings=[finding("no-manifests", "x")])) == [("no-manifests", "", ())]


def test_a_platform_that_may_be_in_what_could_not_be_read_is_not_called_missing() -> None:
    assert one(compiled(account())).message == "There is no MailPlatform."
    unread = one(compiled(account(), complete=False))
    assert (unread.code, unread.message) == ("no-platform", "No MailPlatform could be read.")
