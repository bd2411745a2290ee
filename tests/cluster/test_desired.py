"""What objects declare: account by account, as files would declare it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sendroute.cluster import objects
from sendroute.cluster.desired import DesiredState
from sendroute.cluster.objects import ClusterObject, ObjectKey, decode_item, object_of
from sendroute.manifests.compile import Compilation
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.owner import PLATFORM
from sendroute.model.route import via

ACME = AccountKey("acme", "acme")
NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)
PLATFORM_SPEC = {"plans": [{"name": "nano", "managed": False}]}


def cluster_object(
    kind: str,
    name: str,
    spec: Any,
    *,
    namespace: str = "acme",
    age: int = 0,
    generation: int = 1,
    status: Any = None,
    annotations: dict[str, str] | None = None,
) -> ClusterObject:
    created = (NOW - timedelta(seconds=age)).isoformat()
    metadata = {
        "name": name,
        "uid": f"{name}-{age}",
        "generation": generation,
        "resourceVersion": "1",
        "creationTimestamp": created,
        "annotations": annotations or {},
    }
    if namespace:
        metadata["namespace"] = namespace
    item: dict[str, Any] = {"metadata": metadata, "spec": spec}
    if status is not None:
        item["status"] = status
    return object_of(kind, decode_item(msgspec.json.encode(item)))


def domain(name: str, host: str, **fields: Any) -> ClusterObject:
    spec = {"account": "acme", "domain": host} | fields.pop("spec", {})
    return cluster_object("SendingDomain", name, spec, **fields)


ACCOUNT = cluster_object("MailAccount", "acme", {"plan": "nano"})
PLATFORM_OBJECT = cluster_object("MailPlatform", "default", PLATFORM_SPEC, namespace="")


class _UnforeseenError(Exception):
    """A bug: nothing in Sendroute expects it."""


def _fail(*_: object) -> None:
    raise _UnforeseenError("canary-password")


def put(state: DesiredState, *objects: ClusterObject) -> frozenset[Any]:
    return state.apply({item.key: item for item in objects})


def declared(state: DesiredState, *stored: AccountKey, unread: str = "") -> Desired:
    state.compile(state.uncompiled)
    return state.tree(stored, lambda namespace: namespace != unread, ()).desired


def test_objects_declare_what_files_would() -> None:
    state = DesiredState()
    concerned = put(state, domain("a", "a.example"), PLATFORM_OBJECT, ACCOUNT)
    assert concerned == {ACME, PLATFORM}
    desired = declared(state)
    assert [item.domain for item in desired.accounts[ACME].domains] == ["a.example"]
    assert desired.accounts[ACME].domains[0].where.file == "SendingDomain/acme/a"
    assert desired.platform is not None
    assert desired.findings == ()
    assert state.claims.declaring("a.example") == (ACME,)


def test_no_later_change_reaches_the_state_of_a_plan() -> None:
    state = DesiredState()
    put(state, PLATFORM_OBJECT, ACCOUNT, domain("a", "a.example"))
    state.compile(state.uncompiled)
    tree = state.tree((), lambda _namespace: True, ())
    before = repr(tree.desired)
    assert tree.claims().declaring("a.example") == (ACME,)

    orphan = cluster_object("SendingDomain", "o", {"account": "lost", "domain": "o.example"})
    accepted = domain("b", "b.example", annotations={"sendroute.dev/accept": "profile-unused"})
    put(state, orphan, accepted)
    state.apply({ObjectKey("MailAccount", "acme", "acme"): None})
    state.compile(state.uncompiled)
    assert repr(tree.desired) == before
    with pytest.raises(RuntimeError, match="a later desired state"):
        tree.claims()


def test_an_account_is_compiled_only_when_it_has_settled() -> None:
    state = DesiredState()
    put(state, PLATFORM_OBJECT, ACCOUNT)
    declared(state)
    put(state, domain("a", "a.example"))
    state.compile([PLATFORM])
    assert state.accounts[ACME].domains == []
    assert state.claims.declaring("a.example") == ()


def test_a_status_alone_concerns_no_account() -> None:
    state = DesiredState()
    put(state, ACCOUNT)
    assert (
        put(state, cluster_object("MailAccount", "acme", {"plan": "nano"}, status={"a": 1}))
        == set()
    )
    assert state.objects(ACME)[0].status == {"a": 1}


def test_an_annotation_and_a_new_object_of_the_same_name_concern_the_account() -> None:
    state = DesiredState()
    put(state, ACCOUNT)
    approved = {"sendroute.dev/approve": "0123"}
    assert put(
        state, cluster_object("MailAccount", "acme", {"plan": "nano"}, annotations=approved)
    ) == {ACME}
    assert [item.key.name for item in state.annotated] == ["acme"]
    assert put(state, cluster_object("MailAccount", "acme", {"plan": "nano"}, age=5)) == {ACME}
    assert state.annotated == ()


def test_a_deleted_object_concerns_its_account() -> None:
    state = DesiredState()
    put(state, ACCOUNT, domain("a", "a.example"))
    declared(state)
    assert state.apply({ObjectKey("SendingDomain", "acme", "a"): None}) == {ACME}
    assert declared(state).accounts[ACME].domains == []
    assert state.claims.declaring("a.example") == ()
    state.apply({ACCOUNT.key: None})
    assert ACME not in declared(state).accounts
    assert state.mentioned == set()


def test_an_object_that_moves_to_another_account_concerns_both() -> None:
    state = DesiredState()
    put(state, domain("a", "a.example"))
    other = domain("a", "a.example", age=1, spec={"account": "other"})
    assert put(state, other) == {ACME, AccountKey("acme", "other")}


def test_of_two_objects_with_one_domain_the_older_holds_it() -> None:
    state = DesiredState()
    new = domain("b", "a.example", age=1, spec={"route": {"unconfigured": {}}})
    old = domain("c", "a.example", age=9, spec={"route": {"profile": "ses"}})
    put(state, ACCOUNT, new, old)
    desired = declared(state)
    assert [item.route for item in desired.accounts[ACME].domains] == [via("ses")]
    assert ACME not in desired.stopped
    (conflict,) = [item for item in desired.findings if item.code == "domain-conflict"]
    assert conflict.where is not None
    assert conflict.where.file == "SendingDomain/acme/b"
    assert conflict.where.path == ("spec", "domain")
    assert "SendingDomain/acme/c" in conflict.message
    state.apply({old.key: None})
    assert [item.where.file for item in declared(state).accounts[ACME].domains] == [
        "SendingDomain/acme/b"
    ]


def test_two_objects_of_one_age_are_in_the_order_of_their_names() -> None:
    for names in (("a", "b"), ("b", "a")):
        state = DesiredState()
        put(state, ACCOUNT, *(domain(name, "a.example") for name in names))
        holder = declared(state).accounts[ACME].domains[0]
        assert holder.where.file == "SendingDomain/acme/a"


def test_an_invalid_object_stops_its_account_and_no_other() -> None:
    state = DesiredState()
    other = cluster_object("MailAccount", "other", {"plan": "nano"})
    bad = cluster_object("SMTPProfile", "ses", {"account": "acme", "port": "x"})
    put(state, PLATFORM_OBJECT, ACCOUNT, other, bad)
    desired = declared(state)
    assert desired.stopped == {ACME}
    assert desired.accounts[ACME].unsound == {"ses"}
    assert {item.account for item in desired.findings} == {"acme"}
    state.apply({bad.key: None})
    assert declared(state).stopped == set()


def test_an_account_with_an_invalid_object_still_claims_its_domains() -> None:
    state = DesiredState()
    invalid = cluster_object("MailAccount", "acme", {"plann": "nano"})
    put(state, PLATFORM_OBJECT, invalid, domain("a", "a.example"))
    put(state, domain("b", "b.example", spec={"rout": {"managed": {}}}))
    desired = declared(state)
    assert ACME in desired.stopped
    assert ACME not in desired.accounts
    assert {item.domain for item in desired.undefined[ACME].domains} == {"a.example", "b.example"}
    assert state.claims.declaring("a.example") == state.claims.declaring("b.example") == (ACME,)

    put(state, ACCOUNT)
    desired = declared(state)
    assert desired.undefined == {}
    assert {item.domain for item in desired.accounts[ACME].domains} == {"a.example", "b.example"}

    state.apply({item.key: None for item in (ACCOUNT,)})
    assert declared(state).undefined[ACME].unknown
    state.apply({item.key: None for item in (domain("a", "a.example"), domain("b", "b.example"))})
    assert declared(state).undefined == {}
    assert state.claims.declaring("a.example") == ()


def test_an_object_whose_account_cannot_be_read_stops_its_namespace() -> None:
    state = DesiredState()
    elsewhere = cluster_object("MailAccount", "acme", {"plan": "nano"}, namespace="other")
    bad = cluster_object("SendingDomain", "a", {"account": 7, "domain": "a.example"})
    put(state, PLATFORM_OBJECT, ACCOUNT, elsewhere, bad)
    stored = AccountKey("acme", "gone")
    desired = declared(state, stored)
    assert desired.stopped == {ACME, stored}
    state.apply({bad.key: None})
    assert declared(state, stored).stopped == set()


def test_an_account_of_a_namespace_that_was_not_read_stays_as_it_is() -> None:
    state = DesiredState()
    put(state, PLATFORM_OBJECT)
    stored = AccountKey("acme", "acme"), AccountKey("other", "other")
    assert declared(state, *stored, unread="acme").stopped == {ACME}


def test_objects_without_their_account_are_orphans() -> None:
    state = DesiredState()
    put(state, PLATFORM_OBJECT, domain("a", "a.example"))
    assert list(declared(state).orphans) == [ACME]
    put(state, ACCOUNT)
    assert declared(state).orphans == {}


def test_without_a_platform_that_is_said() -> None:
    state = DesiredState()
    put(state, ACCOUNT)
    assert [item.code for item in declared(state).findings] == ["no-platform"]
    put(state, PLATFORM_OBJECT)
    assert declared(state).findings == ()
    put(state, cluster_object("MailPlatform", "default", {"plans": 7}, namespace="", generation=2))
    assert {item.code for item in declared(state).findings} == {"invalid-value"}


def test_what_an_object_accepts_is_not_reported() -> None:
    state = DesiredState()
    accepts = {"sendroute.dev/accept": "profile-unused"}
    profile = {"account": "acme", "host": "smtp.example.com", "port": 587, "encryption": "starttls"}
    put(state, PLATFORM_OBJECT, ACCOUNT, cluster_object("SMTPProfile", "ses", profile))
    assert [item.code for item in declared(state).findings] == ["profile-unused"]
    put(state, cluster_object("SMTPProfile", "ses", profile, annotations=accepts))
    assert declared(state).findings == ()


ACCEPT, APPROVE = "sendroute.dev/accept", "sendroute.dev/approve"


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (",".join(f"code-{n:03}" for n in range(300)), "names 290 more codes of no finding."),
        (
            ",".join(f"code-{n:05}" for n in range(20_000)),
            "is longer than 4096 characters, and accepts nothing.",
        ),
    ],
    ids=["many", "too many"],
)
def test_the_annotation_of_one_object_takes_no_long_time_from_all(text: str, last: str) -> None:
    """Comparing each code with all others takes a fifth of a millisecond, and an annotation has
    room for twenty thousand."""
    item = cluster_object("MailAccount", "acme", {"plan": "nano"}, annotations={ACCEPT: text})
    assert len(item.annotations[ACCEPT]) <= 4097
    state = DesiredState()
    put(state, item, PLATFORM_OBJECT)
    findings = declared(state).findings
    assert len(findings) <= 11
    assert findings[-1].message == f"The annotation '{ACCEPT}' of MailAccount acme {last}"


def test_only_some_names_of_annotations_are_kept_of_an_object() -> None:
    annotations = {f"sendroute.dev/accep{number}": "x" for number in range(9000)}
    item = domain("a", "a.example", annotations=annotations | {ACCEPT: "default-fell-back"})
    assert len(item.annotations) == 11
    assert item.annotations[ACCEPT] == "default-fell-back"


def test_only_what_may_approve_is_asked_for_approvals() -> None:
    state = DesiredState()
    approve = {APPROVE: "0123456789ab"}
    account = cluster_object("MailAccount", "acme", {"plan": "nano"}, annotations=approve)
    put(state, account, domain("a", "a.example", annotations=approve))
    assert state.annotated == (account,)


def test_a_bug_that_one_object_leads_to_stops_its_namespace_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = cluster_object("MailAccount", "zeta", {"plan": "nano"}, namespace="zeta")
    with monkeypatch.context() as patched:
        patched.setattr(objects.shapes, "decode", _fail)
        failed = domain("b", "b.example")
    (bug,) = failed.findings
    assert (bug.code, bug.namespace, bug.account) == ("internal-error", "acme", None)
    assert bug.message.startswith("SendingDomain b cannot be read because of a bug in Sendroute: ")
    assert "canary" not in repr(bug)
    state = DesiredState()
    put(state, PLATFORM_OBJECT, ACCOUNT, domain("a", "a.example"), failed, other)
    desired = declared(state, ACME, AccountKey("zeta", "zeta"))
    assert desired.stopped == {ACME}
    assert desired.findings == (bug,)


def test_a_bug_in_one_account_stops_that_account_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    other = cluster_object("MailAccount", "zeta", {"plan": "nano"}, namespace="zeta")
    state = DesiredState()
    put(state, PLATFORM_OBJECT, ACCOUNT, domain("a", "a.example"), other)
    with monkeypatch.context() as patched:
        patched.setattr(Compilation, "add_row", _fail)
        desired = declared(state)
    assert desired.stopped == {ACME}
    assert list(desired.accounts) == [AccountKey("zeta", "zeta")]
    (bug,) = desired.findings
    assert (bug.code, bug.account, "canary" in repr(bug)) == ("internal-error", "acme", False)
    put(state, domain("a", "a.example", generation=2, annotations={"sendroute.dev/accept": "x"}))
    assert declared(state).stopped == frozenset()


def test_a_bug_in_the_platform_is_its_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    state = DesiredState()
    put(state, PLATFORM_OBJECT, ACCOUNT)
    with monkeypatch.context() as patched:
        patched.setattr(Compilation, "_add_platform", _fail)
        desired = declared(state)
    assert desired.platform is None
    assert [item.code for item in desired.findings] == ["internal-error"]
