"""The total-loss drill: the store is gone, and nobody is stamped with today's default."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest
from tests.cli.conftest import PLATFORM, Program, account, domain, lay_secret, profile, write

Lose = Callable[[], None]


@pytest.fixture
def lose(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Lose:
    """The store that every command uses, and its loss."""
    monkeypatch.setenv("SENDROUTE_STORE", store_url)

    def lost() -> None:
        if store_url.startswith("postgresql"):
            with psycopg.connect(store_url, autocommit=True) as connection:
                connection.execute("DROP SCHEMA sendroute CASCADE")
        else:
            for path in Path(store_url.removeprefix("sqlite:///")).parent.glob("sendroute.db*"):
                path.unlink()

    return lost


MORE = ", defaultRoute: {{profile: {}}}"


@pytest.fixture
def history(sendroute: Program, place: Path, lose: Lose) -> Path:  # noqa: ARG001
    """A year of a hosting platform in five applies. Leaves the last manifests, with their lock."""
    manifests = place / "manifests"
    lay_secret(place.parent / "secrets/acme/mailgun-smtp")
    lay_secret(place.parent / "secrets/beta/ses-smtp")
    assert sendroute("init").status == 0
    ses, mailgun = profile("acme", "ses"), profile("acme", "mailgun", host="smtp.mg.example")
    beta = [profile("beta", "ses"), domain("beta", "b.example")]

    def apply(*documents: str) -> None:
        write(manifests / "all.yaml", PLATFORM, *documents)
        lock = str(manifests / "sendroute.lock")
        ran = sendroute(
            "apply", "manifests", "--auto-approve", "--write-lock", lock, "--max-change-percent",
            "100", "--max-remove-percent", "100",
        )  # fmt: skip
        assert ran.status == 0, ran

    first = [domain("acme", f"first{n}.example") for n in range(3)]
    apply(account("acme"), ses, *first, account("beta", more=MORE.format("ses")), *beta)
    # A default after the fact: only the new ones start on it.
    second = [domain("acme", "second.example"), domain("acme", "own.example", "{profile: ses}")]
    acme = [ses, mailgun, *first, *second]
    apply(account("acme", more=MORE.format("mailgun")), *acme, account("beta"), *beta)
    # A switch of all, after which one is edited; beta goes, and comes again.
    switch = ", applyToAll: {id: to-ses, route: {profile: ses}, confirm: {domains: 5}}"
    apply(account("acme", more=MORE.format("mailgun") + switch), *acme)
    acme[-1] = domain("acme", "own.example", "{profile: mailgun}")
    apply(account("acme", more=MORE.format("mailgun") + switch), *acme, account("beta"), *beta)
    # Mailgun is deleted: what went through it is reassigned, the default falls back; and then the
    # default is another one.
    acme.remove(mailgun)
    apply(account("acme", more=MORE.format("mailgun") + switch), *acme, account("beta"), *beta)
    apply(account("acme", plan="pro", more=MORE.format("ses") + switch), *acme,
          account("beta"), *beta)  # fmt: skip
    return manifests


def routes(sendroute: Program) -> Any:
    told = json.loads(sendroute("routes", "-o", "json").out)["domains"]
    return [{key: value for key, value in one.items() if key != "since"} for one in told]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("way", ["lock", "backup", "restore"])
def test_after_a_total_loss_all_is_as_it_was(
    sendroute: Program, history: Path, lose: Lose, way: str
) -> None:
    before = routes(sendroute)
    assert {one["origin"] for one in before} == {"apply-all", "default", "reassigned"}
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0
    assert sendroute("backup", "monday.db").status == 0
    lock = str(history / "sendroute.lock")
    lose()

    # What must not happen: a store made by mistake, and the manifests applied to it.
    key = next(history.parent.rglob("sendroute.key"), None) or next(
        history.parent.parent.glob("sendroute.key")
    )
    aside = key.rename(key.with_suffix(".kept"))
    assert sendroute("init").status == 0
    refused = sendroute("apply", "manifests", "--auto-approve")
    # 1, for what named the deleted profile is new to this store, and wrong.
    assert (refused.status, "store-empty" in refused.out) == (1, True)
    assert routes(sendroute) == []
    lose()
    key.unlink()
    aside.rename(key)

    again = {
        "lock": ("init", "--from-lock", lock),
        "backup": ("init", "--from-backup", "monday.db"),
        "restore": ("restore", "monday.db"),
    }[way]
    made = sendroute(*again)
    assert made.status == 0, made
    assert "6 domains" in made.out
    assert routes(sendroute) == before
    plan = json.loads(sendroute("plan", "manifests", "-o", "json").out)
    # No lock file holds a credential: they are saved anew from their secrets, and nothing else is.
    kinds = {(change["kind"], change["reason"]) for change in plan["changes"]}
    anew = {("SMTPProfile", "credentials-changed"), ("MailPlatform", "credentials-changed")}
    assert kinds == (anew if way == "lock" else set())
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0
    assert routes(sendroute) == before, "the apply-all has not run again"
    write(history / "more.yaml", domain("acme", "third.example"), profile("acme", "mailgun"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    [third] = [one for one in routes(sendroute) if one["domain"] == "third.example"]
    assert (third["route"], third["origin"]) == ({"profile": "ses"}, "default")
    # The profile that is declared again has an id that none ever had.
    assert "[p100000" in sendroute("explain", "own.example").out


def test_an_older_backup_is_brought_up_to_its_lock_file(
    sendroute: Program, history: Path, lose: Lose
) -> None:
    assert sendroute("backup", "monday.db").status == 0
    write(history / "more.yaml", domain("acme", "tuesday.example", "{profile: ses}"))
    lock = str(history / "sendroute.lock")
    assert sendroute("apply", "manifests", "--auto-approve", "--write-lock", lock).status == 0
    before = routes(sendroute)
    lose()
    assert sendroute("init", "--from-backup", "monday.db").status == 0
    refused = sendroute("apply", "manifests", "--auto-approve", "-o", "json")
    assert refused.status == 3
    hints = {one["code"]: one["hint"] for one in json.loads(refused.out)["findings"]}
    assert "sendroute restore manifests/sendroute.lock" in hints["wrong-store"]
    shown = sendroute("restore", lock)
    assert (shown.status, "not-approved" in shown.out) == (3, True)
    assert "tuesday.example" in shown.out
    restored = sendroute("restore", lock, "--auto-approve")
    assert (restored.status, "Restore: 1 created." in restored.out) == (0, True), restored
    assert routes(sendroute) == before
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0
    again = sendroute("restore", lock)
    assert (again.status, again.out) == (0, "Restore: nothing to do.\n")


def test_where_the_older_state_is_meant_the_lock_file_is_written_anew(
    sendroute: Program, history: Path, lose: Lose
) -> None:
    assert sendroute("backup", "monday.db").status == 0
    lock = history / "sendroute.lock"
    write(history / "more.yaml", domain("acme", "tuesday.example", "{profile: ses}"))
    words = ("apply", "manifests", "--auto-approve", "--write-lock", str(lock))
    assert sendroute(*words).status == 0
    lose()
    assert sendroute("restore", "monday.db").status == 0
    write(history / "more.yaml", domain("acme", "wednesday.example"))
    kept = lock.rename(lock.with_suffix(".old"))
    assert sendroute(*words).status == 0
    assert sendroute(*words).status == 0
    # The same number by now, but another course.
    kept.rename(lock)
    refused = sendroute(*words)
    assert (refused.status, "wrong-store" in refused.out) == (3, True), refused


def test_a_backup_says_what_is_in_it_and_what_is_not(
    sendroute: Program, history: Path, place: Path
) -> None:
    assert history.is_dir()
    told = sendroute("backup", "a.db")
    assert "2 accounts, 2 profiles and 6 domains, with their history." in told.out
    assert "The key is not in it" in told.out
    document = json.loads(sendroute("backup", "b.db", "-o", "json").out)
    status = json.loads(sendroute("status", "-o", "json").out)
    assert (document["file"], document["store"]) == ("b.db", status["store"])
    assert sendroute("backup", "a.db").status == 3, "nothing is written over"
    assert sendroute("backup", "-").status == 64
    assert sendroute("backup", "--quiet", "c.db").out == ""
    for path in place.glob("?.db"):
        assert b"a-password" not in path.read_bytes()


def test_another_stores_backup_is_refused(sendroute: Program, history: Path, lose: Lose) -> None:
    assert history.is_dir()
    assert sendroute("backup", "other.db").status == 0
    lose()
    assert sendroute("init", "--key-file", str(next(history.parents[1].rglob("*.key")))).status == 0
    before = sendroute("status", "-o", "json").out
    refused = sendroute("restore", "other.db", "--auto-approve")
    assert (refused.status, "wrong-store" in refused.err) == (3, True)
    assert sendroute("status", "-o", "json").out == before


@pytest.mark.parametrize(
    "file", ["none.db", "manifests", "manifests/all.yaml", "broken.lock", "pipe"]
)
def test_what_is_neither_backup_nor_lock_file_is_told(
    sendroute: Program, history: Path, file: str
) -> None:
    (history.parent / "broken.lock").write_text("{")
    os.mkfifo(history.parent / "pipe")
    ran = sendroute("restore", file, "--auto-approve")
    assert ran.status in (1, 3)
    assert "hint:" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("what", ["--from-lock", "--from-backup"])
def test_a_name_that_is_empty_makes_no_empty_store(
    process: Callable[..., "CompletedProcess[str]"], place: Path, what: str
) -> None:
    """Of a variable that was not set, say: everyone would be stamped with today's default."""
    ran = process("init", what, "")
    assert ran.returncode in (1, 3)
    assert "hint:" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not list(place.iterdir())
