"""plan and apply, through the real entry point, on a real store."""

import json
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.git.test_worktree import git

from .conftest import PLATFORM, Program, account, domain, profile, write, write_secret


def rewrite(manifests: Path, *more: str) -> None:
    """Replace the account's file: the account, its profile and ``more``."""
    write(manifests / "acme.yaml", account("acme"), profile("acme", "ses"), *more)


SHOP = domain("acme", "shop.example.com", "{profile: ses}")
NEWS = domain("acme", "news.example.com")


@pytest.mark.usefixtures("store")
def test_a_plan_after_an_apply_has_no_changes(sendroute: Program) -> None:
    result = sendroute("plan", "manifests", "-o", "json", "--detailed-exitcode")
    assert (result.status, json.loads(result.out)["changes"]) == (0, [])
    again = sendroute("apply", "manifests")
    assert (again.status, "nothing" in again.out) == (0, True), (
        "without changes there is no question"
    )


@pytest.mark.parametrize(
    ("plan", "declared", "outcome"),
    [
        ("pro", 0, "2 domains get another route: "),
        ("nano", 0, "2 domains can no longer send: "),
        ("nano", 1, "3 domains get another route, and 2 of them can no longer send: "),
    ],
)
def test_a_removed_profile_is_reported_with_what_becomes_of_its_domains(
    sendroute: Program, manifests: Path, plan: str, declared: int, outcome: str
) -> None:
    sendroute("init")
    write_secret(manifests.parents[1] / "secrets/acme/other-smtp")
    move = ", applyToAll: {id: one, route: {profile: ses}, confirm: {domains: 3}}"
    kept = [domain("acme", "kept.example.com", "{profile: other}")] * declared
    names = [domain("acme", f"{name}.example.com") for name in ("a", "b")]
    other = profile("acme", "other")
    owner = account("acme", plan=plan, more=move)
    write(manifests / "acme.yaml", owner, profile("acme", "ses"), other, *names, *kept)
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    write(manifests / "acme.yaml", owner, other, *names, *kept)
    assert (
        f"Profile ses of account acme/acme is removed; {outcome}"
        in sendroute("plan", "manifests").out
    )


def test_plan_changes_nothing_and_reports_pending_changes(
    sendroute: Program, manifests: Path
) -> None:
    sendroute("init")
    assert sendroute("plan", "manifests").status == 0
    result = sendroute("plan", "manifests", "--detailed-exitcode", "-o", "json")
    assert result.status == 2
    report = json.loads(result.out)
    assert report["summary"]["create"] == 5
    assert report["findings"] == []
    assert json.loads(sendroute("status", "-o", "json").out)["store"]["revision"] == 0
    write(manifests / "bad.yaml", domain("acme", "x.example.com", "{profile: gone}"))
    result = sendroute("plan", "manifests", "--detailed-exitcode")
    assert result.status == 1, "an error is more severe than pending changes"


def test_without_a_terminal_apply_needs_approval(sendroute: Program, manifests: Path) -> None:
    assert manifests.is_dir()
    sendroute("init")
    result = sendroute("apply", "manifests", "-o", "json")
    assert result.status == 3
    report = json.loads(result.out)
    assert "not-approved" in {finding["code"] for finding in report["findings"]}
    assert sum(report["applied"].values()) == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0


def test_only_limits_an_apply_to_one_account(sendroute: Program, manifests: Path) -> None:
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    sendroute("init")
    result = sendroute("apply", "manifests", "--auto-approve", "--only", "bolt", "-o", "json")
    assert result.status == 0
    applied = {entry["account"] for entry in json.loads(result.out)["accounts"]}
    assert applied == {"bolt"}
    assert "acme" not in sendroute("routes").out


def test_an_unknown_or_ambiguous_account_is_reported(sendroute: Program, manifests: Path) -> None:
    same_name = account("acme").replace("namespace: acme", "namespace: other")
    write(manifests / "twin.yaml", same_name)
    sendroute("init")
    for name, hint in (("acne", "Did you mean"), ("acme", "acme/acme, other/acme")):
        result = sendroute("plan", "manifests", "--only", name)
        assert result.status == 1
        assert "unknown-account" in result.err
        assert hint in result.err
    assert sendroute("plan", "manifests", "--only", "other/acme").status == 0


@pytest.fixture
def ten_domains(sendroute: Program, manifests: Path) -> Path:
    """The manifests of an account with ten domains, which are applied."""
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
    ids=["removing more than 30 %", "rerouting more than 30 %"],
)
def test_a_guard_is_shown_by_plan_blocks_apply_and_is_lifted_by_its_option(
    sendroute: Program, ten_domains: Path, domains: list[str], code: str, flag: str
) -> None:
    route = "{profile: ses}" if code == "too-many-changes" else None
    rewrite(ten_domains, *(domain("acme", name, route) for name in domains))
    planned = sendroute("plan", "manifests")
    assert (planned.status, code in planned.out, f"{flag} " in planned.out) == (3, True, True)
    assert sendroute("plan", "manifests", flag, "100").status == 0
    refused = sendroute("apply", "manifests", "--auto-approve")
    assert (refused.status, f"{flag} " in refused.out) == (3, True)
    assert sendroute("routes").out.count(" managed ") == 10
    assert sendroute("apply", "manifests", "--auto-approve", flag, "100").status == 0


def test_a_guard_blocks_only_its_account(sendroute: Program, ten_domains: Path) -> None:
    rewrite(ten_domains, domain("acme", "d0.example.com"))
    write(ten_domains / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    result = sendroute("apply", "manifests", "--auto-approve", "-o", "json")
    assert result.status == 3
    outcomes = {entry["account"]: entry["outcome"] for entry in json.loads(result.out)["accounts"]}
    assert outcomes == {"acme": "refused", "bolt": "committed"}


def test_the_most_severe_reason_decides_the_exit_status(
    sendroute: Program, ten_domains: Path
) -> None:
    rewrite(ten_domains, domain("acme", "d0.example.com"))
    write(ten_domains / "bolt.yaml", account("bolt", plan="gold"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 1


def test_an_apply_all_needs_confirmation_and_runs_once(sendroute: Program, store: Path) -> None:
    manifests = store.parent / "manifests"
    switch = ", applyToAll: {id: go, route: {profile: ses}%s}"

    def declare(confirm: str) -> None:
        text = account("acme", more=switch % confirm)
        write(manifests / "acme.yaml", text, profile("acme", "ses"), SHOP, NEWS)

    declare("")
    result = sendroute("apply", "manifests", "--auto-approve")
    assert (result.status, "confirm: {domains: 2}" in result.out) == (3, True)
    declare(", confirm: {domains: 2}")
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert sendroute("routes").out.count("apply-all") == 2
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0


def test_a_broken_file_deletes_nothing_and_does_not_stop_other_accounts(
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
    result = sendroute(
        "apply", "manifests", "--auto-approve", "--max-remove-percent", "100", "-o", "json"
    )
    assert result.status == 0
    assert len({entry["revision"] for entry in json.loads(result.out)["accounts"]}) == 1
    assert "bolt/bolt" in sendroute("routes", "news.example.com").out


@pytest.mark.usefixtures("store")
def test_a_move_is_skipped_on_both_sides_unless_both_accounts_are_planned(
    sendroute: Program, manifests: Path
) -> None:
    rewrite(manifests, SHOP)
    documents = (account("bolt"), domain("bolt", "news.example.com"))
    in_one_namespace = [text.replace("namespace: bolt", "namespace: acme") for text in documents]
    write(manifests / "bolt.yaml", *in_one_namespace)
    assert sendroute("apply", "manifests", "--auto-approve", "--only", "bolt").status == 4
    for name, other in (("acme", "acme/bolt"), ("bolt", "acme/acme")):
        result = sendroute("plan", "manifests", "--only", name, "-o", "json")
        (change,) = json.loads(result.out)["changes"]
        assert (result.status, change["action"], change["name"]) == (4, "skip", "news.example.com")
        (skipped,) = json.loads(result.out)["findings"]
        assert (skipped["code"], other in skipped["message"]) == ("dependency-skipped", True)
        applied = sendroute("apply", "manifests", "--auto-approve", "--only", name)
        assert (applied.status, "both accounts" in applied.out) == (4, True)
        assert f"account {other}, " in applied.out
        assert "is not planned" in applied.out
    assert "acme/acme" in sendroute("routes", "news.example.com").out
    both = ("--only", "acme", "--only", "bolt")
    assert sendroute("plan", "manifests", *both).status == 0
    assert sendroute("apply", "manifests", "--auto-approve", *both).status == 0
    assert "acme/bolt" in sendroute("routes", "news.example.com").out


def test_history_records_actor_and_commit(
    sendroute: Program, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_the_lock_file_records_the_store_and_refuses_another(
    sendroute: Program, store: Path, tmp_path: Path
) -> None:
    lock = store.parent / "manifests/sendroute.lock"
    assert sendroute("apply", "manifests", "--write-lock", str(lock)).status == 0
    assert json.loads(lock.read_text())["lineage"] in sendroute("status").out
    other = f"sqlite:///{tmp_path}/other.db"
    sendroute("--store", other, "init")
    planned = sendroute("--store", other, "plan", "manifests")
    assert (planned.status, "store-empty" in planned.out) == (3, True)
    assert "manifests/sendroute.lock\n" in planned.out, "without a line"
    refused = sendroute("--store", other, "apply", "manifests", "--auto-approve")
    assert (refused.status, "store-empty" in refused.out) == (3, True)
    assert "No domains" in sendroute("--store", other, "routes").out, "nothing was applied"
    files = [str(path) for path in sorted(lock.parent.glob("*.yaml"))]
    refused = sendroute("--store", other, "apply", *files, "--auto-approve")
    assert (refused.status, "store-empty" in refused.out) == (3, True), (
        "the lock file beside a given file counts too"
    )
    moved = lock.rename(tmp_path / "kept.lock")
    arguments = ("--store", other, "apply", "manifests", "--auto-approve")
    refused = sendroute(*arguments, "--write-lock", str(moved))
    assert (refused.status, "store-empty" in refused.out) == (3, True)
    assert sendroute(*arguments).status == 0
    refused = sendroute(*arguments, "--write-lock", str(moved))
    assert (refused.status, "wrong-store" in refused.out) == (3, True)


def test_a_lock_file_in_a_parent_directory_of_the_repository_is_used(
    sendroute: Program, store: Path
) -> None:
    git(store.parent, "init", "-q")
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
    old_store = ("--store", f"sqlite:///{old}")
    planned = sendroute(*old_store, "plan", "manifests")
    assert (planned.status, "wrong-store" in planned.out) == (3, True)
    refused = sendroute(*old_store, "apply", "manifests", "--auto-approve")
    assert (refused.status, "wrong-store" in refused.out) == (3, True)
    assert "an older copy" in refused.out


def test_a_damaged_lock_file_is_an_error_and_nothing_is_applied(
    sendroute: Program, store: Path
) -> None:
    manifests = store.parent / "manifests"
    (manifests / "sendroute.lock").write_text("{")
    rewrite(manifests, SHOP, NEWS, domain("acme", "more.example.com"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 1
    assert "more" not in sendroute("routes").out


def test_a_lock_file_name_that_is_too_long_is_reported(sendroute: Program, store: Path) -> None:
    assert store.is_file()
    result = sendroute("apply", "manifests", "--auto-approve", "--write-lock", "x" * 300)
    assert (result.status, "file name too long" in result.out) == (1, True), result


def test_wait_reports_that_no_relay_is_registered(sendroute: Program, store: Path) -> None:
    assert store.is_file()
    result = sendroute("apply", "manifests", "--wait", "--wait-timeout", "5")
    assert (result.status, "No relay reads this store yet" in result.err) == (0, True)


def register(store: Path, name: str, revision: int, *, seconds_ago: int) -> None:
    """Register a relay as its agent does."""
    seen = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=seconds_ago)
    with closing(sqlite3.connect(store)) as raw, raw:
        raw.execute("INSERT INTO relay VALUES (?, ?, ?)", (name, revision, str(seen)))


def test_wait_ends_when_relays_have_the_revision_or_time_is_up(
    sendroute: Program, store: Path
) -> None:
    register(store, "mx1", 2, seconds_ago=0)
    arguments = ("apply", "manifests", "--wait", "--wait-timeout", "0.5", "-o", "json")
    result = sendroute(*arguments)
    assert (result.status, json.loads(result.out)["relays_behind"]) == (0, [])
    register(store, "mx2", 1, seconds_ago=3600)
    started = time.monotonic()
    result = sendroute("apply", "manifests", "--wait", "--wait-timeout", "50", "-o", "json")
    assert (result.status, json.loads(result.out)["relays_behind"]) == (4, ["mx2"])
    (behind,) = json.loads(result.out)["findings"]
    assert (behind["code"], "not seen for 60 seconds" in behind["message"]) == (
        "relay-behind",
        True,
    )
    assert time.monotonic() - started < 20, "an unseen relay is not waited for"
    register(store, "mx3", 1, seconds_ago=1)
    register(store, "\x1b[31mred", 1, seconds_ago=3600)
    result = sendroute(*arguments)
    assert "\x1b" not in result.out + result.err
    with closing(sqlite3.connect(store)) as raw, raw:
        raw.execute("DELETE FROM relay WHERE name LIKE '%red'")
    result = sendroute(*arguments)
    assert (result.status, json.loads(result.out)["relays_behind"]) == (4, ["mx2", "mx3"])


def test_a_missing_store_platform_or_manifest_is_reported(
    sendroute: Program, manifests: Path
) -> None:
    result = sendroute("plan", "manifests", "-o", "json")
    assert (result.status, "not-initialised" in result.err) == (3, True)
    assert json.loads(result.out)["findings"][0]["code"] == "not-initialised"
    sendroute("init")
    (manifests / "platform.yaml").unlink()
    assert sendroute("apply", "manifests", "--auto-approve").status == 1
    (manifests / "acme.yaml").unlink()
    result = sendroute("apply", "manifests", "--auto-approve")
    assert (result.status, "no-manifests" in result.out) == (1, True)


def test_reports_are_written_also_on_failure(sendroute: Program, manifests: Path) -> None:
    write(manifests / "bad.yaml", domain("acme", "x.example.com", "{profile: gone}"))
    sendroute("init")
    arguments = [
        f"-o={form}={form}.out" for form in ("json", "markdown", "html", "github", "sarif")
    ]
    result = sendroute("apply", "manifests", "--auto-approve", *arguments, "-o", "junit=junit.out")
    assert result.status == 1
    for form in ("json", "markdown", "html", "github", "sarif", "junit"):
        assert "unknown-profile" in Path(f"{form}.out").read_text()


def test_an_unwritable_report_file_is_reported_and_the_changes_are_applied(
    sendroute: Program, manifests: Path
) -> None:
    assert manifests.is_dir()
    sendroute("init")
    result = sendroute("apply", "manifests", "--auto-approve", "-o", "json=nowhere/report.json")
    assert (result.status, "unwritable" in result.err) == (1, True)
    assert "shop.example.com" in sendroute("routes").out
    result = sendroute("plan", "manifests", "--out", "nowhere/plan")
    assert (result.status, "unwritable  nowhere/plan\n" in result.out) == (1, True), (
        "without a line"
    )
    assert "The saved plan could not be written to nowhere/plan" in result.out
    result = sendroute("plan", "manifests", "--out", "nowhere/plan", "-o", "json")
    (unwritable,) = json.loads(result.out)["findings"]
    assert unwritable["position"] == {"file": "nowhere/plan"}


def test_json_logs_contain_account_and_revision(sendroute: Program, manifests: Path) -> None:
    assert manifests.is_dir()
    sendroute("init")
    result = sendroute("--log-format", "json", "apply", "manifests", "--auto-approve")
    *_, last = [json.loads(line) for line in result.err.splitlines()]
    assert (last["namespace"], last["account"], last["revision"]) == ("acme", "acme", 2)


def test_manifests_can_be_read_from_standard_input(
    sendroute: Program, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(workdir / "all.yaml", PLATFORM, account("acme"), domain("acme", "shop.example.com"))
    sendroute("init")
    with (workdir / "all.yaml").open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert sendroute("apply", "-", "--auto-approve").status == 0
    assert "shop.example.com" in sendroute("routes").out


def switch_from_a_declared_route(sendroute: Program, manifests: Path) -> None:
    """An apply-all that is not applied yet, of an account with a domain that declares a route."""
    old = domain("acme", "old.example", "{unconfigured: {}}")
    write(manifests / "acme.yaml", account("acme"), old)
    sendroute("init")
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert sendroute("edit", "apply-to-all", "acme", "--managed", "manifests").status == 0


def test_the_hint_before_an_apply_all_keeps_the_declared_route(
    sendroute: Program, manifests: Path
) -> None:
    switch_from_a_declared_route(sendroute, manifests)
    shown = " ".join(sendroute("plan", "manifests").out.split())
    assert "write the assigned routes into the manifests after the apply." in shown
    hint = "edit set-route old.example --unconfigured manifests"
    assert hint in shown
    assert sendroute(*hint.split()).status == 0
    assert "apply-all-wins" not in sendroute("plan", "manifests").out
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert_unconfigured(sendroute)


def test_a_shadowed_route_returns_by_the_edit_that_every_command_names(
    sendroute: Program, manifests: Path
) -> None:
    switch_from_a_declared_route(sendroute, manifests)
    switched = json.loads(sendroute("apply", "manifests", "--auto-approve", "-o", "json").out)
    assert "apply-all-wins" in [finding["code"] for finding in switched["findings"]]
    (shadow,) = json.loads(sendroute("status", "-o", "json").out)["shadowed"]

    assert shadow["apply_all"] in sendroute("plan", "manifests").out
    way = f"edit set-route old.example --unconfigured --overrides={shadow['apply_all']}"
    placeholder = "Write the paths of the manifests in place of PATH."
    for command, paths, is_explained in (
        (["explain", "old.example"], "PATH", True),
        (["status"], "PATH", True),
        (["status", "manifests"], "manifests", False),
    ):
        shown = " ".join(sendroute(*command).out.split())
        assert f"{way} {paths}." in shown
        assert f"sendroute sync {paths}." in shown
        assert (placeholder in shown) == is_explained

    edited = sendroute("edit", "set-route", "old.example", "--unconfigured", "manifests")
    assert edited.status == 0
    assert f"  overrides: {shadow['apply_all']}\n" in (manifests / "acme.yaml").read_text()
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert_unconfigured(sendroute)
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0


def test_a_route_that_a_store_shadows_is_confirmed_without_an_apply_all_in_the_manifests(
    sendroute: Program, manifests: Path
) -> None:
    write(manifests / "acme.yaml", account("acme"), domain("acme", "a.example", "{managed: {}}"))
    sendroute("init")
    sendroute("apply", "manifests", "--auto-approve")
    before = (manifests / "acme.yaml").read_text()
    sendroute("edit", "apply-to-all", "acme", "--unconfigured", "--id", "stop", "manifests")
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    (manifests / "acme.yaml").write_text(before)
    sendroute("edit", "set-route", "a.example", "--managed", "manifests")
    assert "overrides: stop" in (manifests / "acme.yaml").read_text()
    elsewhere = ("--store", "sqlite:///none.db")
    (manifests / "acme.yaml").write_text(before)
    edited = sendroute("edit", "set-route", "a.example", "--managed", "manifests", *elsewhere)
    assert (edited.status, (manifests / "acme.yaml").read_text()) == (0, before)


def test_an_unknown_apply_all_is_reported_only_with_a_store(
    sendroute: Program, manifests: Path
) -> None:
    text = domain("acme", "a.example", "{managed: {}}") + "  overrides: never-ran\n"
    write(manifests / "acme.yaml", account("acme"), text)
    assert sendroute("validate", "manifests", "--strict").status == 0
    sendroute("init")
    planned = sendroute("plan", "manifests")
    assert (planned.status, "warning unknown-apply-all" in planned.out) == (0, True)


def test_a_plan_without_secrets_says_which_profiles_it_cannot_judge(
    sendroute: Program, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SENDROUTE_SECRETS")
    write(manifests / "acme.yaml", account("acme"), profile("acme", "ses"), SHOP)
    sendroute("init")
    planned = sendroute("plan", "manifests", "-o", "json")
    notes = [
        finding["message"]
        for finding in json.loads(planned.out)["findings"]
        if finding["code"] == "secret-not-compared"
    ]
    assert planned.status == 0
    assert len(notes) == 2
    assert any(
        "profile ses of account acme/acme can be saved is not known here" in note for note in notes
    )
    assert any("the managed relay can be saved is not known here" in note for note in notes)


def test_validate_says_nothing_of_what_a_store_holds_of_suspended_objects(
    sendroute: Program, manifests: Path
) -> None:
    write(manifests / "platform.yaml", PLATFORM + "  suspend: true\n")
    suspended = profile("acme", "ses") + "  suspend: true\n"
    write(manifests / "acme.yaml", account("acme"), suspended, SHOP)
    validated = sendroute("validate", "manifests", "-o", "json")
    codes = {finding["code"] for finding in json.loads(validated.out)["findings"]}
    assert (validated.status, codes) == (0, {"suspended"})
    assert "The MailPlatform is suspended, so it is not created or changed." in validated.out
    sendroute("init")
    assert sendroute("plan", "manifests").status == 1, "this store holds no platform"


def test_a_domain_that_overrides_the_apply_all_of_its_first_apply_keeps_its_route(
    sendroute: Program, manifests: Path
) -> None:
    switch = ", applyToAll: {id: once, route: {managed: {}}, confirm: {domains: 1}}"
    shop = domain("acme", "shop.example.com", "{unconfigured: {}}") + "  overrides: once\n"
    other = domain("acme", "other.example.com", "{unconfigured: {}}")
    write(manifests / "acme.yaml", account("acme", more=switch), shop, other)
    sendroute("init")
    applied = sendroute("apply", "manifests", "--auto-approve")
    assert (applied.status, "shadowed" in applied.out) == (0, True), applied.out
    rows = json.loads(sendroute("routes", "-o", "json").out)["domains"]
    assert {row["domain"]: (row["origin"], row["shadowed_by"]) for row in rows} == {
        "shop.example.com": ("declared", None),
        "other.example.com": ("apply-all", "once"),
    }
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0


def declare_unconfigured(sendroute: Program, path: Path) -> None:
    """Apply one domain that declares unconfigured, then ask for an apply-all in the manifest."""
    write(path, account("acme"), domain("acme", "a.example", "{unconfigured: {}}"))
    sendroute("init")
    sendroute("apply", "manifests", "--auto-approve")
    sendroute("edit", "apply-to-all", "acme", "--managed", "--id", "first", "manifests")


def assert_unconfigured(sendroute: Program) -> None:
    """The one domain has the route that it declares, and nothing shadows it."""
    (row,) = json.loads(sendroute("routes", "-o", "json").out)["domains"]
    assert (row["route"], row["shadowed_by"]) == ({"unconfigured": {}}, None)


def test_set_route_beside_an_apply_all_that_never_ran_leads_to_the_route(
    sendroute: Program, manifests: Path
) -> None:
    declare_unconfigured(sendroute, manifests / "acme.yaml")
    for shadow in ("first", "second"):
        edited = sendroute("edit", "set-route", "a.example", "--unconfigured", "manifests")
        assert f"overrides the apply-all {shadow}" in edited.out
        assert sendroute("apply", "manifests", "--auto-approve").status == 0
        assert_unconfigured(sendroute)
        sendroute("edit", "apply-to-all", "acme", "--managed", "--id", "second", "manifests")


def test_set_route_back_to_the_shadowed_route_before_an_apply_leads_to_it(
    sendroute: Program, manifests: Path
) -> None:
    path = manifests / "acme.yaml"
    declare_unconfigured(sendroute, path)
    sendroute("apply", "manifests", "--auto-approve")
    for route in ("--managed", "--unconfigured"):
        assert sendroute("edit", "set-route", "a.example", route, "manifests").status == 0
    assert "overrides: first" in path.read_text()
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert_unconfigured(sendroute)


@pytest.mark.usefixtures("store")
def test_a_lock_file_that_is_older_than_the_store_is_reported(
    sendroute: Program, manifests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = "manifests/sendroute.lock"
    assert sendroute("apply", "manifests", "--auto-approve", "--write-lock", lock).status == 0
    assert "stale-lock" not in sendroute("plan", "manifests").out
    write(manifests / "more.yaml", domain("acme", "more.example", "{managed: {}}"))
    applied = sendroute("apply", "manifests", "--auto-approve")
    before, now = json.loads(sendroute("history", "-o", "json").out)["changes"][1::-1]
    assert "warning stale-lock" in applied.out
    stated = f"was written at revision {before['revision']}, and the store is at revision"
    assert f"{stated} {now['revision']}:" in " ".join(applied.out.split()), applied
    for command in (["plan", "manifests"], ["apply", "manifests"]):
        result = sendroute(*command)
        assert (result.status, "warning stale-lock" in result.out) == (0, True), command
        assert f"sendroute apply manifests --write-lock {lock}\n" in result.out, command
    write(manifests / "more.yaml", domain("acme", "more.example", "{unconfigured: {}}"))
    with monkeypatch.context() as patch:
        patch.setattr("sendroute.cli.confirm._can_ask", lambda: True)
        patch.setattr("sendroute.cli.confirm._agreed", lambda _question: False)
        asked = sendroute("apply", "manifests")
    assert f"sendroute apply manifests --write-lock {lock}\n" in asked.err, "what is confirmed"
    write(manifests / "more.yaml", domain("acme", "more.example", "{managed: {}}"))
    Path(lock).rename("sendroute.lock")
    assert "warning stale-lock" in sendroute("status").out
    rewritten = sendroute("apply", "manifests", "--write-lock", "sendroute.lock")
    assert "stale-lock" not in rewritten.out
    assert "stale-lock" not in sendroute("status").out


def test_set_route_to_another_route_beside_an_apply_all_that_never_ran_leads_to_it(
    sendroute: Program, manifests: Path
) -> None:
    path = manifests / "acme.yaml"
    write(path, account("acme"), domain("acme", "a.example", "{managed: {}}"))
    sendroute("init")
    sendroute("apply", "manifests", "--auto-approve")
    sendroute("edit", "apply-to-all", "acme", "--managed", "--id", "first", "manifests")
    edit = ("edit", "set-route", "a.example", "--unconfigured", "manifests")
    assert "overrides the apply-all first" in sendroute(*edit).out
    assert "No changes" in sendroute(*edit).out
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert_unconfigured(sendroute)


def test_set_route_of_a_route_that_nothing_shadows_changes_nothing(
    sendroute: Program, manifests: Path
) -> None:
    path = manifests / "acme.yaml"
    declare_unconfigured(sendroute, path)
    sendroute("apply", "manifests", "--auto-approve")
    path.write_text(path.read_text() + "---\n" + domain("acme", "new.example", "{managed: {}}"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    edited = sendroute("edit", "set-route", "new.example", "--managed", "manifests")
    assert "No changes" in edited.out
    assert "overrides" not in path.read_text()


@pytest.mark.parametrize(
    "command", [("plan",), ("apply", "--auto-approve"), ("sync", "--check"), ("status",)]
)
@pytest.mark.usefixtures("workdir")
def test_a_missing_store_and_a_missing_path_are_reported_together(
    sendroute: Program, command: tuple[str, ...]
) -> None:
    result = sendroute(*command, "nosuch")
    assert result.status == 1
    assert "not-initialised" in result.err
    assert "The file nosuch cannot be read: there is no such file." in result.err


def test_the_errors_of_manifests_are_reported_beside_a_missing_store(
    sendroute: Program, manifests: Path
) -> None:
    (manifests / "stray.yaml").write_text("kind: [")
    result = sendroute("plan", "manifests")
    assert (result.status, "not-initialised" in result.err) == (1, True)
    assert "error yaml-syntax  manifests/stray.yaml:1:7" in result.err


@pytest.mark.parametrize(
    ("command", "noun"),
    [(("plan",), "Plan"), (("apply", "--auto-approve"), "Apply"), (("validate",), "Validation")],
)
def test_a_report_of_a_command_that_ended_early_says_which_command_it_was(
    sendroute: Program, manifests: Path, command: tuple[str, ...], noun: str
) -> None:
    """A job of a CI reads the changes and puts the report into a comment."""
    if command[0] == "validate":
        command = ("validate", "--base", "nosuch")
        git(manifests.parent, "init", "-q")
    result = sendroute(*command, "manifests", "-o", "json=r.json", "-o", "markdown=r.md", "-q")
    assert result.status in (1, 3)
    text = Path("r.md").read_text()
    assert text.startswith(f"### Sendroute {command[0]}\n\n**{noun}: ")
    assert "nothing to do" not in text
    document = json.loads(Path("r.json").read_text())
    assert len(document["findings"]) == 1
    assert document.get("changes", []) == []
    assert ("changes" in document) is (noun != "Validation")


def test_explain_and_history_show_a_commit_by_the_same_digits(
    sendroute: Program, manifests: Path
) -> None:
    git(manifests.parent, "init", "-q")
    git(manifests.parent, "add", "manifests")
    git(manifests.parent, "commit", "-qm", "mail")
    head = git(manifests.parent, "rev-parse", "HEAD").strip()
    assert sendroute("init").status == 0
    for expected in (head[:12], f"{head[:12]}-dirty"):
        assert sendroute("apply", "manifests", "--auto-approve").status == 0
        for command in ("explain", "history"):
            out = sendroute(command, "shop.example.com").out
            assert expected in out.split()
            assert head[:13] not in out
        write(
            manifests / "acme.yaml",
            account("acme"),
            profile("acme", "ses"),
            domain("acme", "shop.example.com", "{managed: {}}"),
            domain("acme", "news.example.com"),
        )


def test_only_a_default_that_is_recorded_stays_unchanged(
    sendroute: Program, manifests: Path
) -> None:
    assert sendroute("init").status == 0
    changed = account("acme", more=", defaultRoute: {profile: new}")
    write(manifests / "acme.yaml", changed, profile("acme", "new"))
    assert "The default of account acme/acme is not set:" in sendroute("plan", "manifests").out
    write(manifests / "acme.yaml", account("acme", more=", defaultRoute: {managed: {}}"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    write(manifests / "acme.yaml", changed, profile("acme", "new"))
    assert "The default of account acme/acme stays unchanged:" in sendroute("plan", "manifests").out


def test_what_else_declares_a_domain_or_an_account_is_shown_by_its_line(
    sendroute: Program, workdir: Path
) -> None:
    assert sendroute("init").status == 0
    write(workdir / "m/platform.yaml", PLATFORM)
    acme = [domain("acme", name, "{managed: {}}") for name in ("a.example", "b.example")]
    write(workdir / "m/acme.yaml", account("acme"), *acme)
    write(workdir / "m/bolt.yaml", account("bolt"), domain("bolt", "a.example", "{managed: {}}"))
    conflict = sendroute("plan", "m")
    assert conflict.status == 1
    for shown in ("m/acme.yaml:11:11", "m/bolt.yaml:11:11"):
        assert f"error domain-conflict  {shown}\n" in conflict.out
        assert f"see also: {shown}\n" in conflict.out
    write(workdir / "m/bolt.yaml", account("bolt"))
    assert sendroute("apply", "m", "--auto-approve").status == 0
    write(workdir / "m/acme.yaml", *acme)
    orphans = sendroute("plan", "m").out
    assert "see also: m/acme.yaml:13:12\n" in orphans
