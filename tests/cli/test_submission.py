"""Who may send, where bounces go, and which route a message took: on the command line."""

import json
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.postfix.test_mail_log import AT, ID, delivery, line

from .conftest import PLATFORM, Program, write, write_secret

LOGINS = "submission: {logins: [acme-app, acme-crm]}"
BOUNCES = """\
  bounces:
    relay: {host: bounces.example, port: 465, encryption: tls, credentials: {secretRef: {name: b}}}
"""


def name_logins(store: Path, text: str = LOGINS) -> None:
    path = store.parent / "manifests/acme.yaml"
    path.write_text(path.read_text().replace("{plan: pro}", f"{{plan: pro, {text}}}", 1))


def explained(sendroute: Program, *arguments: str) -> Any:
    result = sendroute("explain", *arguments, "-o", "json")
    assert result.status == 0, result
    return json.loads(result.out)


def test_the_logins_of_an_account_are_planned_explained_and_exported(
    sendroute: Program, store: Path
) -> None:
    assert "1 account specifies no logins" in sendroute("status").out
    assert explained(sendroute, "shop.example.com")["logins"] is None
    name_logins(store)
    plan = sendroute("plan", "manifests").out
    assert "Only clients that sign in as acme-app, acme-crm may send as its domains." in plan
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0
    assert explained(sendroute, "shop.example.com")["logins"] == ["acme-app", "acme-crm"]
    assert "clients      acme-app, acme-crm" in sendroute("explain", "shop.example.com").out
    assert json.loads(sendroute("status", "-o", "json").out)["accounts_without_logins"] == 0
    assert "specifies no logins" not in sendroute("status").out
    assert sendroute("export", "--dir", "exported").status == 0
    assert "acme-crm" in (store.parent / "exported/acme/acme.yaml").read_text()
    assert sendroute("plan", "exported", "--detailed-exitcode").status == 0


def test_a_saved_plan_keeps_the_logins(sendroute: Program, store: Path) -> None:
    name_logins(store)
    assert sendroute("plan", "manifests", "--out", "saved").status == 0
    assert sendroute("apply", "saved", "--auto-approve").status == 0
    assert explained(sendroute, "news.example.com")["logins"] == ["acme-app", "acme-crm"]


def test_bounces_take_the_relay_for_bounces(sendroute: Program, store: Path, workdir: Path) -> None:
    platform = PLATFORM.replace("  plans:", f"{BOUNCES}  plans:")
    write(store.parent / "manifests/platform.yaml", platform)
    missing = sendroute("apply", "manifests", "--auto-approve")
    assert missing.status == 4
    assert "The platform is not saved: the bounce relay's secret" in missing.out
    assert explained(sendroute, "<>")["transport"] == "sendroute-starttls:[m0r1]:587"
    write_secret(workdir.parent / "secrets/sendroute-system/b")
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    answer = explained(sendroute, "<>")
    assert (answer["transport"], answer["host"]) == ("sendroute-tls:[b0r2]:465", "bounces.example")
    assert answer["credentials"] == {"secretRef": {"name": "b"}}
    write_secret(workdir.parent / "secrets/sendroute-system/b", "another")
    rotated = sendroute("plan", "manifests").out
    assert "The content of the secret of the bounce relay changed." in rotated


def test_validate_warns_if_bounces_are_refused(sendroute: Program, workdir: Path) -> None:
    platform = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec:
  plans: [{name: nano, managed: false}]
"""
    path = write(workdir / "tree/platform.yaml", platform)
    assert "bounces-refused" in sendroute("validate", "tree").out
    path.write_text(platform + BOUNCES)
    assert "bounces-refused" not in sendroute("validate", "tree").out
    accept = "metadata: {name: default, annotations: {sendroute.dev/accept: bounces-refused}}"
    path.write_text(platform.replace("metadata: {name: default}", accept))
    assert sendroute("validate", "tree", "--strict").status == 0


@pytest.fixture
def log(store: Path) -> Path:
    """The log of a message by a profile that was replaced and deleted since."""
    assert store.exists()
    now = datetime.now().astimezone().isoformat()
    return write(
        store.parent / "mail.log",
        line("client=app[192.0.2.7], sasl_method=PLAIN, sasl_username=acme-app", "smtpd")
        + line("from=<jane@Shop.Example.COM>, size=281, nrcpt=2 (queue active)", "qmgr")
        + delivery("p1r1[203.0.113.9]:587").replace(AT, now)
        + delivery("m0r1[203.0.113.8]:587", to="s@x.test").replace(AT, now),
    )


def message(sendroute: Program, log: Path) -> Any:
    return explained(sendroute, "--message", ID, "--log", str(log))


def test_a_message_is_explained_by_the_profile_that_took_it(
    sendroute: Program, store: Path, log: Path
) -> None:
    answer = message(sendroute, log)
    assert (answer["sender"], answer["domain"]) == ("jane@Shop.Example.COM", "shop.example.com")
    assert answer["login"] == "acme-app"
    profile, relay = answer["nexthops"]
    assert (profile["alias"], profile["account"], profile["profile"], profile["version"]) == (
        "p1r1",
        "acme",
        "ses",
        1,
    )
    assert (profile["retired_revision"], profile["assigned"]["reason"]) == (None, "declared")
    assert (relay["relay"], relay["account"], relay["assigned"]) == ("relay", None, None)
    text = sendroute("explain", "--message", ID, "--log", str(log)).out
    assert "r@x.test: sent by p1r1[203.0.113.9]:587, 20" in text
    assert "profile ses of account acme/acme, version 1" in text
    path = store.parent / "manifests/acme.yaml"
    path.write_text(path.read_text().replace("smtp.provider", "smtp2.provider"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    path.write_text(path.read_text().replace("{profile: ses}", "{managed: {}}"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    replaced, _ = message(sendroute, log)["nexthops"]
    assert replaced["host"] == "smtp.provider.example"
    assert replaced["assigned"]["revision"] < replaced["retired_revision"]
    log.write_text(log.read_text().replace("m0r1[203.0.113.8]", "p1r1[203.0.113.9]"))
    assert (
        "New mail: shop.example.com is sent through the managed relay"
        in sendroute("explain", "--message", ID, "--log", str(log)).out
    )


@pytest.mark.parametrize(
    ("relay", "note"),
    [
        ("p7r1[203.0.113.9]:587", "Nexthop p7r1 is not in this store"),
        ("smtp.old.example[203.0.113.9]:25", "is no nexthop of Sendroute"),
    ],
)
def test_a_message_of_before_differs_from_one_of_another_store(
    sendroute: Program, store: Path, relay: str, note: str
) -> None:
    log = write(store.parent / "mail.log", delivery(relay))
    result = sendroute("explain", "--message", ID, "--log", str(log))
    assert (result.status, note in result.out) == (0, True), result


def test_what_a_server_answered_reaches_no_terminal_unescaped(
    sendroute: Program, store: Path
) -> None:
    answer = "450 \x1b[31m\u202egone ::warning::x"
    log = write(store.parent / "mail.log", delivery(status="deferred", answer=answer))
    text = sendroute("explain", "--message", ID, "--log", str(log)).out
    assert r"\x1b[31m\u202egone" in text
    assert "\x1b" not in text


def test_a_part_of_a_long_line_is_no_line_of_postfix(sendroute: Program, store: Path) -> None:
    forged = "x" * 65_536 + delivery("p1r1[203.0.113.9]:587")
    log = write(store.parent / "mail.log", forged)
    assert sendroute("explain", "--message", ID, "--log", str(log)).status == 1
    log.write_text(forged + delivery("m0r1[203.0.113.9]:587"))
    assert [used["alias"] for used in message(sendroute, log)["nexthops"]] == ["m0r1"]


@pytest.mark.parametrize("relay", ["p9999999999999999999r1", "p1r9999999999", "p1r1000"])
def test_a_number_that_no_store_has_is_no_fault(
    sendroute: Program, store: Path, relay: str
) -> None:
    log = write(store.parent / "mail.log", delivery(f"{relay}[203.0.113.9]:587"))
    assert message(sendroute, log)["nexthops"] == []


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("content", "code"), [("", "unknown-message"), (None, "unreadable")])
def test_a_message_that_cannot_be_found_is_a_finding(
    sendroute: Program, workdir: Path, content: str | None, code: str
) -> None:
    if content is not None:
        write(workdir / "mail.log", content)
    result = sendroute("explain", "--message", ID, "--log", "mail.log")
    assert (result.status, code in result.err) == (1, True), result


@pytest.mark.usefixtures("store")
def test_lines_of_another_form_are_counted(sendroute: Program, workdir: Path) -> None:
    head = "<22>1 2026-11-28T15:00:42+00:00 mx1 postfix/qmgr 7 - - "  # RFC 5424
    write(workdir / "mail.log", f"{head}{ID}: removed\n{head}{ID}: removed\n")
    result = sendroute("explain", "--message", ID, "--log", "mail.log")
    assert result.status == 1
    assert "The id is in 2 lines of another form" in " ".join(result.err.split())


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("queue_id", ["../x", ".*", "", "NOQUEUE"])
def test_what_is_no_queue_id_is_wrong_usage(
    sendroute: Program, workdir: Path, queue_id: str
) -> None:
    write(workdir / "mail.log", "")
    result = sendroute("explain", "--message", queue_id, "--log", "mail.log")
    assert (result.status, "queue id" in result.err) == (64, True), result


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("arguments", [(), ("a.example", "--message", ID)])
def test_explain_takes_either_a_sender_or_a_message(
    sendroute: Program, arguments: tuple[str, ...]
) -> None:
    assert sendroute("explain", *arguments).status == 64


def test_the_log_may_come_by_standard_input(
    process: Callable[..., "subprocess.CompletedProcess[str]"], log: Path
) -> None:
    done = process("explain", "--message", ID, "--log", "-", "-o", "json", stdin=log.read_text())
    assert json.loads(done.stdout)["nexthops"][0]["alias"] == "p1r1"
