"""routes, explain, history, status, export and init, over a real store."""

import base64
import json
import stat
from pathlib import Path

import pytest

from .conftest import PLATFORM, Program, account, domain, profile, write

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
    ran = sendroute("explain", sender, "-o", "json")
    assert ran.status == 0, ran
    told: dict[str, object] = json.loads(ran.out)
    assert told.keys() >= EXPLAIN_KEYS
    return told


@pytest.mark.usefixtures("store")
def test_mail_through_a_profile(sendroute: Program) -> None:
    told = explain(sendroute, "<Jane@Shop.Example.COM>")
    assert told["address"] == "Jane@Shop.Example.COM"
    assert (told["domain"], told["account"], told["origin"]) == (
        "shop.example.com",
        "acme",
        "declared",
    )
    assert (told["transport"], told["route"]) == (
        "sendroute-starttls:[p1r1]:587",
        {"profile": "ses"},
    )
    assert told["credentials"] == {"secretRef": {"name": "ses-smtp"}}
    assert "secret acme/ses-smtp" in sendroute("explain", "shop.example.com").out


@pytest.mark.usefixtures("store")
def test_managed_mail_takes_the_platforms_relay_within_the_plans_limits(sendroute: Program) -> None:
    told = explain(sendroute, "news.example.com")
    assert (told["transport"], told["host"]) == (
        "sendroute-starttls:[m0r1]:587",
        "relay.internal.example",
    )
    assert told["limits"] == {"accountPerDay": 20000}


def test_a_new_version_of_profile_or_relay_has_a_new_alias(sendroute: Program, store: Path) -> None:
    manifests = store.parent / "manifests"
    write(manifests / "platform.yaml", PLATFORM.replace("relay.internal", "relay2.internal"))
    text = (manifests / "acme.yaml").read_text()
    (manifests / "acme.yaml").write_text(text.replace("smtp.provider", "smtp2.provider"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert explain(sendroute, "shop.example.com")["transport"] == "sendroute-starttls:[p1r2]:587"
    assert explain(sendroute, "<>")["transport"] == "sendroute-starttls:[m0r2]:587"


@pytest.mark.usefixtures("store")
def test_the_null_sender(sendroute: Program) -> None:
    told = explain(sendroute, "<>")
    assert (told["address"], told["domain"], told["account"]) == ("<>", None, None)
    assert told["host"] == "relay.internal.example"


@pytest.mark.parametrize(
    "sender", ["x@nobody.example", "x@[192.0.2.1]", "localhost", "x@shop.example.com."]
)
@pytest.mark.usefixtures("store")
def test_an_unknown_domain_is_refused(sendroute: Program, sender: str) -> None:
    told = explain(sendroute, sender)
    assert (told["transport"], told["route"]) == (None, None)
    assert "5.7.1" in str(told["reason"])


def test_an_unconfigured_domain_and_a_platform_without_a_relay(
    sendroute: Program, place: Path
) -> None:
    platform = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec: {plans: [{name: nano, managed: false}]}
"""
    names = [domain("acme", "plain.example.com"), domain("acme", "bücher.example")]
    write(
        place / "all.yaml",
        platform,
        account("acme", plan="nano"),
        *(name.replace("bücher-example", "books") for name in names),
    )
    sendroute("init")
    assert sendroute("apply", "all.yaml", "--auto-approve").status == 0
    told = explain(sendroute, "plain.example.com")
    assert (told["transport"], told["route"]) == (None, {"unconfigured": {}})
    assert "5.7.1" in str(told["reason"])
    assert explain(sendroute, "<>")["transport"] is None
    for form in ("x@bücher.example", "x@BÜCHER.example", "xn--bcher-kva.example"):
        assert explain(sendroute, form)["domain"] == "xn--bcher-kva.example"


@pytest.mark.parametrize("sender", ["a b@shop.example.com", "", " "])
@pytest.mark.usefixtures("store")
def test_what_is_no_address_is_told(sendroute: Program, sender: str) -> None:
    ran = sendroute("explain", sender)
    assert (ran.status, "invalid-value" in ran.err) == (1, True)


@pytest.mark.usefixtures("store")
def test_routes(sendroute: Program) -> None:
    told = json.loads(sendroute("routes", "-o", "json").out)
    assert told["format_version"] == "1.0"
    news, shop = told["domains"]
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
def test_some_routes(sendroute: Program) -> None:
    def names(*words: str) -> list[str]:
        told = json.loads(sendroute("routes", *words, "-o", "json").out)
        return [each["domain"] for each in told["domains"]]

    assert names("--profile", "ses") == ["shop.example.com"]
    assert names("--account", "acme", "NEWS.example.com") == ["news.example.com"]
    ran = sendroute("routes", "news.example.com", "gone.example.com")
    assert (ran.status, "gone.example.com" in ran.err) == (1, True)
    assert "news.example.com" in ran.out
    assert sendroute("routes", "--account", "bolt").status == 1


@pytest.mark.usefixtures("store")
def test_history(sendroute: Program) -> None:
    def changes(*words: str) -> list[dict[str, object]]:
        told = json.loads(sendroute("history", *words, "-o", "json").out)
        return list(told["changes"])

    (only,) = changes("shop.example.com")
    assert (only["action"], only["reason"]) == ("create", "declared")
    assert len(changes("acme")) == len(changes("acme/acme")) == 4
    assert len(changes()) == 6
    assert len(changes("--limit", "2")) == 2
    assert changes("nobody.example.com") == []
    assert "WHO" in sendroute("history").out


@pytest.mark.usefixtures("store")
def test_status(sendroute: Program) -> None:
    told = json.loads(sendroute("status", "-o", "json").out)
    assert (told["store"]["revision"], told["domains"], told["relays"]) == (2, 2, [])
    assert "No relay is registered" in sendroute("status").out


def test_an_export_is_valid_and_planned_against_its_store_changes_nothing(
    sendroute: Program, store: Path
) -> None:
    manifests = store.parent / "manifests"
    switch = ", defaultRoute: {profile: ses}, applyToAll: {id: go, route: {managed: {}}, "
    more = switch + "confirm: {domains: 9}}"
    odd = ["a-b.example.com", "a.b.example.com", "on.example", "1.0.example", f"{'x' * 60}.example"]
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
            for index, name in enumerate(odd)
        ),
    )
    applied = sendroute("apply", "manifests", "--auto-approve", "--max-change-percent", "100")
    assert applied.status == 0, applied
    for words in (("-o", "yaml=out.yaml"), ("-o", "json=out.json"), ("--dir", "out")):
        written = sendroute("export", *words)
        assert (written.status, written.out) == (0, "")
        path = words[-1].rpartition("=")[2]
        assert sendroute("validate", path).status == 0
        planned = sendroute("plan", path, "--detailed-exitcode")
        assert planned.status == 0, planned.out
    assert json.loads(Path("out.json").read_text())["kind"] == "List"
    assert sorted(str(path) for path in Path("out").rglob("*.yaml")) == [
        "out/acme/acme.yaml",
        "out/platform.yaml",
    ]
    again = sendroute("export", "--dir", "out")
    assert (again.status, "not empty" in again.err) == (1, True)


def test_init_makes_a_store_and_a_key_once(
    sendroute: Program, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = sendroute("init")
    assert (ran.status, "separately from the store" in ran.out) == (0, True)
    key = place / "sendroute.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(base64.urlsafe_b64decode(key.read_text().strip())) == 32
    assert key.read_text().strip() not in ran.out + ran.err
    before = key.read_text()
    for words in (("init",), ("--store", "sqlite:///other.db", "init")):
        assert sendroute(*words).status == 3
        assert key.read_text() == before
    assert not (place / "other.db").exists()
    given = ("--store", "sqlite:///given.db", "init", "--key-file", "sendroute.key")
    assert sendroute(*given).status == 0
    monkeypatch.setenv("SENDROUTE_KEY", before)
    sub = place / "sub"
    sub.mkdir()
    assert sendroute("--store", f"sqlite:///{sub}/s.db", "init").status == 0
    assert not (sub / "sendroute.key").exists()


def test_init_tells_a_key_that_is_none_and_makes_nothing(
    sendroute: Program, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "bad.key").write_text("hunter2\n")
    for words in (("--key-file", "bad.key"), ("--key-file", "no.key")):
        ran = sendroute("init", *words)
        assert (ran.status, "hunter2" in ran.err) == (1, False)
    monkeypatch.setenv("SENDROUTE_KEY", "hunter2")
    assert sendroute("init").status == 1
    assert not (place / "sendroute.db").exists()


def test_an_init_that_fails_leaves_no_key(sendroute: Program, place: Path) -> None:
    (place / "x.lock").write_text("{}")
    assert sendroute("init", "--from-lock", "x.lock").status == 1
    assert not (place / "sendroute.key").exists()
    assert sendroute("init", "--from-lock", "a", "--from-backup", "b").status == 64


def test_a_store_made_from_its_lock_file_goes_on_where_the_lost_one_stood(
    sendroute: Program, store: Path
) -> None:
    lock = store.parent / "manifests/sendroute.lock"
    sendroute("apply", "manifests", "--write-lock", str(lock))
    routes = json.loads(sendroute("routes", "-o", "json").out)["domains"]
    for path in store.parent.glob("sendroute.db*"):
        path.unlink()
    ran = sendroute("init", "--from-lock", str(lock))
    assert ran.status == 0, ran
    again = json.loads(sendroute("routes", "-o", "json").out)["domains"]
    for each in (*routes, *again):
        del each["since"]
    assert again == routes
    # All but the credentials, which no lock file holds: they are saved again from their secrets.
    plan = json.loads(sendroute("plan", "manifests", "-o", "json").out)
    assert {change["reason"] for change in plan["changes"]} == {"credentials-changed"}
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0
