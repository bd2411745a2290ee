"""The loop on a directory that changes, with a store that other processes write to."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from .conftest import Workspace, account, replace, wait_until


def test_existing_and_changed_manifests_are_applied(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start()
    loop.wait_for_log("acme/acme", "committed")
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    wait_until(lambda: len(workspace.domains()) == 2, "the new domain")
    removal = "{plan: pro, remove: {confirm: {domains: 2}}}"
    workspace.write_manifest("acme", account("acme").replace("{plan: pro}", removal))
    wait_until(lambda: not workspace.domains(), "the removal")
    assert loop.stop() == 0
    assert loop.lines[-1]["message"] == "Stopped by SIGTERM."


def test_status_shows_what_is_served_and_why_the_newest_is_not(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start()
    loop.wait_for_log("acme/acme", "committed")

    def source() -> dict[str, object]:
        (entry,) = json.loads(workspace.sendroute("status", "-o", "json").stdout)["sources"]
        return dict(entry)

    first = source()
    assert first["since"] is not None
    assert (first["not_served_since"], first["findings"]) == (None, [])
    platform = workspace.manifests / "platform.yaml"
    good = platform.read_text()
    replace(platform, "kind: MailPlatform\nmetadata: {name: default\n")
    faulty = wait_until(lambda: source() if source()["findings"] else None, "the fault")
    assert (faulty["since"], faulty["source"]) == (first["since"], first["source"])
    assert faulty["not_served_since"] is not None
    text = workspace.sendroute("status").stdout
    assert "  the directory, since" in text
    assert "The newest tree is not served, since" in text
    assert "platform.yaml:" in text
    replace(platform, good)
    wait_until(lambda: not source()["findings"], "the end of the fault")
    live = source()
    assert (live["live"], live["stopped"]) == (True, None)
    assert loop.stop() == 0
    ended = source()
    assert (ended["live"], ended["since"]) == (False, live["since"])
    assert ended["stopped"] is not None
    assert "the loop was stopped then" in workspace.sendroute("status").stdout
    again = workspace.start()
    wait_until(lambda: source()["live"], "the restarted loop")
    assert again.stop() == 0


def test_a_loop_that_served_nothing_leaves_nothing_in_status(workspace: Workspace) -> None:
    """And it does not say that a previous version stays in effect: there is none."""
    subprocess.run(["git", "init", "-q", str(workspace.directory / "bare.git")], check=True)
    loop = workspace.start(f"file://{workspace.directory}/bare.git", "--branch", "nope")
    fault = loop.wait_for_log("has no branch nope")
    assert "previous version" not in fault["message"]
    wait_until(lambda: "nothing yet" in workspace.sendroute("status").stdout, "the source")
    assert loop.stop() == 0
    assert "follows" not in workspace.sendroute("status").stdout


def test_an_unreachable_source_leaves_the_previous_version_in_effect(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start()
    loop.wait_for_log("acme/acme", "committed")
    workspace.manifests.rename(workspace.manifests.with_name("elsewhere"))
    fault = loop.wait_for_log("cannot be read")
    assert "Until then the previous version stays in effect." in fault["message"]
    assert loop.stop() == 0


def test_only_the_account_whose_manifests_changed_is_reconciled(workspace: Workspace) -> None:
    for name in ("acme", "bolt"):
        workspace.write_manifest(name, account(name, f"{name}.example.com"))
    loop = workspace.start()
    loop.wait_for_log("bolt/bolt", "committed")
    workspace.sql("update domain set kind = 'unconfigured' where name = 'bolt.example.com'")
    workspace.write_manifest("acme", account("acme", "acme.example.com", "more.example.com"))
    loop.wait_for_log("acme/acme", "committed", times=2)
    assert workspace.domains()["bolt.example.com"] == "unconfigured", (
        "drift is repaired only at the interval"
    )
    assert len(loop.logged("bolt/bolt", "committed")) == 1


def test_a_bare_repository_that_arrives_in_the_directory_runs_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start("--interval", "500ms")
    loop.wait_for_log("acme/acme", "committed")
    bare, stolen = tmp_path / "bare", tmp_path / "stolen"
    author = ("-c", "user.name=T", "-c", "user.email=t@t.example")
    subprocess.run(["git", "init", "-q", "-b", "main", str(bare)], check=True)
    commit = ["git", "-C", str(bare), *author, "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(commit, check=True)
    for name in ("HEAD", "objects", "refs"):
        (bare / ".git" / name).rename(workspace.manifests / name)
    settings = ["repositoryformatversion = 0", "bare = false", "worktree = .."]
    settings.append(f'fsmonitor = "env > {stolen}; false"')
    (workspace.manifests / "config").write_text("\n".join(["[core]", *settings]))
    control = ["git", "-C", str(workspace.manifests), "status"]
    subprocess.run(control, check=False, capture_output=True)
    assert stolen.exists(), "an unprotected git runs it"
    stolen.unlink()
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    loop.wait_for_log("acme/acme is committed", "1 domain created")
    wait_until(lambda: len(workspace.domains()) == 2, "the second domain")
    assert loop.stop() == 0
    assert not stolen.exists()


def test_drift_is_repaired_within_the_interval_and_logged(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    loop = workspace.start("--interval", "1s")
    loop.wait_for_log("acme/acme", "committed")
    workspace.sql("update domain set kind = 'unconfigured' where name = 'a.example.com'")
    line = loop.wait_for_log("Account acme/acme had drifted: repaired with 1 change")
    assert (line["namespace"], line["account"], line["changes"]) == ("acme", "acme", 1)
    assert workspace.domains()["a.example.com"] == "managed"
    assert len(loop.logged("drifted")) == 1


def test_a_commit_of_another_writer_is_seen_at_once(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start()
    loop.wait_for_log("acme/acme", "committed")
    other = workspace.directory / "other"
    other.mkdir()
    replace(other / "all.yaml", (workspace.manifests / "platform.yaml").read_text())
    replace(other / "acme.yaml", account("acme", "a.example.com", route="{unconfigured: {}}"))
    completed = workspace.sendroute("apply", "other", "--auto-approve")
    assert completed.returncode == 0, completed.stderr
    loop.wait_for_log("Account acme/acme had drifted")
    wait_until(lambda: workspace.domains()["a.example.com"] == "managed", "the route")


def test_a_newer_tree_applied_by_another_process_is_not_reverted(workspace: Workspace) -> None:
    """Otherwise two loops that poll at different times would undo each other's changes."""
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start("--poll", "1h")
    loop.wait_for_log("acme/acme", "committed")
    loop.wait_for_log("Serving")
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    applied = workspace.sendroute("apply", "manifests", "--auto-approve")
    assert applied.returncode == 0, applied.stderr
    loop.wait_for_log("Serving", "2 domains")
    assert len(loop.logged("acme/acme is committed")) == 1, "the loop had nothing to do"
    assert set(workspace.domains()) == {"a.example.com", "b.example.com"}


def test_an_account_with_an_error_does_not_stop_other_accounts(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com", plan="none-such"))
    workspace.write_manifest("bolt", account("bolt", "b.example.com"))
    loop = workspace.start("--interval", "500ms")
    loop.wait_for_log("bolt/bolt", "committed")
    line = loop.wait_for_log("Account acme/acme failed", "none-such")
    assert (line["code"], line["level"]) == ("unknown-plan", "warning")
    assert workspace.domains() == {"b.example.com": "managed"}
    assert workspace.unapplied()["acme"]["reason"] == "failed"
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop.wait_for_log("acme/acme is fully applied")
    assert not workspace.unapplied()
    assert len(loop.logged("Account acme/acme failed")) == 1, "logged once, not in every round"


def test_a_domain_moves_between_accounts_whose_manifests_change_at_different_times(
    workspace: Workspace,
) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com", "moves.example.com"))
    workspace.write_manifest("bolt", account("bolt", "b.example.com"))
    loop = workspace.start()
    loop.wait_for_log("bolt/bolt", "committed")
    workspace.write_manifest("bolt", account("bolt", "b.example.com", "moves.example.com"))
    loop.wait_for_log("bolt/bolt", "moves.example.com")
    workspace.write_manifest("acme", account("acme", "a.example.com"))

    def owner() -> bool:
        rows = workspace.sql(
            "select a.name from domain d join account a on a.id = d.account_id"
            " where d.name = 'moves.example.com'"
        )
        return rows == [("bolt",)]

    wait_until(owner, "the move")
    loop.wait_for_log("bolt/bolt is fully applied")


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name
)
def test_a_signal_while_waiting_ends_the_loop_at_once(workspace: Workspace, number: int) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start()
    loop.wait_for_log("Serving")
    loop.signal(number)
    assert loop.wait_for_exit() == 0


def test_the_user_name_of_a_url_is_not_logged(workspace: Workspace) -> None:
    """It may be a token: some tokens cannot be distinguished from user names."""
    loop = workspace.start("https://s0me-t0ken@127.0.0.1:1/mail.git")
    loop.wait_for_log("https://127.0.0.1:1/mail.git", "Cannot read")
    assert loop.stop() == 0
    assert "s0me-t0ken" not in json.dumps(loop.lines)


def test_skipped_documents_are_logged_as_json(workspace: Workspace) -> None:
    workspace.write_manifest("others", "kind: Deployment\n---\nkind: Other\n")
    loop = workspace.start("-v")
    assert loop.wait_for_log("Skipped 2 documents")["level"] == "debug"
    assert loop.stop() == 0, "every line is JSON"


def test_quiet_logs_only_failures(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start("manifests", "-q")
    wait_until(workspace.domains, "the domain")
    assert loop.stop() == 0
    assert loop.lines == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("no-such-directory",), "source-unreachable"),
        (("manifests", "--listen", "host.invalid:9464"), "invalid-value"),
    ],
    ids=["a missing source", "an unknown host"],
)
def test_an_unavailable_source_or_address_is_logged_as_an_error(
    workspace: Workspace, arguments: tuple[str, ...], code: str
) -> None:
    loop = workspace.start(*arguments)
    assert loop.wait_for_exit() == 1
    assert (loop.lines[-1]["code"], loop.lines[-1]["level"]) == (code, "error")


def test_only_what_was_repaired_counts_as_repaired_drift(workspace: Workspace) -> None:
    undeclared = account("acme", "a.example.com").replace("  route: {managed: {}}\n", "")
    workspace.write_manifest("acme", undeclared)
    loop = workspace.start()
    loop.wait_for_log("acme/acme", "committed")
    other = workspace.directory / "other"
    other.mkdir()
    replace(other / "all.yaml", (workspace.manifests / "platform.yaml").read_text())
    replace(other / "acme.yaml", account("acme", "a.example.com", route="{unconfigured: {}}"))
    assert workspace.sendroute("apply", "other", "--auto-approve").returncode == 0
    loop.wait_for_log("acme/acme", "committed", times=2)
    assert workspace.domains()["a.example.com"] == "unconfigured", "it stays as assigned"
    warning = loop.wait_for_log("Account acme/acme was changed by another process")
    assert (
        "a.example.com stays on unconfigured; its manifest no longer declares" in warning["message"]
    )
    assert loop.stop() == 0
    assert not loop.logged("had drifted")
