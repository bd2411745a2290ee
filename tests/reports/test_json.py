"""The JSON format of plans and validations, key by key."""

import json

import msgspec
from msgspec.structs import replace

from sendroute.model.account_status import ReportedFinding, reported
from sendroute.model.change import AccountPlan, Action, DomainChange, Plan
from sendroute.model.codes import finding
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Position, Where, whole_file
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.route import MANAGED, Origin, via
from sendroute.reports import report as reports
from sendroute.reports.as_json import chunks, finding_form

KEY = AccountKey("acme", "acme")
REROUTE = DomainChange(
    KEY,
    "shop.example.com",
    Action.REROUTE,
    DomainState(MANAGED, Origin.DEFAULT),
    DomainState(via("ses"), Origin.DECLARED),
    "declared",
    "m",
    Where("a.yaml", 0),
)
UNKNOWN = finding("unknown-profile", "m", hint="h", where=Where("a.yaml", 0))
PLAN = Plan("l", 7, None, (AccountPlan(KEY, 3, (REROUTE,)),), findings=(UNKNOWN,))


def at(where):
    return Position(where.file, 7, 12)


def parsed(report):
    return json.loads("".join(chunks(report)))


def test_a_plan_has_the_documented_keys():
    document = parsed(reports.of_plan(PLAN, locate=at))
    assert document["format_version"] == "1.0"
    assert document["store"] == {"lineage": "l", "revision": 7}
    assert document["summary"] == {
        "create": 0,
        "update": 0,
        "delete": 0,
        "reroute": 1,
        "reassign": 0,
        "skip": 0,
    }
    assert document["changes"] == [
        {
            "kind": "SendingDomain",
            "namespace": "acme",
            "account": "acme",
            "name": "shop.example.com",
            "action": "reroute",
            "before": {"route": {"managed": {}}, "origin": "default"},
            "after": {"route": {"profile": "ses"}, "origin": "declared"},
            "reason": "declared",
            "message": "m",
            "position": {"file": "a.yaml", "line": 7},
        }
    ]
    (finding,) = document["findings"]
    assert finding["code"] == "unknown-profile"
    assert finding["severity"] == "error"
    assert (finding["message"], finding["hint"]) == ("m", "h")
    assert finding["position"] == {"file": "a.yaml", "line": 7, "column": 12}


def test_a_change_has_whether_it_was_applied():
    for outcome, applied in [(Outcome.COMMITTED, True), (Outcome.REFUSED, False)]:
        done = AccountOutcome(KEY, outcome, 4)
        document = parsed(reports.of_result(Result(PLAN, None, (done,), 8)))
        assert [change["applied"] for change in document["changes"]] == [applied]
        assert document["applied"]["reroute"] == int(applied)
        (account,) = document["accounts"]
        assert (account["outcome"], account["revision"]) == (outcome.value, 4)
        assert document["store"]["revision"] == 8


def test_what_fails_for_every_account_is_one_finding():
    failed = finding("store-failed", "The store cannot be written.")
    accounts = tuple(
        AccountOutcome(key, Outcome.FAILED, 4, (failed,)) for key in (KEY, AccountKey("b", "b"))
    )
    document = parsed(reports.of_result(Result(PLAN, None, accounts, 8, (failed,))))
    assert [item["code"] for item in document["findings"]].count("store-failed") == 1


def test_validation_counts_errors_and_warnings():
    warning = finding("unusual-port", "m")
    document = parsed(reports.of_findings([UNKNOWN, warning, finding("suspended", "m")]))
    assert document["format_version"] == "1.0"
    assert document["summary"]["errors"] == 1
    assert document["summary"]["warnings"] == 1
    assert len(document["findings"]) == 3


def test_a_position_without_a_line_has_only_the_file():
    document = parsed(reports.of_plan(PLAN))
    assert document["changes"][0]["position"] == {"file": "a.yaml"}
    assert document["findings"][0]["position"] == {"file": "a.yaml"}


def test_a_finding_has_the_same_keys_from_a_report_and_from_the_store():
    common = ["code", "severity", "message", "hint", "position"]
    assert list(finding_form(UNKNOWN)) == [*common, "namespace", "account", "related"]
    stored = reported(replace(UNKNOWN, position=Position("a.yaml", 7, 12), domain="a.example"))
    form = finding_form(stored)
    assert list(form) == [*common, "domains", "more_domains"]
    assert form["position"] == {"file": "a.yaml", "line": 7, "column": 12}


def test_a_stored_finding_has_its_position_as_data():
    whole = reported(finding("unreadable", "m", where=whole_file("a.lock")))
    assert finding_form(whole)["position"] == {"file": "a.lock"}
    earlier = '{"code":"unreadable","severity":"error","message":"m","position":"a.yaml:7:12"}'
    stored = msgspec.json.decode(earlier, type=ReportedFinding)
    assert stored.position == Position("a.yaml", 7, 12), "of an earlier version"
    again = msgspec.json.decode(msgspec.json.encode(stored), type=ReportedFinding)
    assert again == stored
