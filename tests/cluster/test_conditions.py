"""What is projected from a reconcile to the status of each object."""

import ast
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec.structs import replace
from tests.cluster.kstatus import kstatus
from tests.cluster.projected import (
    ACCOUNT,
    DOMAIN,
    EMPTY,
    NOW,
    PLATFORM,
    PROFILE,
    Cluster,
    desired_of,
    documents,
    objects_in,
    with_spec,
)

from sendroute.cluster.conditions import project_platform
from sendroute.cluster.objects import ObjectKey, ReconciledPlatform
from sendroute.manifests.statuses import MAX_HELD_BACK, encode_status
from sendroute.model import owner
from sendroute.model.account_status import (
    AccountStatus,
    ReportedFinding,
    StatusReason,
    StatusReport,
    reported,
)
from sendroute.model.codes import Code, Responsible, Trait, condition_of, finding, is_stalled
from sendroute.model.conditions import ConditionType, Reason
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity, TenantText, Where
from sendroute.model.outcome import AccountOutcome, Outcome
from sendroute.model.provenance import AccountRevision
from sendroute.runtime.contests import Contests

ACME = AccountKey("acme", "acme")
THE_ACCOUNT = ObjectKey("MailAccount", "acme", "acme")
THE_PROFILE = ObjectKey("SMTPProfile", "acme", "ses")
THE_DOMAIN = ObjectKey("SendingDomain", "acme", "shop")
VIA_SES = with_spec(DOMAIN, route={"profile": "ses"})
VALID = documents(PLATFORM, ACCOUNT, PROFILE, VIA_SES)


def finding_at(code: str, key: ObjectKey | None, *path: str, **fields: Any) -> Finding:
    where = Where(str(key), 0).at(*path) if key is not None else None
    return finding(code, f"What {code} says.", where=where, account=ACME, **fields)


class Expected(NamedTuple):
    """An object, what kstatus says of it, and its conditions that are given here."""

    key: ObjectKey
    kstatus: str
    conditions: Mapping[str, tuple[str, str]]


class Row(NamedTuple):
    """A sentence, the documents that were applied before and are applied now, what is different in
    the reconcile, and what is expected."""

    title: str
    before: str | None
    now: str
    expected: Expected
    findings: tuple[Finding, ...] = ()
    fields: Mapping[str, Any] = {}


FAILED: dict[str, Any] = {"outcome": AccountOutcome(ACME, Outcome.FAILED, 0)}
REFUSED: dict[str, Any] = {"outcome": AccountOutcome(ACME, Outcome.REFUSED, 0)}
UNREAD: dict[str, Any] = {"outcome": None, "current": None, "desired": None}
MANAGED = with_spec(DOMAIN, route={"managed": {}})
ON_NANO = with_spec(ACCOUNT, plan="nano")
TO_SES = {"id": "to-ses", "route": {"profile": "ses"}}
ALL_TO_SES = with_spec(ACCOUNT, applyToAll={**TO_SES, "confirm": {"domains": 1}})
SUSPENDED = with_spec(DOMAIN, suspend=True)


def contested(key: owner.Owner) -> AccountStatus:
    contests = Contests(300.0, lambda: 1.0)
    for now in (0.0, 1.0, 2.0):
        contests.changed({key: AccountRevision(7, "ci@build2", "1a2b3c4")})
        contests.reconciled({key: Outcome.COMMITTED}, (), now, NOW)
    (status,) = contests.statuses({}, ())
    return status


def row(
    title: str,
    now: str,
    key: ObjectKey,
    state: str,
    *,
    before: str | None = None,
    findings: tuple[Finding, ...] = (),
    fields: Mapping[str, Any] | None = None,
    **conditions: tuple[str, str],
) -> Row:
    return Row(title, before, now, Expected(key, state, conditions), findings, fields or {})


def secret(code: str) -> Row:
    reason = condition_of(code).reason
    return row(
        f"a new profile with {code} waits for its secret",
        documents(PLATFORM, ACCOUNT),
        THE_PROFILE,
        "InProgress",
        findings=(finding_at(code, THE_PROFILE, "spec", "credentials"),),
        fields={"objects": tuple(objects_in(documents(ACCOUNT, PROFILE)))},
        ResolvedRefs=("False", reason),
        Applied=("False", reason),
        Ready=("False", reason),
        Reconciling=("True", reason),
    )


ROWS = [
    row(
        "what is applied is ready",
        VALID,
        THE_DOMAIN,
        "Current",
        Accepted=("True", "Valid"),
        ResolvedRefs=("True", "Resolved"),
        Applied=("True", "Applied"),
        Ready=("True", "Applied"),
    ),
    row(
        "a saved profile is verified",
        VALID,
        THE_PROFILE,
        "Current",
        ConnectionVerified=("True", "Verified"),
        Ready=("True", "Applied"),
    ),
    row(
        "a profile that asks for no test is not verified, and ready",
        documents(PLATFORM, ACCOUNT, with_spec(PROFILE, connectionTest="skip")),
        THE_PROFILE,
        "Current",
        ConnectionVerified=("Unknown", "TestSkipped"),
        Ready=("True", "Applied"),
    ),
    row(
        "a profile that only warns of its failed test is ready",
        documents(PLATFORM, ACCOUNT, with_spec(PROFILE, connectionTest="warn")),
        THE_PROFILE,
        "Current",
        findings=(finding_at("connection-test-failed", THE_PROFILE, severity=Severity.WARNING),),
        ConnectionVerified=("False", "TestFailed"),
        Ready=("True", "TestFailed"),
    ),
    row(
        "a host at a refused address is tried again",
        documents(PLATFORM, ACCOUNT),
        THE_PROFILE,
        "InProgress",
        findings=(finding_at("address-refused", THE_PROFILE),),
        fields={"objects": tuple(objects_in(documents(ACCOUNT, PROFILE)))},
        ConnectionVerified=("False", "AddressRefused"),
        Ready=("False", "AddressRefused"),
        Reconciling=("True", "AddressRefused"),
    ),
    row(
        "an object with an invalid field is stalled",
        documents(PLATFORM, ACCOUNT, with_spec(DOMAIN, color="red")),
        THE_DOMAIN,
        "Failed",
        Accepted=("False", "Invalid"),
        Ready=("False", "Invalid"),
        Stalled=("True", "Invalid"),
    ),
    row(
        "an account with an invalid object says so",
        documents(PLATFORM, ACCOUNT, with_spec(DOMAIN, color="red")),
        THE_ACCOUNT,
        "Failed",
        Applied=("False", "AccountNotApplied"),
        Stalled=("True", "AccountNotApplied"),
    ),
    row(
        "a domain without its account",
        documents(PLATFORM, DOMAIN),
        THE_DOMAIN,
        "Failed",
        Accepted=("False", "AccountNotFound"),
    ),
    row(
        "an account on a plan that the platform does not define",
        documents(PLATFORM, with_spec(ACCOUNT, plan="gold")),
        THE_ACCOUNT,
        "Failed",
        Accepted=("False", "PlanNotFound"),
    ),
    row(
        "an account without a platform",
        ACCOUNT,
        THE_ACCOUNT,
        "Failed",
        Accepted=("False", "PlatformNotFound"),
    ),
    row(
        "a new domain without a platform",
        documents(ACCOUNT, DOMAIN),
        THE_DOMAIN,
        "Failed",
        Applied=("False", "PlatformNotFound"),
    ),
    row(
        "an applied domain stays ready while the platform is gone",
        documents(ACCOUNT, PROFILE, VIA_SES),
        THE_DOMAIN,
        "Current",
        before=VALID,
        Ready=("True", "Applied"),
    ),
    row(
        "managed on a plan without it",
        documents(PLATFORM, ON_NANO, MANAGED),
        THE_DOMAIN,
        "Failed",
        Accepted=("False", "PlanForbidsManaged"),
    ),
    row(
        "the second of two claims in one account",
        documents(PLATFORM, ACCOUNT, DOMAIN),
        ObjectKey("SendingDomain", "acme", "again"),
        "Failed",
        findings=(
            finding_at(
                "domain-conflict", ObjectKey("SendingDomain", "acme", "again"), "spec", "domain"
            ),
        ),
        fields={
            "objects": tuple(objects_in(documents(ACCOUNT, DOMAIN, with_spec(DOMAIN, "again"))))
        },
        Accepted=("False", "DomainConflict"),
        Stalled=("True", "DomainConflict"),
    ),
    row(
        "a suspended domain is left alone",
        documents(PLATFORM, ACCOUNT, SUSPENDED),
        THE_DOMAIN,
        "Current",
        before=documents(PLATFORM, ACCOUNT, DOMAIN),
        Accepted=("True", "Suspended"),
        Applied=("True", "Suspended"),
        Ready=("True", "Suspended"),
    ),
    row(
        "a profile that never existed",
        documents(PLATFORM, ACCOUNT, VIA_SES),
        THE_DOMAIN,
        "Failed",
        ResolvedRefs=("False", "ProfileNotFound"),
        Stalled=("True", "ProfileNotFound"),
    ),
    row(
        "a domain whose profile was deleted is not on its declared route",
        documents(PLATFORM, ACCOUNT, VIA_SES),
        THE_DOMAIN,
        "Failed",
        before=VALID,
        ResolvedRefs=("False", "ProfileNotFound"),
        Applied=("False", "ProfileNotFound"),
    ),
    row(
        "a default that fell back leaves the account ready",
        documents(PLATFORM, with_spec(ACCOUNT, defaultRoute={"profile": "ses"})),
        THE_ACCOUNT,
        "Current",
        before=documents(PLATFORM, with_spec(ACCOUNT, defaultRoute={"profile": "ses"}), PROFILE),
        ResolvedRefs=("False", "DefaultFellBack"),
        Ready=("True", "DefaultFellBack"),
    ),
    *map(
        secret,
        (
            Code.SECRET_MISSING,
            Code.SECRET_FORBIDDEN,
            Code.SECRET_UNREADABLE,
            Code.SECRET_KEY_MISSING,
            Code.SECRET_INVALID,
            Code.SECRET_NOT_BOUND,
        ),
    ),
    row(
        "a saved profile keeps its credential when its secret goes",
        VALID,
        THE_PROFILE,
        "Current",
        findings=(finding_at("secret-not-compared", THE_PROFILE, cause="secret-missing"),),
        ResolvedRefs=("False", "SecretNotFound"),
        Ready=("True", "SecretNotFound"),
    ),
    row(
        "a secret that could not be compared",
        VALID,
        THE_PROFILE,
        "Current",
        findings=(finding_at("secret-not-compared", THE_PROFILE),),
        ResolvedRefs=("False", "SecretNotCompared"),
        Ready=("True", "SecretNotCompared"),
    ),
    row(
        "an apply-all without its confirmation",
        documents(PLATFORM, with_spec(ACCOUNT, applyToAll=TO_SES), PROFILE, DOMAIN),
        THE_ACCOUNT,
        "Failed",
        Applied=("False", "AwaitingConfirmation"),
        Stalled=("True", "AwaitingConfirmation"),
    ),
    row(
        "an apply-all that is confirmed for fewer domains",
        documents(
            PLATFORM,
            with_spec(ACCOUNT, applyToAll={**TO_SES, "confirm": {"domains": 0}}),
            PROFILE,
            DOMAIN,
        ),
        THE_ACCOUNT,
        "Failed",
        Applied=("False", "ConfirmationExceeded"),
    ),
    row(
        "an apply-all whose id ran with another route",
        documents(
            PLATFORM,
            with_spec(ACCOUNT, applyToAll={"id": "to-ses", "route": {"managed": {}}}),
            PROFILE,
            DOMAIN,
        ),
        THE_ACCOUNT,
        "Failed",
        before=documents(PLATFORM, ALL_TO_SES, PROFILE, DOMAIN),
        Applied=("False", "ApplyAllIdReused"),
    ),
    row(
        "a domain that an apply-all keeps from its declared route",
        documents(PLATFORM, ALL_TO_SES, PROFILE, MANAGED),
        THE_DOMAIN,
        "Current",
        before=documents(PLATFORM, ACCOUNT, PROFILE, MANAGED),
        Applied=("True", "Shadowed"),
        Ready=("True", "Shadowed"),
    ),
    row(
        "an account that is removed",
        documents(PLATFORM, with_spec(ACCOUNT, remove={"confirm": {"domains": 1}}), DOMAIN),
        THE_ACCOUNT,
        "Current",
        before=documents(PLATFORM, ACCOUNT, DOMAIN),
        Applied=("True", "Removed"),
    ),
    row(
        "a domain of an account that is removed",
        documents(PLATFORM, with_spec(ACCOUNT, remove={"confirm": {"domains": 1}}), DOMAIN),
        THE_DOMAIN,
        "Failed",
        before=documents(PLATFORM, ACCOUNT, DOMAIN),
        Accepted=("False", "AccountRemoved"),
    ),
    row(
        "a new domain of an account with an error",
        documents(PLATFORM, ACCOUNT, VIA_SES, with_spec(DOMAIN, "news", domain="news.example.com")),
        ObjectKey("SendingDomain", "acme", "news"),
        "Failed",
        Applied=("False", "AccountNotApplied"),
        Stalled=("True", "AccountNotApplied"),
    ),
    row(
        "an account that waits continues by itself, also with a reference that is not there yet",
        documents(PLATFORM, ACCOUNT, VIA_SES),
        THE_DOMAIN,
        "InProgress",
        fields={"waiting": "The account waits for profile ses."},
        ResolvedRefs=("False", "ProfileNotFound"),
        Applied=("False", "Waiting"),
        Reconciling=("True", "ProfileNotFound"),
    ),
    row(
        "an object that nothing has refused is pending",
        documents(PLATFORM, ACCOUNT),
        THE_DOMAIN,
        "InProgress",
        fields={"objects": tuple(objects_in(documents(ACCOUNT, DOMAIN)))},
        Applied=("False", "Pending"),
        Reconciling=("True", "Pending"),
    ),
    row(
        "an apply-all that has not run yet",
        documents(PLATFORM, ACCOUNT, PROFILE, DOMAIN),
        THE_ACCOUNT,
        "InProgress",
        fields={"objects": tuple(objects_in(documents(ALL_TO_SES, PROFILE, DOMAIN)))},
        Applied=("False", "Pending"),
    ),
    row(
        "a change that waits for something else",
        VALID,
        THE_DOMAIN,
        "InProgress",
        findings=(finding_at("dependency-skipped", THE_DOMAIN, "spec", "route"),),
        Applied=("False", "DependencySkipped"),
        Reconciling=("True", "DependencySkipped"),
    ),
    row(
        "a store that another writer changed",
        VALID,
        THE_ACCOUNT,
        "InProgress",
        findings=(finding_at("stale-plan", None),),
        fields=REFUSED,
        Applied=("False", "StoreChanged"),
    ),
    row(
        "another writer that changes the account back each time",
        VALID,
        THE_ACCOUNT,
        "Failed",
        fields={"status": contested(ACME)},
        Applied=("False", "Contested"),
        Ready=("False", "Contested"),
        Stalled=("True", "Contested"),
    ),
    row(
        "a domain of an account that another writer changes back each time",
        VALID,
        THE_DOMAIN,
        "Failed",
        fields={"status": contested(ACME)},
        Applied=("False", "Contested"),
        Ready=("False", "Contested"),
        Stalled=("True", "Contested"),
    ),
    row(
        "a profile of an account that another writer changes back each time",
        VALID,
        THE_PROFILE,
        "Failed",
        fields={"status": contested(ACME)},
        Applied=("False", "Contested"),
        Ready=("False", "Contested"),
        Stalled=("True", "Contested"),
    ),
    row(
        "an invalid domain of an account that another writer changes back each time",
        documents(VALID, with_spec(DOMAIN, "other", domain="not a domain")),
        ObjectKey("SendingDomain", "acme", "other"),
        "Failed",
        fields={"status": contested(ACME)},
        Accepted=("False", "Invalid"),
        Ready=("False", "Invalid"),
    ),
    row(
        "a store that does not answer",
        VALID,
        THE_ACCOUNT,
        "InProgress",
        findings=(finding_at("store-failed", None),),
        fields=FAILED,
        Applied=("False", "StoreUnavailable"),
        Reconciling=("True", "StoreUnavailable"),
    ),
    row(
        "the store of another cluster",
        VALID,
        THE_ACCOUNT,
        "Failed",
        findings=(finding_at("wrong-store", None),),
        fields=REFUSED,
        Applied=("False", "StoreLineageMismatch"),
        Stalled=("True", "StoreLineageMismatch"),
    ),
    row(
        "an API that does not answer when a secret is read",
        VALID,
        THE_ACCOUNT,
        "InProgress",
        findings=(finding_at("cluster-unreachable", None),),
        fields=FAILED,
        Applied=("False", "ClusterUnreachable"),
    ),
    row(
        "an account whose objects cannot be read",
        VALID,
        THE_ACCOUNT,
        "InProgress",
        findings=(finding_at("cluster-unreachable", None),),
        fields=UNREAD,
        Applied=("False", "ClusterUnreachable"),
    ),
    row(
        "an object whose account may be there, but cannot be read",
        documents(PLATFORM, VIA_SES),
        THE_DOMAIN,
        "InProgress",
        fields={**UNREAD, "findings": (finding_at("cluster-unreachable", None),)},
        Accepted=("True", "Valid"),
        Applied=("False", "ClusterUnreachable"),
    ),
    row(
        "a key that was not given",
        VALID,
        THE_ACCOUNT,
        "Failed",
        findings=(finding_at("key-missing", None),),
        fields=REFUSED,
        Applied=("False", "KeyMissing"),
    ),
    row(
        "a credential that the key does not fit",
        VALID,
        THE_PROFILE,
        "Failed",
        findings=(finding_at("credential-unreadable", THE_PROFILE),),
        Applied=("False", "CredentialUnreadable"),
    ),
]


def projected(item: Row) -> tuple[Cluster, dict[ObjectKey, dict[str, Any]]]:
    cluster = Cluster()
    if item.before is not None:
        cluster.apply(item.before)
    fields = dict(item.fields)
    if "objects" in fields:
        fields["desired"] = desired_of(fields["objects"]).accounts.get(ACME)
    return cluster, cluster.apply(item.now, findings=item.findings, fields=fields)


@pytest.mark.parametrize("item", ROWS, ids=lambda item: item.title)
def test_the_conditions_of(item: Row) -> None:
    written = projected(item)[1]
    status = written[item.expected.key]
    conditions = {
        condition["type"]: (condition["status"], condition["reason"])
        for condition in status["conditions"]
    }
    assert conditions.items() >= dict(item.expected.conditions).items(), status["conditions"]
    generation = status["observedGeneration"]
    assert kstatus(generation, status) == item.expected.kstatus
    assert all(c["observedGeneration"] == generation for c in status["conditions"])


def test_every_reason_is_shown_by_a_case() -> None:
    shown = set()
    for item in ROWS:
        for status in projected(item)[1].values():
            shown |= {condition["reason"] for condition in status["conditions"]}
    shown |= {Reason.HELD_BACK, Reason.NOT_TESTED}  # the cases of tests/cases/plans have these
    assert shown == set(Reason)


def test_every_reason_why_a_condition_is_not_true_is_in_the_table_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs/kubernetes.md").read_text("utf-8")
    _, _, table = page.partition("| condition |")
    listed = set(re.findall(r"`(\w+)`", table.partition("\n\n")[0])) - set(ConditionType)
    of_codes = {shown.reason for code in Code if not (shown := condition_of(code)).is_advice}
    assert of_codes <= listed
    assert listed <= set(Reason)


def test_the_reasons_of_the_plan_cases_are_real() -> None:
    texts = (Path(__file__).parents[1] / "cases" / "plans").glob("*/statuses.txt")
    text = "\n".join(path.read_text("utf-8") for path in texts)
    assert "HeldBack" in text
    assert "NotTested" in text


def test_a_tool_waits_exactly_for_what_goes_on_by_itself() -> None:
    for item in ROWS:
        for status in projected(item)[1].values():
            types = {condition["type"]: condition["status"] for condition in status["conditions"]}
            state = kstatus(status["observedGeneration"], status)
            assert list(types) == [kind for kind in ConditionType if kind in types]
            if types["Ready"] == "True":
                assert state == "Current"
                assert not {"Reconciling", "Stalled"} & types.keys()
            else:
                assert state == {"Reconciling": "InProgress", "Stalled": "Failed"}[[*types][-1]]


def test_an_object_whose_new_generation_was_not_seen_is_in_progress() -> None:
    cluster = Cluster()
    status = cluster.apply(VALID)[THE_DOMAIN]
    assert kstatus(1, status) == "Current"
    assert kstatus(2, status) == "InProgress"
    assert kstatus(1, {"observedGeneration": -1}) == "InProgress"


def test_the_time_of_a_condition_changes_with_its_status_only() -> None:
    cluster = Cluster()

    def times(text: str) -> dict[str, str]:
        cluster.now += timedelta(minutes=1)
        conditions = cluster.apply(text)[THE_DOMAIN]["conditions"]
        return {item["type"]: item["lastTransitionTime"] for item in conditions}

    first = times(VALID)
    assert set(first.values()) == {"2026-11-28T20:01:00Z"}
    assert times(VALID) == first
    edited = VALID.replace("shop.example.com", "store.example.com")
    assert times(edited) == first, "another generation, and the same statuses"
    gone = times(documents(PLATFORM, ACCOUNT, VIA_SES))
    assert gone["Accepted"] == first["Accepted"]
    assert gone["Ready"] == gone["Stalled"] == "2026-11-28T20:04:00Z"
    back = times(VALID)
    assert back["Ready"] == "2026-11-28T20:05:00Z"
    assert "Stalled" not in back


def test_a_domain_shows_the_route_that_its_mail_takes() -> None:
    cluster = Cluster()
    cluster.apply(documents(PLATFORM, ACCOUNT, PROFILE, MANAGED))
    status = cluster.apply(documents(PLATFORM, ALL_TO_SES, PROFILE, MANAGED))
    shown = {key: value for key, value in status[THE_DOMAIN].items() if key != "conditions"}
    assert shown == {
        "observedGeneration": 1,
        "route": {"profile": "ses"},
        "routeText": "profile ses",
        "origin": "apply-all",
        "shadowedBy": "to-ses",
        "since": "2026-11-28T20:00:00Z",
    }
    account = status[THE_ACCOUNT]
    assert account["lastApplyAll"] == {"id": "to-ses", "route": {"profile": "ses"}, "domains": 1}
    assert account["counts"] == {"domains": 1, "profiles": 1, "shadowed": 1}
    assert account["effectiveDefault"] == {"managed": {}}
    assert account["effectiveDefaultText"] == "managed"
    assert account["store"] == {"lineage": "7c1e"}


def messages(status: dict[str, Any]) -> dict[str, str]:
    return {item["type"]: item["message"] for item in status["conditions"]}


def test_a_default_that_fell_back_is_explained_once() -> None:
    cluster = Cluster()
    account = with_spec(ACCOUNT, defaultRoute={"profile": "ses"})
    cluster.apply(documents(PLATFORM, account, PROFILE, DOMAIN))
    status = cluster.apply(documents(PLATFORM, account, DOMAIN))[THE_ACCOUNT]
    assert messages(status)["ResolvedRefs"] == (
        "The default of account acme/acme, profile ses, is not satisfiable; new domains start on"
        " the plan default, managed. Declare the profile again, or another spec.defaultRoute."
    )


def test_an_object_of_an_account_that_waits_does_not_show_what_another_one_lacks() -> None:
    other = with_spec(DOMAIN, "news", domain="news.example.com")
    text = documents(PLATFORM, ACCOUNT, VIA_SES, other)
    fields = {"outcome": None, "current": EMPTY.account(ACME)}
    missing = messages(Cluster().apply(text, fields=fields)[THE_DOMAIN])["ResolvedRefs"]
    waiting = missing.partition(" Declare")[0]
    status = Cluster().apply(text, fields=fields | {"waiting": waiting})
    assert messages(status[THE_DOMAIN])["Applied"] == waiting
    assert messages(status[THE_ACCOUNT])["Applied"].endswith(waiting)
    news = messages(status[ObjectKey("SendingDomain", "acme", "news")])
    assert news["Applied"] == "The account waits, because another of its objects may be incomplete."


def test_the_second_claim_in_an_account_shows_no_route_of_the_first() -> None:
    again = ObjectKey("SendingDomain", "acme", "again")
    item = next(item for item in ROWS if item.expected.key == again)
    assert "route" not in projected(item)[1][again]


@pytest.mark.parametrize("code", ["wrong-store", "store-empty"])
def test_the_status_of_another_store_is_kept(code: str) -> None:
    cluster = Cluster()
    before = cluster.apply(VALID)
    current = cluster.current.account(ACME)
    empty = msgspec.structs.replace(current, domains={}, profiles={})
    mismatch = {"current": empty, "lineage": "ffff"} | REFUSED
    after = cluster.apply(VALID, findings=[finding_at(code, None)], fields=mismatch)
    assert after[THE_ACCOUNT]["store"] == {"lineage": "7c1e"}
    assert after[THE_ACCOUNT]["counts"] == before[THE_ACCOUNT]["counts"]
    assert after[THE_DOMAIN] == before[THE_DOMAIN]


def test_an_unreadable_store_changes_the_status_of_the_account_only() -> None:
    cluster = Cluster()
    before = cluster.apply(VALID)
    gone = {"current": None, "lineage": ""} | FAILED
    after = cluster.apply(VALID, findings=[finding_at("store-failed", None)], fields=gone)
    assert after[THE_ACCOUNT]["store"] == before[THE_ACCOUNT]["store"]
    assert after[THE_DOMAIN] == before[THE_DOMAIN]
    assert after[THE_PROFILE] == before[THE_PROFILE]


def many_domains(count: int) -> str:
    return documents(
        PLATFORM,
        ACCOUNT,
        *(with_spec(DOMAIN, f"d{i:02}", domain=f"d{i:02}.example.com") for i in range(count)),
    )


def test_what_is_held_back_says_how_it_is_approved() -> None:
    cluster = Cluster()
    cluster.apply(many_domains(12))
    cluster.apply(many_domains(2))
    status = cluster.reconciled[ACME].status
    assert status is not None
    ready = cluster.apply(many_domains(2))[THE_ACCOUNT]["conditions"][-2]
    assert ready["message"] == (
        "Applying the manifests would remove 10 of the 12 domains of account acme/acme; the limit"
        " is 30 %. If the change is intended, approve it: set the annotation"
        f" sendroute.dev/approve to {status.digest}."
    )
    stale = "metadata:\n  annotations: {sendroute.dev/approve: 0123456789abcdef}\n"
    edited = many_domains(2).replace(
        "metadata: {name: acme, namespace: acme}", f"{stale}  name: acme\n  namespace: acme"
    )
    ready = cluster.apply(edited)[THE_ACCOUNT]["conditions"][-2]
    assert "approves another change, 0123456789abcdef." in ready["message"]
    ready = cluster.apply(edited.replace("0123456789abcdef", str(status.digest)))
    assert "another change" not in ready[THE_ACCOUNT]["conditions"][-2]["message"]


def test_no_message_names_an_option() -> None:
    for item in ROWS:
        for status in projected(item)[1].values():
            for condition in status["conditions"]:
                assert "--" not in condition["message"]
                assert condition["message"]


# The platform


def held_back(count: int) -> dict[Any, AccountStatus]:
    guard = finding("account-removal", "It would be removed.")
    report = StatusReport((reported(guard),))
    keys = [AccountKey("acme", f"a{number:03}") for number in range(count)]
    at = Cluster().now
    return {
        key: AccountStatus(key, StatusReason.HELD_BACK, report, at, f"digest{key.name}")
        for key in keys
    }


def platform(**fields: Any) -> dict[str, Any]:
    [seen] = objects_in(PLATFORM)
    desired = desired_of([seen]).platform
    assert desired is not None
    reconciled = ReconciledPlatform(seen, (), None, {}, desired.platform, desired.platform, "7c1e")
    reconciled = msgspec.structs.replace(reconciled, **fields)
    status = project_platform(reconciled, Cluster().now)
    assert status is not None
    return encode_status(status)


def test_the_platform_lists_what_is_held_back() -> None:
    status = platform(statuses=held_back(2))
    assert status["heldBack"] == [
        {
            "namespace": "acme",
            "account": f"a00{number}",
            "what": "It would be removed.",
            "digest": f"digesta00{number}",
        }
        for number in (0, 1)
    ]
    assert status["heldBackTotal"] == 2
    assert status["store"] == {"lineage": "7c1e"}
    assert kstatus(1, status) == "Current"
    assert platform()["heldBackTotal"] == 0


def test_the_list_of_what_is_held_back_is_bounded() -> None:
    status = platform(statuses=held_back(MAX_HELD_BACK + 5))
    assert len(status["heldBack"]) == MAX_HELD_BACK
    assert status["heldBackTotal"] == MAX_HELD_BACK + 5


def test_a_platform_that_is_not_saved_waits_for_its_secret() -> None:
    where = Where("MailPlatform/default", 0, ("spec", "managed", "relay", "credentials"))
    missing = finding("secret-missing", "The secret is missing.", where=where)
    status = platform(current=None, findings=(missing,))
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert conditions["ResolvedRefs"] == ("False", "SecretNotFound")
    assert conditions["Reconciling"] == ("True", "SecretNotFound")
    assert kstatus(1, status) == "InProgress"


def test_a_platform_that_another_writer_reverts_is_contested() -> None:
    status = platform(statuses={owner.PLATFORM: contested(owner.PLATFORM)})
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert conditions["Applied"] == ("False", "Contested")
    assert conditions["Stalled"] == ("True", "Contested")
    assert kstatus(1, status) == "Failed"


def test_a_contest_is_shown_at_the_platform_without_the_errors_beside_it() -> None:
    status = contested(owner.PLATFORM)
    broken = ReportedFinding(
        "invalid-value",
        Severity.ERROR,
        "It is broken.",
        for_tenant=TenantText("It is broken.", None),
    )
    report = StatusReport((*status.report.findings, broken))
    shown = platform(statuses={owner.PLATFORM: replace(status, report=report)})
    assert "is reverted each time" in str(shown)
    assert "It is broken." not in str(shown)


def test_what_reverts_an_account_is_not_named_to_its_tenant() -> None:
    status = contested(ACME)
    (problem,) = status.report.findings
    assert "by ci@build2 from commit 1a2b3c4" in problem.message
    shown = str(Cluster().apply(VALID, fields={"status": status}))
    assert "by another writer of the store" in shown
    assert "build2" not in shown
    # A status of an earlier version has no text for a tenant until it is written again.
    report = StatusReport((replace(problem, for_tenant=None),))
    fields = {"status": replace(status, report=report)}
    assert "build2" not in str(Cluster().apply(VALID, fields=fields))


def test_there_is_no_status_without_a_platform_object() -> None:
    reconciled = ReconciledPlatform(None, (), None, {}, None, None)
    assert project_platform(reconciled, Cluster().now) is None


# The table

PACKAGE = Path(__file__).parents[2] / "operator/sendroute"
EMITTING = (
    "planner",
    "reconcile/secret_check.py",
    "reconcile/verifier.py",
    "reconcile/commit.py",
    "manifests/compile.py",
    "manifests/platforms.py",
    "manifests/profiles.py",
    "manifests/problems.py",
    "manifests/acceptance.py",
    "credentials/resolve.py",
    "store/errors.py",
    "store/database.py",
    "store/record.py",
    "cluster",
)
"""Where findings about objects come from."""
# A platform that is a file is no object: its problems are in the log and in /readyz.
OF_NO_OBJECT = {"not-held-back", "store-exists", "leader-replaced", "source-unreachable"}


def emitted() -> set[str]:
    codes = set()
    for path in EMITTING:
        source = PACKAGE / path
        for file in [source] if source.is_file() else sorted(source.glob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and node.value in set(Code):
                    codes.add(str(node.value))
    return codes


def test_every_code_that_can_reach_an_object_has_its_condition() -> None:
    codes = emitted()
    assert len(codes) > 35, "the sources are no longer found"
    shown = {code for code in Code if code.condition is not None}
    assert codes - shown - OF_NO_OBJECT == set()


@pytest.mark.parametrize("code", Code, ids=str)
def test_what_goes_on_by_itself_is_not_stalled(code: Code) -> None:
    by_itself = Trait.TRANSIENT in code.traits or Trait.SKIPPED in code.traits
    others = code.responsible is Responsible.ENVIRONMENT
    assert is_stalled(code) is not (by_itself or others)
