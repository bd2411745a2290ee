"""routes, explain, history, status, export and init, on a real store."""

import base64
import csv
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sendroute.model.account_status import ReportedFinding
from sendroute.model.finding import Severity
from sendroute.model.followed_source import FollowedSource
from sendroute.model.times import rfc3339, to_minute
from sendroute.store.record import open_store

from .conftest import PLATFORM, Program, account, domain, profile, write, write_secret

EXPLAIN_KEYS = {
    "address",
    "domain",
    "account",
    "route",
    "origin",
    "since",
    "transport",
    "host",
    "port",
    "encryption",
    "credentials",
    "limits",
    "reason",
}


def explain(sendroute: Program, sender: str) -> dict[str, object]:
    result = sendroute("explain", sender, "-o", "json")
    assert result.status == 0, result
    explanation: dict[str, object] = json.loads(result.out)
    assert explanation.keys() >= EXPLAIN_KEYS
    return explanation


@pytest.mark.usefixtures("store")
def test_explain_shows_the_profile_of_a_domain(sendroute: Program) -> None:
    explanation = explain(sendroute, "<Jane@Shop.Example.COM>")
    assert explanation["address"] == "Jane@Shop.Example.COM"
    assert (explanation["domain"], explanation["account"], explanation["origin"]) == (
        "shop.example.com",
        "acme",
        "declared",
    )
    assert (explanation["transport"], explanation["route"]) == (
        "sendroute-starttls:[p1r1]:587",
        {"profile": "ses"},
    )
    assert explanation["credentials"] == {"secretRef": {"name": "ses-smtp"}}
    assert "secret acme/ses-smtp" in sendroute("explain", "shop.example.com").out


@pytest.mark.usefixtures("store")
def test_explain_shows_the_managed_relay_and_the_limits_of_the_plan(sendroute: Program) -> None:
    explanation = explain(sendroute, "news.example.com")
    assert (explanation["transport"], explanation["host"]) == (
        "sendroute-starttls:[m0r1]:587",
        "relay.internal.example",
    )
    assert explanation["limits"] == {"accountPerDay": 20000}


@pytest.mark.usefixtures("store")
def test_a_managed_domain_shows_what_its_users_configure(sendroute: Program) -> None:
    service = explain(sendroute, "news.example.com")["managed_service"]
    assert service == {
        "host": "smtp.trekmail.example",
        "ports": [{"port": 587, "encryption": "starttls"}],
    }
    text = sendroute("explain", "news.example.com").out
    assert "users configure  smtp.trekmail.example, port 587 (starttls)" in text
    assert explain(sendroute, "shop.example.com")["managed_service"] is None
    assert "users configure" not in sendroute("explain", "shop.example.com").out
    news, shop = json.loads(sendroute("routes", "-o", "json").out)["domains"]
    assert (news["managed_service"], shop["managed_service"]) == (service, None)


def test_a_changed_profile_or_relay_gets_a_new_alias(sendroute: Program, store: Path) -> None:
    manifests = store.parent / "manifests"
    write(manifests / "platform.yaml", PLATFORM.replace("relay.internal", "relay2.internal"))
    text = (manifests / "acme.yaml").read_text()
    (manifests / "acme.yaml").write_text(text.replace("smtp.provider", "smtp2.provider"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert explain(sendroute, "shop.example.com")["transport"] == "sendroute-starttls:[p1r2]:587"
    assert explain(sendroute, "<>")["transport"] == "sendroute-starttls:[m0r2]:587"


@pytest.mark.usefixtures("store")
def test_the_null_sender_uses_the_managed_relay(sendroute: Program) -> None:
    explanation = explain(sendroute, "<>")
    assert (explanation["address"], explanation["domain"], explanation["account"]) == (
        "<>",
        None,
        None,
    )
    assert explanation["host"] == "relay.internal.example"


@pytest.mark.parametrize("sender", ["x@nobody.example", "x@[192.0.2.1]", "localhost"])
@pytest.mark.usefixtures("store")
def test_explain_shows_that_an_unknown_domain_is_rejected(sendroute: Program, sender: str) -> None:
    explanation = explain(sendroute, sender)
    assert (explanation["transport"], explanation["route"]) == (None, None)
    assert "5.7.1" in str(explanation["reason"])


def test_explain_shows_no_transport_without_a_route_or_a_relay(
    sendroute: Program, workdir: Path
) -> None:
    platform = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec: {plans: [{name: nano, managed: false}]}
"""
    names = [domain("acme", "plain.example.com"), domain("acme", "bücher.example")]
    write(
        workdir / "all.yaml",
        platform,
        account("acme", plan="nano"),
        *(name.replace("bücher-example", "books") for name in names),
    )
    sendroute("init")
    assert sendroute("apply", "all.yaml", "--auto-approve").status == 0
    explanation = explain(sendroute, "plain.example.com")
    assert (explanation["transport"], explanation["route"]) == (None, {"unconfigured": {}})
    assert "5.7.1" in str(explanation["reason"])
    assert explain(sendroute, "<>")["transport"] is None
    for form in ("x@bücher.example", "x@BÜCHER.example", "xn--bcher-kva.example"):
        assert explain(sendroute, form)["domain"] == "xn--bcher-kva.example"


@pytest.mark.parametrize("sender", ["a b@shop.example.com", "", " "])
@pytest.mark.usefixtures("store")
def test_explain_reports_an_invalid_address(sendroute: Program, sender: str) -> None:
    result = sendroute("explain", sender)
    assert (result.status, "invalid-value" in result.err) == (1, True)


@pytest.mark.usefixtures("store")
def test_routes_lists_domains_with_route_and_origin(sendroute: Program) -> None:
    document = json.loads(sendroute("routes", "-o", "json").out)
    assert document["format_version"] == "1.0"
    news, shop = document["domains"]
    assert (
        shop.items()
        >= {
            "namespace": "acme",
            "account": "acme",
            "domain": "shop.example.com",
            "route": {"profile": "ses"},
            "origin": "declared",
            "shadowed_by": None,
            "declared": {"profile": "ses"},
        }.items()
    )
    assert (news["route"], news["declared"]) == ({"managed": {}}, None)


@pytest.mark.usefixtures("store")
def test_routes_can_be_filtered_by_profile_account_and_domain(sendroute: Program) -> None:
    def names(*arguments: str) -> list[str]:
        document = json.loads(sendroute("routes", *arguments, "-o", "json").out)
        return [entry["domain"] for entry in document["domains"]]

    assert names("--profile", "ses") == ["shop.example.com"]
    assert names("--account", "acme", "NEWS.example.com") == ["news.example.com"]
    result = sendroute("routes", "news.example.com", "gone.example.com")
    assert (result.status, "gone.example.com" in result.err) == (1, True)
    assert "news.example.com" in result.out
    unknown = sendroute("routes", "--account", "bolt")
    assert (unknown.status, "The store has no account `bolt`." in unknown.err) == (1, True)
    for arguments in (("--profile", "sess"), ("--profile", "sess", "--account", "acme")):
        unknown = sendroute("routes", *arguments)
        assert (unknown.status, unknown.out) == (1, "")
        assert "has no profile `sess`." in unknown.err
        assert "Did you mean `ses`?" in unknown.err


def test_routes_through_a_profile_are_those_of_one_tenant(sendroute: Program, store: Path) -> None:
    """Two tenants may each have a profile of one name."""
    corto = [
        account("corto"),
        profile("corto", "ses"),
        domain("corto", "c.example", "{profile: ses}"),
    ]
    write(store.parent / "manifests/corto.yaml", *corto)
    write_secret(store.parents[1] / "secrets/corto/ses-smtp")
    assert sendroute("apply", "manifests", "--auto-approve").status == 0

    def names(*arguments: str) -> list[str]:
        return sendroute("routes", *arguments, "-o", "csv").out.splitlines()[1:]

    assert [line.split(",")[2] for line in names("--profile", "corto/ses")] == ["c.example"]
    assert [line.split(",")[2] for line in names("--profile", "acme/ses")] == ["shop.example.com"]
    of_corto = names("--profile", "ses", "--account", "corto")
    assert [line.split(",")[2] for line in of_corto] == ["c.example"]
    ambiguous = sendroute("routes", "--profile", "ses")
    assert (ambiguous.status, ambiguous.out) == (1, "")
    assert "Specify one of acme/ses, corto/ses." in ambiguous.err
    unknown = sendroute("routes", "--profile", "corto/own")
    assert "The store has no profile `corto/own`." in unknown.err


@pytest.mark.usefixtures("store")
def test_history_lists_the_changes_of_a_domain_or_an_account(sendroute: Program) -> None:
    def changes(*arguments: str) -> list[dict[str, object]]:
        document = json.loads(sendroute("history", *arguments, "-o", "json").out)
        return list(document["changes"])

    (change,) = changes("shop.example.com")
    assert (change["action"], change["reason"]) == ("create", "declared")
    assert len(changes("acme")) == len(changes("acme/acme")) == 4
    assert len(changes()) == 6
    assert len(changes("--limit", "2")) == 2
    assert "WHO" in sendroute("history").out


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("arguments", "domains"),
    [
        (("*.example.com",), ["news.example.com", "shop.example.com"]),
        (("s*",), ["shop.example.com"]),
        (("ne?s.*",), ["news.example.com"]),
        (("*.EXAMPLE.com", "--profile", "ses"), ["shop.example.com"]),
        (("--origin", "default"), ["news.example.com"]),
        (("news.example.com", "sh*"), ["news.example.com", "shop.example.com"]),
        (("*_*",), []),
        (("*%*",), []),
        (("*[a-z]*",), []),
    ],
)
def test_routes_takes_patterns(
    sendroute: Program, arguments: tuple[str, ...], domains: list[str]
) -> None:
    result = sendroute("routes", *arguments, "-o", "json")
    assert [row["domain"] for row in json.loads(result.out)["domains"]] == domains
    assert (result.status, "unknown-domain" in result.err) == ((0, False) if domains else (1, True))


@pytest.mark.parametrize(
    ("pattern", "domains"),
    [
        ("bü*", ["xn--bcher-kva.example", "xn--bro-hoa.example"]),
        ("BÜ?O.example", ["xn--bro-hoa.example"]),
        ("b\u0075\u0308ro.*", ["xn--bro-hoa.example"]),
        ("*ü*c*", ["xn--bcher-kva.example"]),
        ("xn--bro-hoa.ex*", ["xn--bro-hoa.example"]),
        ("*.büro.example", ["www.xn--bro-hoa.example"]),
        ("☃*", ["xn--n3h.example"]),
        ("ö*", []),
        ("bü[*", []),
    ],
)
def test_a_pattern_of_another_script_matches_the_names_as_they_are_written(
    sendroute: Program, store: Path, pattern: str, domains: list[str]
) -> None:
    names = ("bücher.example", "büro.example", "xn--n3h.example", "www.büro.example")
    documents = [domain("acme", name, "{managed: {}}") for name in names]
    documents = [
        text.replace(f"name: {name.replace('.', '-')}", f"name: other{number}")
        for number, (name, text) in enumerate(zip(names, documents, strict=True))
    ]
    write(store.parent / "manifests/others.yaml", *documents)
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    result = sendroute("routes", pattern, "-o", "json")
    assert [row["domain"] for row in json.loads(result.out)["domains"]] == domains
    assert (result.status, "unknown-domain" in result.err) == ((0, False) if domains else (1, True))


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["*.example.com", "sho?.example.com", "x@*.com", "*"])
def test_only_routes_takes_patterns(sendroute: Program, name: str) -> None:
    explained = json.loads(sendroute("explain", name, "-o", "json").out)
    assert explained["account"] is None, explained
    history = sendroute("history", name.rpartition("@")[2])
    assert (history.status, "No changes" in history.out) == (1, False), history


@pytest.mark.usefixtures("store")
def test_a_pattern_that_matches_nothing_is_named(sendroute: Program) -> None:
    result = sendroute("routes", "s*", "*.none", "none.example")
    assert result.status == 1
    assert ("*.none" in result.err, "domain none.example" in result.err) == (True, True)
    assert "matches s*" not in result.err


@pytest.mark.usefixtures("store")
def test_routes_and_history_can_be_csv(sendroute: Program) -> None:
    routes = list(csv.DictReader(sendroute("routes", "-o", "csv").out.splitlines()))
    shop = next(row for row in routes if row["domain"] == "shop.example.com")
    assert (shop["account"], shop["route"], shop["profile"]) == ("acme", "profile", "ses")
    history = list(csv.DictReader(sendroute("history", "-o", "csv").out.splitlines()))
    created = next(row for row in history if row["name"] == "shop.example.com")
    assert (created["action"], created["from"], created["to"]) == ("create", "", "profile ses")


def test_history_shows_from_and_to(sendroute: Program, store: Path) -> None:
    path = store.parent / "manifests/acme.yaml"
    path.write_text(path.read_text().replace("route: {profile: ses}", "route: {managed: {}}"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    head, newest, *_ = sendroute("history", "shop.example.com").out.splitlines()
    assert head.split()[-2:] == ["FROM", "TO"]
    assert newest.endswith("profile ses  managed")


def test_history_shows_from_and_to_of_an_apply_all_that_changes_no_route(
    sendroute: Program, store: Path
) -> None:
    path = store.parent / "manifests/acme.yaml"
    before = path.read_text()
    for run in ("one", "two"):
        more = f"applyToAll: {{id: {run}, route: {{profile: ses}}, confirm: {{domains: 9}}}}"
        path.write_text(before.replace("plan: pro", f"plan: pro, {more}", 1))
        assert sendroute("apply", "manifests", "--auto-approve").status == 0
    rows = list(csv.DictReader(sendroute("history", "-o", "csv").out.splitlines()))
    updates = [row for row in rows if row["action"] == "update"]
    assert [(row["from"], row["to"]) for row in updates if row["name"] == "acme"] == [("", "")] * 2
    shop = [(row["from"], row["to"]) for row in updates if row["name"] == "shop.example.com"]
    assert shop[0] == ("profile ses, shadowed by one", "profile ses, shadowed by two")
    assert not any(row["from"] == row["to"] != "" for row in rows)


def test_history_shows_which_other_fields_of_a_profile_changed(
    sendroute: Program, store: Path
) -> None:
    path = store.parent / "manifests/acme.yaml"
    before = path.read_text()
    for limits in ("{perSecond: 5}", "{perSecond: 10, perDay: 1000}"):
        path.write_text(before.replace("  port: 587\n", f"  port: 587\n  limits: {limits}\n", 1))
        assert sendroute("apply", "manifests", "--auto-approve").status == 0
    rows = list(csv.DictReader(sendroute("history", "acme/ses", "-o", "csv").out.splitlines()))
    ends = [(row["from"].partition(", ")[2], row["to"].partition(", ")[2]) for row in rows]
    assert ends == [
        ("limits perSecond 5", "limits perSecond 10 perDay 1000"),
        ("no limits", "limits perSecond 5"),
        ("", ""),
    ]
    assert "limits perSecond 10" in sendroute("history", "acme/ses").out


@pytest.mark.usefixtures("store")
def test_history_of_an_unknown_name_mentions_no_manifests(sendroute: Program) -> None:
    unknown = sendroute("history", "nobody")
    assert unknown.status == 1
    assert "The store has no account and no profile `nobody`." in unknown.err


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["shop9.example.com", "acme/nosuch", "bolt/ses", "no_domain..x"])
@pytest.mark.parametrize("since", [(), ("--since", "7d"), ("--since", "2999-01-01")])
def test_history_of_what_never_was_is_an_error(
    sendroute: Program, name: str, since: tuple[str, ...]
) -> None:
    unknown = sendroute("history", name, *since)
    assert (unknown.status, unknown.out) == (1, "")
    assert "Neither the store nor its history has" in unknown.err
    assert "hint: " in unknown.err


@pytest.mark.parametrize("name", ["shop.example.com", "acme/ses"])
def test_history_of_what_was_removed_is_no_error(
    sendroute: Program, store: Path, name: str
) -> None:
    path = store.parent / "manifests/acme.yaml"
    path.write_text(account("acme"))
    options = ("--auto-approve", "--max-remove-percent", "100")
    assert sendroute("apply", "manifests", *options).status == 0
    assert " delete " in sendroute("history", name).out
    quiet = sendroute("history", name, "--since", "2999-01-01")
    assert (quiet.status, quiet.out) == (0, "No changes.\n")


@pytest.mark.usefixtures("store")
def test_history_shows_whose_profile_it_is(sendroute: Program) -> None:
    shown = sendroute("history").out
    assert "SMTPProfile ses of acme/acme" in shown
    assert "MailAccount acme/acme" in shown


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["acme/ses", "ses"])
def test_history_of_a_profile(sendroute: Program, name: str) -> None:
    changes = json.loads(sendroute("history", name, "-o", "json").out)["changes"]
    assert [(change["kind"], change["name"]) for change in changes] == [("SMTPProfile", "ses")]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("since", "some"),
    [("1h", True), ("7d", True), ("2000-01-01", True), ("2000-01-01T10:00:00Z", True),
     ("2999-01-01", False), ("2999-01-01T10:00", False)],
)  # fmt: skip
def test_history_since(sendroute: Program, since: str, some: bool) -> None:
    result = sendroute("history", "--since", since, "-o", "json")
    assert (result.status, bool(json.loads(result.out)["changes"])) == (0, some)


@pytest.mark.parametrize("since", ["soon", "7y", "2026-13-01", "-1d", "999999w"])
def test_a_wrong_time_is_wrong_usage(sendroute: Program, since: str) -> None:
    result = sendroute("history", f"--since={since}")
    assert (result.status, "is not a date, a time or a duration" in result.err) == (64, True)


@pytest.mark.usefixtures("store")
def test_status_says_that_a_loop_was_not_seen_for_some_time(sendroute: Program) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    with open_store("sqlite:///./sendroute.db") as store:
        store.write_followed_source(FollowedSource("alive", "c0ffee", now, seen_at=now))
        before = now - timedelta(hours=1)
        store.write_followed_source(FollowedSource("gone", "c0ffee", before, seen_at=before))
        fault = ReportedFinding("no-platform", Severity.ERROR, "There is no MailPlatform.")
        stopped = FollowedSource(
            "stopped", "c0ffee", before, (fault,), before, seen_at=now, stopped_at=now
        )
        store.write_followed_source(stopped)
    sources = {
        entry["source"]: (entry["seen"], entry["live"], entry["stopped"])
        for entry in json.loads(sendroute("status", "-o", "json").out)["sources"]
    }
    assert sources == {
        "alive": (rfc3339(now), True, None),
        "gone": (rfc3339(before), False, None),
        "stopped": (rfc3339(now), False, rfc3339(now)),
    }
    shown = sendroute("status").out.split("follows")[1:]
    alive, gone, ended = (part.split("\n\n")[0] for part in shown)
    assert alive.endswith(f"last seen  {to_minute(now)}")
    not_live = "not live: the loop does not run, or does not reach the store"
    assert gone.endswith(f"{to_minute(before)}; {not_live}")
    assert ended.endswith(f"{to_minute(now)}; the loop was stopped then"), "nothing is wrong"


@pytest.mark.usefixtures("store")
def test_status_compares_the_lock_files_of_the_given_manifests(sendroute: Program) -> None:
    lock = "manifests/sendroute.lock"
    assert sendroute("apply", "manifests", "--auto-approve", "--write-lock", lock).status == 0
    other = ("--store", "sqlite:///./other.db")
    assert sendroute(*other, "init", "--key-file", "sendroute.key").status == 0
    alone = sendroute(*other, "status", "-o", "json")
    assert (alone.status, json.loads(alone.out)["lock_files"]) == (0, [])
    beside = sendroute(*other, "status", "manifests", "-o", "json")
    given = json.loads(beside.out)["lock_files"]
    assert (beside.status, [entry["code"] for entry in given]) == (3, ["store-empty"])
    assert sendroute(*other, "status", "manifests").status == 3
    assert sendroute("status", "manifests").status == 0
    Path(lock).write_text("{")
    assert sendroute("status", "manifests").status == 1


@pytest.mark.usefixtures("store")
def test_status_shows_revision_domains_and_relays(sendroute: Program) -> None:
    document = json.loads(sendroute("status", "-o", "json").out)
    assert (document["store"]["revision"], document["domains"], document["relays"]) == (2, 2, [])
    assert "No relay reads this store yet" in sendroute("status").out


def test_an_export_is_valid_and_its_plan_changes_no_route(sendroute: Program, store: Path) -> None:
    manifests = store.parent / "manifests"
    switch = ", defaultRoute: {profile: ses}, applyToAll: {id: go, route: {managed: {}}, "
    more = switch + "confirm: {domains: 9}}"
    names = [
        "a-b.example.com",
        "a.b.example.com",
        "on.example",
        "1.0.example",
        f"{'x' * 60}.example",
    ]
    write(
        manifests / "acme.yaml",
        account("acme", more=more),
        profile("acme", "ses"),
        domain("acme", "shop.example.com", "{profile: ses}"),
        domain("acme", "news.example.com"),
        *(
            domain("acme", name, "{unconfigured: {}}").replace(
                f"name: {name.replace('.', '-')}", f"name: odd-{index}"
            )
            for index, name in enumerate(names)
        ),
    )
    applied = sendroute("apply", "manifests", "--auto-approve", "--max-change-percent", "100")
    assert applied.status == 0, applied
    for arguments in (("-o", "yaml=out.yaml"), ("-o", "json=out.json"), ("--dir", "out")):
        written = sendroute("export", *arguments)
        assert (written.status, written.out) == (0, "")
        path = arguments[-1].rpartition("=")[2]
        assert sendroute("validate", path).status == 0
        planned = sendroute("plan", path, "-o", "json")
        changes = [
            (change["name"], change["action"]) for change in json.loads(planned.out)["changes"]
        ]
        assert changes == [("news.example.com", "update")]  # only its declaration
    assert json.loads(Path("out.json").read_text())["kind"] == "List"
    assert sorted(str(path) for path in Path("out").rglob("*.yaml")) == [
        "out/acme/acme.yaml",
        "out/platform.yaml",
    ]
    again = sendroute("export", "--dir", "out")
    assert (again.status, "not empty" in again.err) == (1, True)


def test_an_export_keeps_what_was_confirmed_after_an_apply_all(
    sendroute: Program, store: Path
) -> None:
    path = store.parent / "manifests/acme.yaml"
    switch = ", applyToAll: {id: go, route: {managed: {}}, confirm: {domains: 9}}"
    path.write_text(path.read_text().replace("{plan: pro}", f"{{plan: pro{switch}}}"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    edited = sendroute("edit", "set-route", "shop.example.com", "--profile", "ses", "manifests")
    assert edited.status == 0, edited
    path.write_text(
        path.read_text() + "---\n" + domain("acme", "old.example.com", "{unconfigured: {}}")
    )
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    routes = sendroute("routes", "-o", "json").out
    first = sendroute("export")
    assert "overrides: go" in first.out
    assert "1 domain of account" not in first.err  # every assigned route is the declared one
    Path("exported.yaml").write_text(first.out)
    again = sendroute("plan", "exported.yaml", "--detailed-exitcode")
    assert (again.status, sendroute("routes", "-o", "json").out) == (0, routes)

    other = ("--store", "sqlite:///other.db")
    assert sendroute(*other, "init", "--key-file", "sendroute.key").status == 0
    assert sendroute(*other, "apply", "exported.yaml", "--auto-approve").status == 0
    assert sendroute(*other, "plan", "exported.yaml", "--detailed-exitcode").status == 0
    assert sendroute(*other, "export").out == first.out


def test_domains_keep_their_routes_when_a_store_is_moved_by_an_export(
    sendroute: Program, store: Path
) -> None:
    assert store.exists()
    # A later default does not reroute the domain, which is declared nowhere.
    default = sendroute("edit", "set-default", "acme", "--unconfigured", "manifests")
    assert default.status == 0, default
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    exported = sendroute("export")
    assert (exported.status, "route-now-declared" in exported.err) == (0, True)
    assert "out-of-sync" not in exported.err
    Path("exported.yaml").write_text(exported.out)

    other = ("--store", "sqlite:///other.db")
    assert sendroute(*other, "init", "--key-file", "sendroute.key").status == 0
    applied = sendroute(*other, "apply", "exported.yaml", "--auto-approve")
    assert applied.status == 0, applied
    assert _routes(sendroute, *other) == _routes(sendroute)


def _routes(sendroute: Program, *arguments: str) -> dict[str, object]:
    domains = json.loads(sendroute(*arguments, "routes", "-o", "json").out)["domains"]
    return {entry["domain"]: entry["route"] for entry in domains}


def test_init_creates_a_store_and_a_key_and_never_replaces_them(
    sendroute: Program, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = sendroute("init")
    assert (result.status, "separately from the store" in result.out) == (0, True)
    key = workdir / "sendroute.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(base64.urlsafe_b64decode(key.read_text().strip())) == 32
    assert key.read_text().strip() not in result.out + result.err
    before = key.read_text()
    for arguments in (("init",), ("--store", "sqlite:///other.db", "init")):
        assert sendroute(*arguments).status == 3
        assert key.read_text() == before
    assert not (workdir / "other.db").exists()
    given = ("--store", "sqlite:///given.db", "init", "--key-file", "sendroute.key")
    assert sendroute(*given).status == 0
    monkeypatch.setenv("SENDROUTE_KEY", before)
    sub = workdir / "sub"
    sub.mkdir()
    assert sendroute("--store", f"sqlite:///{sub}/s.db", "init").status == 0
    assert not (sub / "sendroute.key").exists()


def test_init_rejects_an_invalid_key_and_creates_no_store(
    sendroute: Program, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workdir / "bad.key").write_text("hunter2\n")
    for arguments in (("--key-file", "bad.key"), ("--key-file", "no.key")):
        result = sendroute("init", *arguments)
        assert (result.status, "hunter2" in result.err) == (1, False)
    monkeypatch.setenv("SENDROUTE_KEY", "hunter2")
    assert sendroute("init").status == 1
    assert not (workdir / "sendroute.db").exists()


def test_a_failed_init_leaves_no_key(sendroute: Program, workdir: Path) -> None:
    (workdir / "x.lock").write_text("{}")
    assert sendroute("init", "--from-lock", "x.lock").status == 1
    assert not (workdir / "sendroute.key").exists()
    assert sendroute("init", "--from-lock", "a", "--from-backup", "b").status == 64


def test_init_from_a_lock_file_restores_all_routes(sendroute: Program, store: Path) -> None:
    lock = store.parent / "manifests/sendroute.lock"
    sendroute("apply", "manifests", "--write-lock", str(lock))
    routes = json.loads(sendroute("routes", "-o", "json").out)["domains"]
    for path in store.parent.glob("sendroute.db*"):
        path.unlink()
    result = sendroute("init", "--from-lock", str(lock))
    assert result.status == 0, result
    again = json.loads(sendroute("routes", "-o", "json").out)["domains"]
    for entry in (*routes, *again):
        del entry["since"]
    assert again == routes
    # A lock file holds no credentials: they are saved again from their secrets.
    plan = json.loads(sendroute("plan", "manifests", "-o", "json").out)
    assert {change["reason"] for change in plan["changes"]} == {"credentials-lost"}
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0


@pytest.mark.usefixtures("store")
def test_status_names_a_path_that_does_not_exist(sendroute: Program) -> None:
    answer = sendroute("status", "nowhere")
    assert (answer.status, "unreadable" in answer.err, "nowhere" in answer.err) == (1, True, True)


def test_what_apply_refused_waits_for_an_option_and_for_no_round(
    sendroute: Program, manifests: Path
) -> None:
    """Nothing applies an approval where no loop runs."""
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    assert sendroute("init").status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    (manifests / "bolt.yaml").unlink()
    assert sendroute("apply", "manifests", "--auto-approve").status == 3
    status = " ".join(sendroute("status").out.split())
    assert "`sendroute apply` refused its plan (2 to delete)." in status
    assert "--remove-account bolt/bolt" in status
    assert "sendroute approve" not in status
    approved = sendroute("approve", "bolt", "--auto-approve")
    assert "`sendroute apply` takes an option instead." in approved.out, approved


def test_history_finds_a_removed_account_by_its_name(sendroute: Program, manifests: Path) -> None:
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    assert sendroute("init").status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    (manifests / "bolt.yaml").unlink()
    write(manifests / "more.yaml", domain("acme", "bolt.example.com"))
    removal = ("--auto-approve", "--remove-account", "bolt/bolt")
    assert sendroute("apply", "manifests", *removal).status == 0
    assert sendroute("history", "bolt").out == sendroute("history", "bolt/bolt").out
    assert "MailAccount bolt/bolt" in sendroute("history", "bolt").out
    assert sendroute("history", "bolts").status == 1
    moved = sendroute("history", "bolt.example.com").out
    assert "SendingDomain bolt.example.com of acme/acme" in moved
    assert "SendingDomain bolt.example.com of bolt/bolt" in moved


def test_history_says_that_it_does_not_show_all(sendroute: Program, store: Path) -> None:
    shops = [domain("acme", f"shop-{number}.example.com") for number in range(101)]
    write(store.parent / "manifests/shops.yaml", *shops)
    assert "Only the newest" not in sendroute("history").out
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert "Only the newest 100 changes are shown; --limit N or" in sendroute("history").out
    assert "Only the newest" not in sendroute("history", "--limit", "2").out, "who asked knows"
    document = json.loads(sendroute("history", "-o", "json").out)
    assert len(document["changes"]) == 100


@pytest.mark.usefixtures("store")
def test_a_domain_that_is_nearly_one_of_the_store_is_suggested(sendroute: Program) -> None:
    result = sendroute("routes", "shop.exampel.com")
    assert (result.status, "Did you mean shop.example.com?" in result.err) == (1, True), result.err
    assert "Did you mean" not in sendroute("routes", "quite.another.name").err


@pytest.mark.usefixtures("store")
def test_a_quiet_command_still_reports_a_variable_that_has_no_effect(
    sendroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_STOR", "x")
    assert "SENDROUTE_STOR is unknown and has no effect" in sendroute("-q", "routes").err


@pytest.mark.usefixtures("store")
def test_explain_names_the_apply_all_that_kept_the_route(sendroute: Program) -> None:
    edit = ("edit", "apply-to-all", "acme", "--managed", "manifests")
    assert sendroute(*edit).status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    revisions = [
        explain(sendroute, name)["change"]["revision"]  # type: ignore[index]
        for name in ("shop.example.com", "news.example.com")
    ]
    assert revisions[0] == revisions[1], "news.example.com was managed before"
