"""Routes, history, explain and status as a person and as a program reads them."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from sendroute.model.change import Shadowed
from sendroute.model.route import MANAGED, UNCONFIGURED, Origin, Route, via
from sendroute.model.wanted import AccountKey
from sendroute.reports import record
from sendroute.reports.text import width

ACME = AccountKey("acme", "acme")
# Half past six in Kolkata: what is shown must not depend on where a time was read.
WHEN = datetime(2026, 11, 23, 9, 40, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))


class Row(NamedTuple):
    domain: str
    route: Route
    origin: Origin
    shadow: str | None = None
    declared: Route | None = None
    account: AccountKey = ACME
    since: datetime = WHEN


class Entry(NamedTuple):
    name: str
    before: Route | None
    after: Route | None
    commit: str | None = "0123456789abcdef0123"
    at: datetime = WHEN
    revision: int = 7
    actor: str = "ci@runner"
    account: AccountKey = ACME
    kind: str = "SendingDomain"
    action: str = "reroute"
    reason: str = "apply-all"


class Seen(NamedTuple):
    name: str
    revision: int
    seen: datetime


ROWS = [
    Row("shop.example.com", via("ses"), Origin.APPLY_ALL, "2026-11", MANAGED),
    Row("long-" * 20 + "name.example.com", UNCONFIGURED, Origin.DEFAULT),
]


def test_routes_are_an_aligned_table_of_a_hundred_columns():
    lines = list(record.routes_text(ROWS))
    assert all(width(line) <= 100 for line in lines)
    assert len({line.index("2026-11-23 04:10Z") for line in lines[1:]}) == 1
    assert lines[1].startswith("acme/acme  shop.example.com")
    assert "apply-all, shadows managed" in lines[1]


def test_routes_as_json_are_those_of_the_design():
    document = json.loads("".join(record.routes_json(iter(ROWS))))
    assert document["format_version"] == "1.0"
    assert document["domains"][0] == {
        "namespace": "acme",
        "account": "acme",
        "domain": "shop.example.com",
        "route": {"profile": "ses"},
        "origin": "apply-all",
        "shadowed_by": "2026-11",
        "declared": {"managed": {}},
        "since": "2026-11-23T04:10:05Z",
    }
    assert document["domains"][1]["declared"] is None


def test_no_rows_are_said_in_words():
    assert list(record.routes_text([])) == ["No domains."]
    assert list(record.history_text([])) == ["No history."]
    assert json.loads("".join(record.routes_json([])))["domains"] == []


def test_history_says_when_who_and_what():
    rows = [
        Entry("shop.example.com", MANAGED, via("ses")),
        Entry("x\x1b[2J", None, via("ses"), None),
    ]
    lines = list(record.history_text(rows))
    assert all(width(line) <= 100 and line.isprintable() for line in lines)
    assert lines[1].startswith("2026-11-23 04:10Z  7")
    document = json.loads("".join(record.history_json(rows)))
    assert document["history"][0]["after"] == {"profile": "ses"}
    assert document["history"][0]["commit"] == "0123456789abcdef0123"


EXPLAINED = {
    "address": "a@shop.example.com",
    "domain": "shop.example.com",
    "account": "acme",
    "route": {"profile": "ses"},
    "origin": "declared",
    "since": WHEN,
    "transport": "smtp:[p42r7]:587",
    "host": "email-smtp.eu-west-1.amazonaws.com",
    "port": 587,
    "encryption": "starttls",
    "credentials": {"secretRef": {"name": "ses-smtp"}},
    "limits": None,
    "reason": "Its manifest declares it.",
}


def test_explain_says_each_thing_in_a_line():
    lines = list(record.explain_text(EXPLAINED))
    assert lines[0] == "a@shop.example.com"
    assert "  route        profile ses" in lines
    assert "  since        2026-11-23 04:10Z" in lines
    assert "  credentials  secretRef name ses-smtp" in lines
    assert lines[-1] == "  why          Its manifest declares it."
    assert not any("limits" in line for line in lines)


def test_explain_as_json_has_the_keys_of_the_design():
    document = json.loads("".join(record.explain_json(EXPLAINED)))
    assert document.pop("format_version") == "1.0"
    assert document.keys() == EXPLAINED.keys()
    assert document["since"] == "2026-11-23T04:10:05Z"


def test_status_names_the_relays_that_are_behind():
    relays = [Seen("mx1", 7, WHEN), Seen("mx2", 5, datetime(2026, 11, 23, 4, 0, tzinfo=UTC))]
    shadowed = [Shadowed(ACME, "shop.example.com", MANAGED, via("ses"), "2026-11")]
    text = "\n".join(record.status_text("lineage", 7, relays, shadowed))
    assert "mx1    7         up to date" in text
    assert "mx2    5         2 revisions behind  2026-11-23 04:00Z" in text
    assert "1 declared route shadowed:" in text
    document = json.loads("".join(record.status_json("lineage", 7, relays, shadowed)))
    assert document["store"] == {"lineage": "lineage", "revision": 7}
    assert document["relays"][1]["revision"] == 5
    assert document["shadowed"][0]["apply_all"] == "2026-11"
