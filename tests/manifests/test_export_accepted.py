"""What an export writes is accepted, and changes nothing in the store that it was written from.
What cannot be written so is a finding of the export."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planner.committed import committed
from tests.planner.values import empty_store

from sendroute.manifests.export import manifests_of
from sendroute.model.change import AccountChange, Action, DomainChange, ObjectChange, ProfileChange
from sendroute.model.current import Current
from sendroute.model.desired import AccountKey
from sendroute.model.export import AccountExport, StoreExport
from sendroute.model.finding import Finding
from sendroute.model.route import MANAGED
from sendroute.planner.guards import Guards
from sendroute.planner.plan import plan_tree

from .test_compile import MANAGED_RELAY, RELAY, compiled, document, platform

ACCOUNTS = (AccountKey("t", "a"), AccountKey("t", "b"), AccountKey("z", "a"))
PROFILES = ("mailgun", "ses")
DOMAINS = tuple(f"d{number}.example" for number in range(5))
UNLIMITED = Guards(change_percent=100, remove_percent=100)
Tree = list[dict[str, Any]]

route_forms = st.sampled_from(
    [{"managed": {}}, {"unconfigured": {}}, *({"profile": name} for name in PROFILES)]
)
hosts = st.sampled_from(["one.example", "two.example"])


@st.composite
def profile_fields(draw: st.DrawFn) -> dict[str, Any]:
    fields: dict[str, Any] = {**RELAY, "host": draw(hosts)}
    if draw(st.booleans()):
        fields["onDelete"] = {"reassignTo": draw(route_forms)}
    return fields


@st.composite
def domain_specs(draw: st.DrawFn) -> dict[str, Any]:
    match draw(st.sampled_from(["none", "route", "inline", "inline", "overrides"])):
        case "none":
            return {}
        case "route":
            return {"route": draw(route_forms)}
        case "overrides":
            return {"route": draw(route_forms), "overrides": "an-id"}
        case _:
            new = {"name": draw(st.sampled_from(PROFILES)), **draw(profile_fields())}
            return {"route": {"newProfile": new}}


@st.composite
def account_documents(draw: st.DrawFn, key: AccountKey) -> Tree:
    spec: dict[str, Any] = {"plan": draw(st.sampled_from(["nano", "pro", "pro"]))}
    if draw(st.booleans()):
        spec["defaultRoute"] = draw(route_forms)
    if draw(st.integers(0, 3)) == 0:
        apply_all = {"id": draw(st.sampled_from(["one", "two"])), "route": draw(route_forms)}
        spec["applyToAll"] = {**apply_all, "confirm": {"domains": 100}}
    documents = [document("MailAccount", key.name, spec, key.namespace)]
    for name in draw(st.sets(st.sampled_from(PROFILES))):
        fields = {"account": key.name, **draw(profile_fields())}
        documents.append(document("SMTPProfile", name, fields, key.namespace))
    for name in draw(st.lists(st.sampled_from(DOMAINS), unique=True, max_size=4)):
        fields = {"account": key.name, "domain": name, **draw(domain_specs())}
        object_name = f"{key.name}-{name.replace('.', '-')}"
        documents.append(document("SendingDomain", object_name, fields, key.namespace))
    return documents


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    plans = [{"name": "nano", "managed": False}]
    if draw(st.integers(0, 9)):
        plans.append({"name": "pro", "managed": draw(st.integers(0, 4)) > 0})
    documents = [platform(managed=MANAGED_RELAY, plans=plans)]
    for key in ACCOUNTS:
        if draw(st.integers(0, 3)):
            documents += draw(account_documents(key))
    return documents


def applied(current: Current, tree: Tree) -> Current:
    """The store after the tree is applied; accounts with errors stay as they are."""
    return committed(current, plan_tree(compiled(*tree), current, guards=UNLIMITED))


def as_export(current: Current) -> StoreExport:
    stored = [
        AccountExport(key, item.state, item.profiles, iter(sorted(item.domains.items())))
        for key, item in sorted(current.accounts.items())
        if item.state is not None
    ]
    names = [(account.key.namespace, name) for account in stored for name in account.profiles]
    shared = frozenset(name for name in names if names.count(name) > 1)

    class Rereadable:
        def __iter__(self) -> Iterator[AccountExport]:
            for item in stored:
                domains = iter(sorted(current.accounts[item.key].domains.items()))
                yield AccountExport(item.key, item.state, item.profiles, domains)

    return StoreExport(current.platform, frozenset(), shared, Rereadable())


def exported(current: Current) -> tuple[Tree, list[Finding]]:
    findings: list[Finding] = []
    batches = manifests_of(as_export(current), findings.append)
    return [item for batch in batches for item in batch.documents], findings


def is_settled(current: Current) -> bool:
    """Not if the platform changed below an account that was stopped or held back: its next change
    reassigns domains, whatever its manifests say."""
    if current.platform is None:
        return False
    for account in current.accounts.values():
        plan = current.platform.plan(account.state.plan) if account.state is not None else None
        has_managed = any(state.route == MANAGED for state in account.domains.values())
        if has_managed and plan is not None and not plan.managed:
            return False
    return True


def is_reported(change: ObjectChange, reported: set[str]) -> bool:
    left_out = reported & {"profile-deleted", "managed-not-in-plan"}
    match change:
        case DomainChange():
            keeps_route = change.action is Action.UPDATE
            return keeps_route and bool(left_out or "route-now-declared" in reported)
        case AccountChange():
            return bool(left_out)
        case ProfileChange(action=Action.DELETE):
            return "duplicate-object" in reported
        case _:
            return bool(left_out)


@settings(max_examples=300)
@given(st.lists(trees(), min_size=1, max_size=3))
def test_an_export_is_accepted_and_plans_no_change_that_it_did_not_report(
    history: list[Tree],
) -> None:
    current = empty_store()
    for tree in history:
        current = applied(current, tree)
    if not is_settled(current):
        return
    documents, findings = exported(current)
    desired = compiled(*documents)
    assert not [item for item in desired.findings if item.severity == "error"]
    plan = plan_tree(desired, current)
    of_account = {
        key: {f.code for f in findings if (f.namespace, f.account) == key} for key in ACCOUNTS
    }
    for account in plan.accounts:
        reported = of_account[account.key]
        errors = {item.code for item in account.findings if item.severity != "info"}
        assert not account.stopped or "unknown-plan" in reported, errors
        for change in account.changes:
            assert is_reported(change, reported), change


def object_of(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name} if kind == "MailPlatform" else {"name": name, "namespace": "t"}
    return {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


def test_of_two_profiles_of_one_name_the_one_that_a_domain_uses_is_written() -> None:
    """An apply-all switched the domain, whose manifest declares another route."""
    server = {"host": "one.example", "port": 25, "encryption": "starttls"}
    platform = object_of("MailPlatform", "default", plans=[{"name": "nano", "managed": False}])
    b = object_of("MailAccount", "b", plan="nano")
    domain = object_of("SendingDomain", "b-d0", account="b", domain="d0.example")
    switch = {"id": "one", "route": {"profile": "mailgun"}, "confirm": {"domains": 1}}
    inline = {"newProfile": {"name": "mailgun", **server}}
    declared = {"account": "b", "domain": "d0.example", "route": {"unconfigured": {}}}
    both = [
        platform,
        object_of("MailAccount", "a", plan="nano"),
        object_of("SendingDomain", "a-d0", account="a", domain="d0.example", route=inline),
        object_of("MailAccount", "b", plan="nano", applyToAll=switch),
        object_of("SMTPProfile", "mailgun", account="b", **server),
        object_of("SendingDomain", "b-d0", **declared),
    ]
    current = empty_store()
    for tree in ([platform, b, domain], both):
        current = applied(current, tree)
    (switched,) = current.accounts[AccountKey("t", "b")].domains.values()
    assert str(switched.route) == "profile mailgun"
    documents, _ = exported(current)
    plan = plan_tree(compiled(*documents), current)
    changes = [change for account in plan.accounts for change in account.changes]
    assert not any(isinstance(change, DomainChange) for change in changes)


def test_profiles_of_one_name_in_a_namespace_are_written_inline_where_they_are_declared() -> None:
    inline = {"newProfile": {"name": "ses", **RELAY}}
    documents = [platform()]
    for name in ("a", "b"):
        documents.append(document("MailAccount", name, {"plan": "pro"}, "t"))
        for number, route in enumerate([{"unconfigured": {}}, inline, {"profile": "ses"}]):
            spec = {"account": name, "domain": f"{name}{number}.example", "route": route}
            documents.append(document("SendingDomain", f"{name}{number}", spec, "t"))
    written, findings = exported(applied(empty_store(), documents))
    assert not findings
    assert "SMTPProfile" not in {item["kind"] for item in written}
    routes = [list(item["spec"].get("route", {"-": None})) for item in written]
    of_account = [["-"], ["unconfigured"], ["newProfile"], ["profile"]]
    assert routes == [["-"], *of_account, *of_account]


def test_a_profile_that_can_only_be_left_out_is_reported() -> None:
    domain = {"account": "a", "domain": "d.example", "route": {"managed": {}}}
    claim = {
        "account": "b",
        "domain": "d.example",
        "route": {"newProfile": {"name": "ses", **RELAY}},
    }
    first = [
        platform(managed=MANAGED_RELAY, plans=[{"name": "pro", "managed": True}]),
        document("MailAccount", "a", {"plan": "pro"}, "z"),
        document("SendingDomain", "d", domain, "z"),
        document("MailAccount", "a", {"plan": "pro"}, "t"),
        document("SMTPProfile", "ses", {"account": "a", **RELAY}, "t"),
    ]
    # The domain is denied, and its profile is saved.
    second = [
        *first,
        document("MailAccount", "b", {"plan": "pro", "defaultRoute": {"profile": "ses"}}, "t"),
        document("SendingDomain", "d", claim, "t"),
    ]
    current = applied(applied(empty_store(), first), second)
    written, findings = exported(current)
    profiles = [item for item in written if item["kind"] == "SMTPProfile"]
    assert [item["spec"]["account"] for item in profiles] == ["a"]
    assert {(item.code, item.severity, item.account) for item in findings} == {
        ("profile-deleted", "warning", "b"),
        ("duplicate-object", "warning", "b"),
    }
