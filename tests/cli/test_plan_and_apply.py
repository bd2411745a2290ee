"""plan and apply, through the real entry point, over a real store."""

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from .conftest import PLATFORM, Program, account, domain, profile, write


def rewrite(manifests: Path, *more: str) -> None:
    """The account's file anew, with its profile and ``more``."""
    write(manifests / "acme.yaml", account("acme"), profile("acme", "ses"), *more)


SHOP = domain("acme", "shop.example.com", "{profile: ses}")
NEWS = domain("acme", "news.example.com")


@pytest.mark.usefixtures("store")
def test_a_plan_applied_and_planned_again_is_empty(sendroute: Program) -> None:
    ran = sendroute("plan", "manifests", "-o", "json", "--detailed-exitcode")
    assert (ran.status, json.loads(ran.out)["changes"]) == (0, [])
    again = sendroute("apply", "manifests")
    assert (again.status, "nothing" in again.out) == (0, True), "nothing to do is not asked about"


def test_a_plan_changes_nothing_and_tells_that_changes_are_pending(
    sendroute: Program, manifests: Path
) -> None:
    sendroute("init")
    assert sendroute("plan", "manifests").status == 0
    ran = sendroute("plan", "manifests", "--detailed-exitcode", "-o", "json")
    assert ran.status == 2
    told = json.loads(ran.out)
    assert told["summary"]["create"] == 5
    assert told["findings"] == []
    assert json.loads(sendroute("status", "-o", "json").out)["store"]["revision"] == 0
    write(manifests / "bad.yaml", domain("acme", "x.example.com", "{profile: gone}"))
    ran = sendroute("plan", "manifests", "--detailed-exitcode")
    assert ran.status == 1, "an error is more severe than pending changes"


def test_without_a_terminal_apply_needs_approval(sendroute: Program, manifests: Path) -> None:
    assert manifests.is_dir()
    sendroute("init")
    ran = sendroute("apply", "manifests", "-o", "json")
    assert ran.status == 3
    told = json.loads(ran.out)
    assert "not-approved" in {found["code"] for found in told["findings"]}
    assert sum(told["applied"].values()) == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0


def test_one_account_alone(sendroute: Program, manifests: Path) -> None:
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    sendroute("init")
    ran = sendroute("apply", "manifests", "--auto-approve", "--only", "bolt", "-o", "json")
    assert ran.status == 0
    done = {each["account"] for each in json.loads(ran.out)["accounts"]}
    assert done == {"bolt"}
    assert "acme" not in sendroute("routes").out


def test_an_account_that_is_unknown_or_ambiguous_is_told(
    sendroute: Program, manifests: Path
) -> None:
    twin = account("acme").replace("namespace: acme", "namespace: other")
    write(manifests / "twin.yaml", twin)
    sendroute("init")
    for name, hint in (("acne", "Did you mean"), ("acme", "acme/acme, other/acme")):
        ran = sendroute("plan", "manifests", "--only", name)
        assert ran.status == 1
        assert "unknown-account" in ran.err
        assert hint in ran.err
    assert sendroute("plan", "manifests", "--only", "other/acme").status == 0


@pytest.fixture
def many(sendroute: Program, manifests: Path) -> Path:
    """An account of ten domains, applied."""
    rewrite(manifests, *(domain("acme", f"d{n}.example.com") for n in range(10)))
    sendroute("init")
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    return manifests


@pytest.mark.parametrize(
    ("domains", "code", "flag"),
    [
        ([f"d{n}.example.com" for n in range(6)], "too-many-removals", "--max-remove-percent"),
        ([f"d{n}.example.com" for n in range(10)], "too-many-changes", "--max-change-percent"),
    ],
    ids=["removing more than 30 %", "re-routing more than 30 %"],
)
def test_a_guard_is_shown_by_plan_refused_by_apply_and_let_through_by_its_flag(
    sendroute: Program, many: Path, domains: list[str], code: str, flag: str
) -> None:
    route = "{profile: ses}" if code == "too-many-changes" else None
    rewrite(many, *(domain("acme", name, route) for name in domains))
    shown = sendroute("plan", "manifests")
    assert (shown.status, code in shown.out, f"{flag} " in shown.out) == (3, True, True)
    assert sendroute("plan", "manifests", flag, "100").status == 0
    refused = sendroute("apply", "manifests", "--auto-approve")
    assert (refused.status, f"{flag} " in refused.out) == (3, True)
    assert sendroute("routes").out.count(" managed ") == 10
    assert sendroute("apply", "manifests", "--auto-approve", flag, "100").status == 0


def test_a_guard_stops_its_account_alone(sendroute: Program, many: Path) -> None:
    rewrite(many, domain("acme", "d0.example.com"))
    write(many / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    ran = sendroute("apply", "manifests", "--auto-approve", "-o", "json")
    assert ran.status == 3
    outcomes = {each["account"]: each["outcome"] for each in json.loads(ran.out)["accounts"]}
    assert outcomes == {"acme": "refused", "bolt": "committed"}


def test_the_most_severe_reason_is_the_exit_status(sendroute: Program, many: Path) -> None:
    rewrite(many, domain("acme", "d0.example.com"))
    write(many / "bolt.yaml", account("bolt", plan="gold"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 1


def test_an_apply_all_is_asked_for_then_runs_once(sendroute: Program, store: Path) -> None:
    manifests = store.parent / "manifests"
    switch = ", applyToAll: {id: go, route: {profile: ses}%s}"

    def declare(confirm: str) -> None:
        text = account("acme", more=switch % confirm)
        write(manifests / "acme.yaml", text, profile("acme", "ses"), SHOP, NEWS)

    declare("")
    ran = sendroute("apply", "manifests", "--auto-approve")
    assert (ran.status, "confirm: {domains: 2}" in ran.out) == (3, True)
    declare(", confirm: {domains: 2}")
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert sendroute("routes").out.count("apply-all") == 2
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0


def test_a_broken_file_neither_deletes_nor_stops_another_account(
    sendroute: Program, store: Path
) -> None:
    manifests = store.parent / "manifests"
    (manifests / "acme.yaml").write_text("a: [\n")
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 1
    assert sendroute("routes").out.count("example.com") == 3


def test_a_domain_moves_between_accounts_in_one_transaction(
    sendroute: Program, store: Path
) -> None:
    manifests = store.parent / "manifests"
    rewrite(manifests, SHOP)
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "news.example.com"))
    ran = sendroute(
        "apply", "manifests", "--auto-approve", "--max-remove-percent", "100", "-o", "json"
    )
    assert ran.status == 0
    assert len({each["revision"] for each in json.loads(ran.out)["accounts"]}) == 1
    assert "bolt/bolt" in sendroute("routes", "news.example.com").out


@pytest.mark.usefixtures("store")
def test_a_move_is_skipped_on_both_sides_unless_both_accounts_are_planned(
    sendroute: Program, manifests: Path
) -> None:
    rewrite(manifests, SHOP)
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "news.example.com"))
    assert sendroute("apply", "manifests", "--auto-approve", "--only", "bolt").status == 4
    for name, other in (("acme", "bolt/bolt"), ("bolt", "acme/acme")):
        ran = sendroute("plan", "manifests", "--only", name, "-o", "json")
        (change,) = json.loads(ran.out)["changes"]
        assert (ran.status, change["action"], change["name"]) == (4, "skip", "news.example.com")
        (found,) = json.loads(ran.out)["findings"]
        assert (found["code"], other in found["message"]) == ("dependency-skipped", True)
        applied = sendroute("apply", "manifests", "--auto-approve", "--only", name)
        assert (applied.status, "both accounts" in applied.out) == (4, True)
    assert "acme/acme" in sendroute("routes", "news.example.com").out
    both = ("--only", "acme", "--only", "bolt")
    assert sendroute("plan", "manifests", *both).status == 0
    assert sendroute("apply", "manifests", "--auto-approve", *both).status == 0
    assert "bolt/bolt" in sendroute("routes", "news.example.com").out


def test_history_says_who_and_which_commit(
    sendroute: Program, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.git.test_worktree import git

    git(manifests.parent, "init", "-q")
    git(manifests.parent, "add", "manifests")
    git(manifests.parent, "commit", "-qm", "mail")
    head = git(manifests.parent, "rev-parse", "HEAD")
    sendroute("init")
    monkeypatch.setenv("GITHUB_ACTOR", "jane")
    sendroute("apply", "manifests", "--auto-approve")
    monkeypatch.setenv("SENDROUTE_ACTOR", "release bot\n")
    rewrite(manifests, SHOP, NEWS, domain("acme", "more.example.com"))
    sendroute("apply", "manifests", "--auto-approve")
    newest, *_, oldest = json.loads(sendroute("history", "acme/acme", "-o", "json").out)["changes"]
    assert (newest["actor"], newest["commit"]) == ("release bot", f"{head}-dirty")
    assert (oldest["actor"], oldest["commit"]) == ("jane", head)


def test_the_lock_file_names_the_store_and_refuses_another(
    sendroute: Program, store: Path, tmp_path: Path
) -> None:
    lock = store.parent / "manifests/sendroute.lock"
    assert sendroute("apply", "manifests", "--write-lock", str(lock)).status == 0
    assert json.loads(lock.read_text())["lineage"] in sendroute("status").out
    other = f"sqlite:///{tmp_path}/other.db"
    sendroute("--store", other, "init")
    shown = sendroute("--store", other, "plan", "manifests")
    assert (shown.status, "store-empty" in shown.out) == (3, True)
    assert "manifests/sendroute.lock\n" in shown.out, "without a line"
    refused = sendroute("--store", other, "apply", "manifests", "--auto-approve")
    assert (refused.status, "store-empty" in refused.out) == (3, True)
    assert "No domains" in sendroute("--store", other, "routes").out, "nothing was applied"
    files = [str(path) for path in sorted(lock.parent.glob("*.yaml"))]
    refused = sendroute("--store", other, "apply", *files, "--auto-approve")
    assert (refused.status, "store-empty" in refused.out) == (3, True), "beside a file given too"
    hidden = lock.rename(tmp_path / "kept.lock")
    words = ("--store", other, "apply", "manifests", "--auto-approve")
    refused = sendroute(*words, "--write-lock", str(hidden))
    assert (refused.status, "store-empty" in refused.out) == (3, True)
    assert sendroute(*words).status == 0
    refused = sendroute(*words, "--write-lock", str(hidden))
    assert (refused.status, "wrong-store" in refused.out) == (3, True)


def test_a_lock_file_above_in_the_repository_is_heeded(sendroute: Program, store: Path) -> None:
    (store.parent / ".git").mkdir()
    lock = store.parent / "sendroute.lock"
    assert sendroute("apply", "manifests", "--write-lock", str(lock)).status == 0
    store.unlink()
    (store.parent / "sendroute.key").unlink()
    sendroute("init")
    refused = sendroute("apply", "manifests", "--auto-approve")
    assert (refused.status, "store-empty" in refused.out) == (3, True)


def test_a_store_older_than_its_lock_file_is_refused(sendroute: Program, store: Path) -> None:
    old = store.with_name("old.db")
    with closing(sqlite3.connect(store)) as now, closing(sqlite3.connect(old)) as copy:
        now.backup(copy)
    manifests = store.parent / "manifests"
    rewrite(manifests, SHOP, NEWS, domain("acme", "more.example.com"))
    lock = str(manifests / "sendroute.lock")
    assert sendroute("apply", "manifests", "--auto-approve", "--write-lock", lock).status == 0
    there = ("--store", f"sqlite:///{old}")
    shown = sendroute(*there, "plan", "manifests")
    assert (shown.status, "wrong-store" in shown.out) == (3, True)
    refused = sendroute(*there, "apply", "manifests", "--auto-approve")
    assert (refused.status, "wrong-store" in refused.out) == (3, True)
    assert "an older copy" in refused.out


def test_a_damaged_lock_file_is_told_and_nothing_applied(sendroute: Program, store: Path) -> None:
    manifests = store.parent / "manifests"
    (manifests / "sendroute.lock").write_text("{")
    rewrite(manifests, SHOP, NEWS, domain("acme", "more.example.com"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 1
    assert "more" not in sendroute("routes").out


def test_a_lock_file_whose_name_cannot_be_is_told(sendroute: Program, store: Path) -> None:
    assert store.is_file()
    ran = sendroute("apply", "manifests", "--auto-approve", "--write-lock", "x" * 300)
    assert (ran.status, "File name too long" in ran.out) == (1, True)


def test_waiting_with_no_relay_says_so(sendroute: Program, store: Path) -> None:
    assert store.is_file()
    ran = sendroute("apply", "manifests", "--wait", "--wait-timeout", "5")
    assert (ran.status, "No relay is registered" in ran.err) == (0, True)


def register(store: Path, name: str, revision: int, *, seconds_ago: int) -> None:
    """A relay as its agent would leave it."""
    seen = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=seconds_ago)
    with closing(sqlite3.connect(store)) as raw, raw:
        raw.execute("INSERT INTO relay VALUES (?, ?, ?)", (name, revision, str(seen)))


def test_waiting_for_relays(sendroute: Program, store: Path) -> None:
    register(store, "mx1", 2, seconds_ago=0)
    words = ("apply", "manifests", "--wait", "--wait-timeout", "0.5", "-o", "json")
    ran = sendroute(*words)
    assert (ran.status, json.loads(ran.out)["relays_behind"]) == (0, [])
    register(store, "mx2", 1, seconds_ago=3600)
    started = time.monotonic()
    ran = sendroute("apply", "manifests", "--wait", "--wait-timeout", "50", "-o", "json")
    assert (ran.status, json.loads(ran.out)["relays_behind"]) == (4, ["mx2"])
    assert "not seen for 60 seconds" in ran.err
    assert time.monotonic() - started < 20, "a relay unseen is not waited for"
    register(store, "mx3", 1, seconds_ago=1)
    register(store, "\x1b[31mred", 1, seconds_ago=3600)
    ran = sendroute(*words)
    assert "\x1b" not in ran.err
    with closing(sqlite3.connect(store)) as raw, raw:
        raw.execute("DELETE FROM relay WHERE name LIKE '%red'")
    ran = sendroute(*words)
    assert (ran.status, json.loads(ran.out)["relays_behind"]) == (4, ["mx2", "mx3"])


def test_no_store_no_platform_and_no_manifests(sendroute: Program, manifests: Path) -> None:
    ran = sendroute("plan", "manifests", "-o", "json")
    assert (ran.status, "not-initialised" in ran.err) == (3, True)
    assert json.loads(ran.out)["findings"][0]["code"] == "not-initialised"
    sendroute("init")
    (manifests / "platform.yaml").unlink()
    assert sendroute("apply", "manifests", "--auto-approve").status == 1
    (manifests / "acme.yaml").unlink()
    ran = sendroute("apply", "manifests", "--auto-approve")
    assert (ran.status, "no-manifests" in ran.out) == (1, True)


def test_reports_are_written_on_failure_too(sendroute: Program, manifests: Path) -> None:
    write(manifests / "bad.yaml", domain("acme", "x.example.com", "{profile: gone}"))
    sendroute("init")
    words = [f"-o={form}={form}.out" for form in ("json", "markdown", "html", "github", "sarif")]
    ran = sendroute("apply", "manifests", "--auto-approve", *words, "-o", "junit=junit.out")
    assert ran.status == 1
    for form in ("json", "markdown", "html", "github", "sarif", "junit"):
        assert "unknown-profile" in Path(f"{form}.out").read_text()


def test_a_file_that_cannot_be_written_is_told_and_the_work_is_done(
    sendroute: Program, manifests: Path
) -> None:
    assert manifests.is_dir()
    sendroute("init")
    ran = sendroute("apply", "manifests", "--auto-approve", "-o", "json=nowhere/report.json")
    assert (ran.status, "unwritable" in ran.err) == (1, True)
    assert "shop.example.com" in sendroute("routes").out
    ran = sendroute("plan", "manifests", "--out", "nowhere/plan")
    assert (ran.status, "unwritable  nowhere/plan\n" in ran.out) == (1, True), "without a line"
    assert "The saved plan could not be written to nowhere/plan" in ran.out
    ran = sendroute("plan", "manifests", "--out", "nowhere/plan", "-o", "json")
    (found,) = json.loads(ran.out)["findings"]
    assert found["position"] == {"file": "nowhere/plan"}


def test_logs_as_json_name_account_and_revision(sendroute: Program, manifests: Path) -> None:
    assert manifests.is_dir()
    sendroute("init")
    ran = sendroute("--log-format", "json", "apply", "manifests", "--auto-approve")
    *_, last = [json.loads(line) for line in ran.err.splitlines()]
    assert (last["namespace"], last["account"], last["revision"]) == ("acme", "acme", 2)


def test_standard_input_is_a_tree_too(
    sendroute: Program, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place / "all.yaml", PLATFORM, account("acme"), domain("acme", "shop.example.com"))
    sendroute("init")
    with (place / "all.yaml").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert sendroute("apply", "-", "--auto-approve").status == 0
    assert "shop.example.com" in sendroute("routes").out
