"""Two writers with different trees on one store: each takes the work of the other for drift."""

import time
from datetime import datetime

import pytest

from .conftest import LoopProcess, Workspace, account, replace, wait_until

CONTESTED = "Account acme/acme is contested"


@pytest.fixture
def on_store(workspace: Workspace, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace on SQLite, and on PostgreSQL."""
    if store_url.startswith("postgresql"):
        monkeypatch.setenv("SENDROUTE_STORE", store_url)
        monkeypatch.setenv("SENDROUTE_KEY_FILE", str(workspace.directory / "sendroute.key"))
        assert workspace.sendroute("init").returncode == 0
    return workspace


def _write_other_tree(workspace: Workspace) -> None:
    """A tree in which the same domain has another route."""
    other = workspace.directory / "other"
    other.mkdir(exist_ok=True)
    replace(other / "platform.yaml", (workspace.manifests / "platform.yaml").read_text())
    replace(other / "acme.yaml", account("acme", "a.example.com", route="{unconfigured: {}}"))


def _until_contested(workspace: Workspace) -> tuple[LoopProcess, LoopProcess]:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    _write_other_tree(workspace)
    first = workspace.start()
    first.wait_for_log("acme/acme", "committed")
    second = workspace.start("other")
    first.wait_for_log(CONTESTED)
    second.wait_for_log(CONTESTED)
    return first, second


def test_two_loops_that_undo_each_other_say_so_once_and_slow_down(on_store: Workspace) -> None:
    first, second = _until_contested(on_store)
    drifted = "Account acme/acme had drifted"
    first.wait_for_log(drifted, times=4)
    fourth = time.monotonic()
    first.wait_for_log(drifted, times=5)
    assert time.monotonic() - fourth > 0.8, "the second wait is at least a second"
    line = first.wait_for_log(CONTESTED)
    assert line["code"] == "contested-account"
    assert "a loop follows other" in line["message"], "the other source is mentioned"
    second.wait_for_log(CONTESTED, "a loop follows manifests")  # after what the first one reported
    assert len(first.logged(CONTESTED)) == len(second.logged(CONTESTED)) == 1
    assert not first.logged("is fully applied")

    def shown() -> bool:
        status = on_store.unapplied().get("acme")
        return status is not None and status["findings"][0]["code"] == "contested-account"

    wait_until(shown, "the status")
    text = " ".join(on_store.sendroute("status").stdout.split())
    assert "contested" in text
    assert "is reverted each time that Sendroute applies it" in text


def test_an_edit_that_agrees_with_the_other_writer_ends_a_contest(on_store: Workspace) -> None:
    first, second = _until_contested(on_store)
    on_store.write_manifest("acme", account("acme", "a.example.com", route="{unconfigured: {}}"))
    first.wait_for_log("Account acme/acme is fully applied")
    wait_until(lambda: not on_store.unapplied(), "the status is gone")
    assert second.stop() == 0


def test_another_account_is_repaired_at_once_while_one_is_contested(on_store: Workspace) -> None:
    on_store.write_manifest("bolt", account("bolt", "b.example.com"))
    first, second = _until_contested(on_store)
    assert second.stop() == 0
    replace(
        on_store.directory / "other" / "bolt.yaml",
        account("bolt", "b.example.com", route="{unconfigured: {}}"),
    )
    applied = on_store.sendroute("apply", "other", "--only", "bolt", "--auto-approve")
    assert applied.returncode == 0, applied.stderr
    first.wait_for_log("Account bolt/bolt had drifted")
    assert not first.logged("Account bolt/bolt is contested")


def test_a_job_that_applies_another_tree_is_repaired_at_once_the_first_times(
    on_store: Workspace,
) -> None:
    on_store.write_manifest("acme", account("acme", "a.example.com"))
    _write_other_tree(on_store)
    loop = on_store.start("--interval", "1h")
    loop.wait_for_log("acme/acme", "committed")
    for time_applied in range(1, 4):
        applied = on_store.sendroute("apply", "other", "--auto-approve")
        assert applied.returncode == 0, applied.stderr
        loop.wait_for_log("Account acme/acme had drifted", times=time_applied)
        if time_applied < 3:
            assert not loop.logged(CONTESTED)
    loop.wait_for_log(CONTESTED)


def _write_other_platform(workspace: Workspace) -> None:
    """Another tree, with the same account and another platform."""
    other = workspace.directory / "other"
    other.mkdir()
    platform = (workspace.manifests / "platform.yaml").read_text()
    replace(other / "platform.yaml", platform.replace("smtp.trekmail", "mail.trekmail"))
    replace(other / "acme.yaml", account("acme", "a.example.com"))


def test_two_loops_with_different_platforms_say_so(on_store: Workspace) -> None:
    on_store.write_manifest("acme", account("acme", "a.example.com"))
    _write_other_platform(on_store)
    first = on_store.start("--interval", "1h")
    first.wait_for_log("acme/acme", "committed")
    second = on_store.start("other", "--interval", "1h")
    line = first.wait_for_log("The platform is contested")
    assert line["code"] == "contested-account"
    assert "a loop follows other" in line["message"]
    second.wait_for_log("The platform is contested")
    assert len(first.logged("The platform is contested")) == 1

    def shown() -> bool:
        text = " ".join(on_store.sendroute("status").stdout.split())
        return "the platform contested" in text

    wait_until(shown, "the status")
    assert second.stop() == 0


def test_a_contested_platform_waits_while_another_account_is_applied(on_store: Workspace) -> None:
    """The account is applied at once, on the platform in the store. What else is left open, here by
    a file that cannot be read, is shown beside the contest."""
    on_store.write_manifest("acme", account("acme", "a.example.com"))
    _write_other_platform(on_store)
    loop = on_store.start("--interval", "1h")
    committed = "The platform is committed"
    for times in range(1, 8):  # the seventh waits for at least four seconds
        loop.wait_for_log(committed, times=times)
        assert on_store.sendroute("apply", "other", "--auto-approve").returncode == 0
    on_store.write_manifest("bolt", account("bolt", "b.example.com"))
    on_store.write_manifest("broken", "kind: [")
    loop.wait_for_log("Account bolt/bolt is committed")
    loop.wait_for_log(committed, times=8)
    seventh, eighth = (datetime.fromisoformat(line["time"]) for line in loop.logged(committed)[6:8])
    assert (eighth - seventh).total_seconds() >= 4

    def shown() -> bool:
        [status] = on_store.status()["unapplied"]
        codes = {item["code"] for item in status["findings"]}
        return status["reason"] == "contested" and codes == {"contested-account", "yaml-syntax"}

    wait_until(shown, "the status with both")


def test_a_platform_that_another_process_changes_is_repaired_at_once(on_store: Workspace) -> None:
    on_store.write_manifest("acme", account("acme", "a.example.com"))
    _write_other_tree(on_store)
    platform = on_store.directory / "other" / "platform.yaml"
    replace(platform, platform.read_text().replace("smtp.trekmail", "mail.trekmail"))
    loop = on_store.start("--interval", "1h")
    loop.wait_for_log("acme/acme", "committed")
    applied = on_store.sendroute("apply", "other", "--auto-approve", "--only", "acme")
    assert applied.returncode == 0, applied.stderr
    loop.wait_for_log("The platform is committed", times=2)
    assert not loop.logged("The platform is contested")


def test_two_loops_with_one_tree_and_different_secrets_say_so_and_slow_down(
    on_store: Workspace,
) -> None:
    """Each takes the password that the other one saved for an old one."""
    on_store.write_manifest(
        "acme",
        account("acme", "a.example.com", route="{profile: ses}")
        + """\
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {name: ses, namespace: acme}
spec:
  account: acme
  host: smtp.ses.example
  port: 587
  encryption: starttls
  connectionTest: skip
  credentials: {secretRef: {name: ses}}
""",
    )
    loops = []
    for number in (1, 2):
        secret = on_store.directory / f"secrets-{number}" / "acme" / "ses"
        secret.mkdir(parents=True)
        (secret / "username").write_text("acme")
        (secret / "password").write_text(f"canary-word-{number}")
        loops.append(on_store.start("--secrets", f"secrets-{number}"))
        loops[0].wait_for_log("acme/acme", "committed")
    for loop in loops:
        loop.wait_for_log(CONTESTED)
    loops[0].wait_for_log("1 profile updated", times=4)
    fourth = time.monotonic()
    loops[0].wait_for_log("1 profile updated", times=5)
    assert time.monotonic() - fourth > 0.8, "the second wait is at least a second"
    assert on_store.unapplied()["acme"]["findings"][0]["code"] == "contested-account"
    for loop in loops:
        assert loop.stop() == 0
        assert "canary-word" not in loop.all()
    assert "canary-word" not in on_store.sendroute("status").stdout
