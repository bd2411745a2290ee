"""Temporary failures: an invalid tree, a provider or a store that is unavailable."""

import fcntl
import os
import resource
import signal
import sqlite3
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from tests.private_server import free_port

from .conftest import OTHER_LOCK, PLATFORM, Workspace, account, profile, replace, wait_until


def test_with_an_invalid_platform_the_last_valid_tree_is_served(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start("--interval", "500ms")
    loop.wait_for_log("acme/acme", "committed")
    workspace.write_manifest("platform", "kind: [")
    workspace.write_manifest("acme", account("acme"))
    assert loop.wait_for_log("manifests/platform.yaml:1:")["code"] == "yaml-syntax"
    line = loop.wait_for_log("No MailPlatform could be read")
    assert line["code"] == "no-platform"
    workspace.sql("update domain set kind = 'unconfigured'")
    loop.wait_for_log("Account acme/acme had drifted")
    assert workspace.domains() == {"a.example.com": "managed"}
    workspace.write_manifest("platform", PLATFORM)
    loop.wait_for_log("The newest tree is served again.")
    wait_until(lambda: not workspace.domains(), "the removal")
    assert len(loop.logged("No MailPlatform could be read")) == 1


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Readers of the file get EWOULDBLOCK, while the result of stat(2) does not change (fcntl(2),
    "Leases": the kernel removes a lease after 45 seconds)."""
    previous = signal.signal(signal.SIGIO, signal.SIG_IGN)
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, previous)


@pytest.mark.parametrize("name", ["acme", "platform"])
def test_a_temporarily_unreadable_file_is_read_again(workspace: Workspace, name: str) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    with unreadable(workspace.manifests / f"{name}.yaml"):
        loop = workspace.start()
        loop.wait_for_log(
            f"manifests/{name}.yaml", "cannot be read: resource temporarily unavailable"
        )
    wait_until(workspace.domains, "the domain")


def test_a_secret_variable_of_the_earlier_form_is_logged_with_its_new_name(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in (("USERNAME", "canary-user"), ("PASSWORD", "canary-password")):
        monkeypatch.setenv(f"SENDROUTE_SECRET_ACME_SES_{key}", value)
    ses = profile("acme", "ses", 587).replace("127.0.0.1", "localhost")
    ses = ses.replace("none}", "starttls, credentials: {secretRef: {name: ses}}}")
    workspace.write_manifest("acme", account("acme", "a.example.com", route="{profile: ses}") + ses)
    loop = workspace.start("-v")
    line = loop.wait_for_log("Account acme/acme", "have an earlier form, which is not read.")
    assert line["message"].endswith(
        "If the values are this secret's, rename the variables to"
        " SENDROUTE_SECRET_ACME__SES__USERNAME and SENDROUTE_SECRET_ACME__SES__PASSWORD."
        " And 1 more."
    )
    loop.stop()
    assert "canary" not in loop.all()
    monkeypatch.delenv("SENDROUTE_SECRET_ACME_SES_USERNAME")
    monkeypatch.delenv("SENDROUTE_SECRET_ACME_SES_PASSWORD")
    workspace.start().wait_for_log(
        "The secret acme/ses was not given.", "--secrets DIR. And 1 more."
    )


def test_a_secret_variable_that_is_not_utf8_is_logged_and_stops_no_other_account(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_SECRET_ACME__SES__USERNAME", "canary-user")
    monkeypatch.setenv("SENDROUTE_SECRET_ACME__SES__PASSWORD", "canary-password\udcff")
    ses = profile("acme", "ses", 587).replace("127.0.0.1", "localhost")
    ses = ses.replace("none}", "starttls, credentials: {secretRef: {name: ses}}}")
    workspace.write_manifest("acme", account("acme") + ses)
    workspace.write_manifest("other", account("other", "b.example.com"))
    loop = workspace.start("-v")
    loop.wait_for_log("Account acme/acme", "password is not UTF-8 text")
    loop.wait_for_log("Account other/other", "committed")
    loop.stop()
    assert "canary" not in loop.all()


def test_an_unreadable_file_is_logged_once_and_does_not_block_changes(workspace: Workspace) -> None:
    (workspace.manifests / "gone.yaml").symlink_to("nowhere")
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start("--interval", "1s", "-v")
    loop.wait_for_log("acme/acme", "committed")
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    wait_until(lambda: len(workspace.domains()) == 2, "the second domain")
    loop.wait_for_log("Committing the plan of", times=8)
    assert len(loop.logged("Serving")) == 2, "reading the file again does not change the tree"
    assert [line["level"] for line in loop.logged("gone.yaml")] == ["warning"]


def test_an_empty_directory_removes_nothing(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start("--interval", "500ms")
    loop.wait_for_log("acme/acme", "committed")
    workspace.manifests.rename(workspace.directory / "elsewhere")
    workspace.manifests.mkdir()
    assert loop.wait_for_log("no manifests")["code"] == "no-manifests"
    workspace.sql("update domain set kind = 'unconfigured'")
    loop.wait_for_log("Account acme/acme had drifted")
    workspace.manifests.rmdir()
    loop.wait_for_log("cannot be read")
    (workspace.directory / "elsewhere").rename(workspace.manifests)
    loop.wait_for_log("The newest tree is served again.")
    assert workspace.domains() == {"a.example.com": "managed"}


def test_a_broken_file_holds_back_only_removals(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    workspace.write_manifest("bolt", account("bolt", "c.example.com"))
    loop = workspace.start()
    loop.wait_for_log("bolt/bolt", "committed")
    workspace.write_manifest("broken", "kind: [")
    loop.wait_for_log("broken.yaml")
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop.wait_for_log("Account acme/acme failed", "part of the tree is unreadable")
    workspace.write_manifest("bolt", account("bolt", "c.example.com", "d.example.com"))
    wait_until(
        lambda: "d.example.com" in workspace.domains(), "the new domain of the other account"
    )
    assert "b.example.com" in workspace.domains()
    (workspace.manifests / "broken.yaml").unlink()
    loop.wait_for_log("Fixed:", "broken.yaml")
    wait_until(lambda: "b.example.com" not in workspace.domains(), "the removal")


def test_a_link_that_loses_its_target_removes_nothing_until_it_is_back(
    workspace: Workspace,
) -> None:
    elsewhere = workspace.manifests.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "acme.yaml").write_text(account("acme", "a.example.com"))
    (workspace.manifests / "tenants").symlink_to("../elsewhere")
    loop = workspace.start("--interval", "500ms")
    loop.wait_for_log("acme/acme", "committed")
    away = elsewhere.rename(elsewhere.with_name("away"))
    loop.wait_for_log("manifests/tenants", "its target does not exist")
    workspace.write_manifest("bolt", account("bolt", "b.example.com"))
    loop.wait_for_log("bolt/bolt", "committed")
    assert workspace.domains() == {"a.example.com": "managed", "b.example.com": "managed"}
    (away / "acme.yaml").write_text(account("acme"))
    away.rename(elsewhere)
    wait_until(lambda: "a.example.com" not in workspace.domains(), "the removal")
    assert loop.stop() == 0


def test_with_the_lock_file_of_another_store_the_last_valid_tree_is_served(
    workspace: Workspace,
) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start("--interval", "500ms")
    loop.wait_for_log("acme/acme", "committed")
    lock = workspace.manifests / "sendroute.lock"
    replace(lock, OTHER_LOCK)
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    assert loop.wait_for_log("belongs to the store 1111")["code"] == "wrong-store"
    workspace.sql("update domain set kind = 'unconfigured'")
    loop.wait_for_log("Account acme/acme had drifted")
    assert workspace.domains() == {"a.example.com": "managed"}
    lock.unlink()
    workspace.write_manifest(
        "acme", account("acme", "a.example.com", "b.example.com", "c.example.com")
    )
    wait_until(lambda: len(workspace.domains()) == 3, "the new tree")


def test_the_lock_file_of_another_store_is_not_reported_as_an_unavailable_store(
    workspace: Workspace,
) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    assert workspace.sendroute("apply", "manifests", "--auto-approve").returncode == 0
    lock = workspace.manifests / "sendroute.lock"
    replace(lock, OTHER_LOCK)
    loop = workspace.start("--listen", "127.0.0.1:0", "-v")
    url = loop.wait_for_log("Serving http")["url"]
    loop.wait_for_log("belongs to the store 1111", times=6)
    status, text = _get(f"{url}/readyz")
    assert status == 503
    assert "belongs to the store 1111" in text
    assert not loop.logged("The store answers again.")
    levels = [line["level"] for line in loop.logged("belongs to the store 1111")]
    assert sorted(set(levels[2:])) == ["debug"], "not logged again in every round"
    lock.unlink()
    loop.wait_for_log("Serving")


def test_an_unavailable_provider_is_retried_and_does_not_stop_other_accounts(
    workspace: Workspace,
) -> None:
    port = free_port()
    workspace.write_manifest("acme", account("acme", "a.example.com", route="{profile: own}"))
    with (workspace.manifests / "acme.yaml").open("a") as file:
        file.write(profile("acme", "own", port))
    workspace.write_manifest("bolt", account("bolt", "b.example.com"))
    loop = workspace.start("--interval", "1h")
    loop.wait_for_log("bolt/bolt", "committed")
    line = loop.wait_for_log("Account acme/acme is applied in part", "connection test")
    assert line["code"] == "connection-test-failed"
    provider = Controller(object(), hostname="127.0.0.1", port=port)
    provider.start()
    try:
        loop.wait_for_log("Account acme/acme is fully applied")
    finally:
        provider.stop()
    assert workspace.domains() == {"a.example.com": "own", "b.example.com": "managed"}
    assert len(loop.logged("applied in part")) == 1


def test_the_loop_recovers_when_a_missing_store_is_back(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start("--listen", "127.0.0.1:0")
    url = loop.wait_for_log("Serving http")["url"]
    loop.wait_for_log("acme/acme", "committed")
    wait_until(lambda: _get(f"{url}/readyz")[0] == 200, "ready")
    elsewhere = workspace.directory / "elsewhere"
    elsewhere.mkdir()
    for file in workspace.directory.glob("sendroute.db*"):
        file.rename(elsewhere / file.name)
    assert loop.wait_for_log("There is no store at")["code"] == "not-initialised"
    status, text = _get(f"{url}/readyz")
    assert (status, text) == (503, "The store does not answer.\n")
    assert _get(f"{url}/healthz")[0] == 200, "a restart would not fix it"
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    loop.wait_for_log("There is no store at")
    for file in elsewhere.iterdir():
        file.rename(workspace.directory / file.name)
    loop.wait_for_log("The store answers again.")
    wait_until(lambda: len(workspace.domains()) == 2, "the domain added in the meantime")
    wait_until(lambda: _get(f"{url}/readyz")[0] == 200, "ready, which is reported after the commit")
    assert loop.stop() == 0


def test_a_new_store_at_the_same_path_gets_all_accounts(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start()
    loop.wait_for_log("acme/acme", "committed")
    for file in workspace.directory.glob("sendroute.db*"):
        file.unlink()
    loop.wait_for_log("There is no store at")
    created = workspace.sendroute("--key-file", "sendroute.key", "init")
    assert created.returncode == 0, created.stderr
    wait_until(workspace.domains, "the domains")


def test_metrics_count_accounts_findings_and_repairs(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    workspace.write_manifest("bolt", account("bolt", plan="none-such"))
    loop = workspace.start("--interval", "500ms", "--listen", "127.0.0.1:0")
    url = loop.wait_for_log("Serving http")["url"]
    loop.wait_for_log("bolt/bolt", "failed")
    workspace.sql("update domain set kind = 'unconfigured' where name = 'a.example.com'")
    loop.wait_for_log("had drifted")

    def metrics() -> dict[str, float]:
        lines = _get(f"{url}/metrics")[1].splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    wait_until(lambda: metrics()["sendroute_drift_repaired_changes_total"] == 1, "the drift")
    counts = metrics()
    assert counts["sendroute_accounts"] == 2
    assert counts["sendroute_domains"] == 2
    assert counts["sendroute_tree_good"] == 1
    assert counts["sendroute_store_up"] == 1
    assert counts["sendroute_consecutive_failures"] == 0
    assert counts['sendroute_findings{code="unknown-plan"}'] == 1
    assert counts['sendroute_unapplied_accounts{reason="failed"}'] == 1
    assert counts['sendroute_account_reconciles_total{outcome="committed"}'] == 2
    assert counts["sendroute_last_success_timestamp_seconds"] == 0, "one account is not settled"
    (workspace.manifests / "bolt.yaml").unlink()
    loop.wait_for_log("bolt/bolt is fully applied")
    wait_until(lambda: metrics()["sendroute_last_success_timestamp_seconds"] > 0, "success")
    wait_until(lambda: metrics()["sendroute_accounts"] == 1, "the new tree")
    assert 'sendroute_findings{code="unknown-plan"}' not in metrics()
    assert not [name for name in metrics() if "example.com" in name]


def test_a_branch_is_followed_and_its_commits_are_recorded(
    workspace: Workspace, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        completed = subprocess.run(
            ["git", "-C", str(tree), *identity, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return completed.stdout.strip()

    git("init", "-q", "-b", "main")
    (tree / "mail").mkdir()
    (tree / "mail/platform.yaml").write_text(PLATFORM)
    (tree / "mail/acme.yaml").write_text(account("acme", "a.example.com"))
    git("add", ".")
    git("commit", "-q", "-m", "one")
    arguments = ("--branch", "main", "--path", "mail", "--state-dir", str(tmp_path / "state"))
    loop = workspace.start(f"file://{tree}", *arguments)
    first = git("rev-parse", "HEAD")
    assert loop.wait_for_log("Serving commit")["commit"] == first
    (tree / "mail/acme.yaml").write_text(account("acme", "a.example.com", plan="none-such"))
    git("commit", "-q", "-a", "-m", "two")
    line = loop.wait_for_log("Account acme/acme failed")
    assert line["commit"] == git("rev-parse", "HEAD")
    (finding,) = workspace.unapplied()["acme"]["findings"]
    expected = {"file": "mail/acme.yaml", "line": 4, "column": 14}
    assert finding["position"] == expected, "relative to the root of the repository"
    (tree / "mail/platform.yaml").write_text(PLATFORM + "more: [")
    git("commit", "-q", "-a", "-m", "three")
    line = loop.wait_for_log("Invalid YAML")
    at = f"mail/platform.yaml:{PLATFORM.count(chr(10)) + 1}:"
    assert line["message"].startswith(at), "relative to the root, at the position of the error"
    loop.wait_for_log("No MailPlatform could be read")
    assert loop.stop() == 0
    # After a restart the loop serves the last valid tree, and repairs drift with it.
    workspace.sql("delete from domain")
    again = workspace.start(f"file://{tree}", *arguments)
    again.wait_for_log("No MailPlatform could be read")
    again.wait_for_log("Account acme/acme failed")
    again.stop()
    assert workspace.sql("select distinct source_commit from revision order by 1") == [
        (None,),
        (first,),
    ]


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - a server of this test
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def test_a_missing_key_is_logged_and_the_loop_recovers_when_it_is_back(
    workspace: Workspace,
) -> None:
    key = workspace.directory / "sendroute.key"
    secret = workspace.directory / "secrets/acme/own"
    secret.mkdir(parents=True)
    for name in ("username", "password"):
        (secret / name).write_text("a-canary-word")
    content = key.read_text()
    key.unlink()
    workspace.write_manifest(
        "acme", account("acme", "a.example.com", route="{profile: own}") + SIGNED_IN
    )
    loop = workspace.start("--secrets", "secrets")
    logged = loop.wait_for_log("The key of the credentials")
    assert (logged["code"], "--key-file FILE" in logged["message"]) == ("key-missing", True)
    key.write_text(content)
    key.chmod(0o600)
    loop.wait_for_log("Rounds succeed again.")
    wait_until(workspace.domains, "the domain")
    assert "canary" not in loop.all()
    assert len(loop.logged("The key of the credentials")) == 1


def test_a_locked_store_is_not_waited_for_once_per_account(workspace: Workspace) -> None:
    loop = workspace.start()
    loop.wait_for_log("Serving")
    with closing(
        sqlite3.connect(workspace.directory / "sendroute.db", isolation_level=None)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        text = "---\n".join(account(f"a{n}", f"d.a{n}.example.com") for n in range(8))
        workspace.write_manifest("all", text)
        for name in ("a0", "a1", "a2"):  # each is waited for separately
            loop.wait_for_log(f"{name}/{name}", "in use by another writer")
        assert loop.wait_for_log("is in use by another writer", times=4)["code"] == "store-locked"
        other.execute("ROLLBACK")
    assert not loop.logged("a3/a3", "in use"), (
        "the store was unavailable, not eight accounts invalid"
    )
    wait_until(lambda: len(workspace.domains()) == 8, "all domains")
    loop.wait_for_log("The store answers again.")


def test_a_full_disk_is_logged_once_and_retried_with_backoff(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    loop = workspace.start("--listen", "127.0.0.1:0", "-v")
    url = loop.wait_for_log("Serving http")["url"]
    loop.wait_for_log("acme/acme", "committed")
    _, hard = resource.prlimit(loop.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(loop.pid, resource.RLIMIT_FSIZE, (0, hard))  # no write to a file succeeds
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    loop.wait_for_log("failed to read or write", times=4)
    assert _get(f"{url}/readyz")[0] == 503
    loop.wait_for_log("failed to read or write", times=6)
    assert not loop.logged("The store answers again.")
    failures = [line for line in loop.lines if line.get("code") == "store-failed"]
    assert [line["level"] for line in failures if line["level"] != "debug"] == ["error"]
    resource.prlimit(loop.pid, resource.RLIMIT_FSIZE, (hard, hard))
    loop.wait_for_log("The store answers again.")
    wait_until(lambda: len(workspace.domains()) == 2, "the new domain")
    assert len(loop.logged("The store answers again.")) == 1


def test_a_syntax_error_is_logged_as_the_cause_of_the_failed_account(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com", "b.example.com"))
    loop = workspace.start()
    loop.wait_for_log("acme/acme", "committed")
    workspace.write_manifest("acme", account("acme", "a.example.com", "b\x1b[31m.example.com"))
    line = loop.wait_for_log("Account acme/acme failed")
    assert line["code"] == "held-back"
    assert "not well-formed: Invalid YAML" in line["message"]
    (finding,) = workspace.unapplied()["acme"]["findings"]
    assert finding["position"]["file"] == "manifests/acme.yaml"


SIGNED_IN = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {name: own, namespace: acme}
spec:
  account: acme
  host: smtp.provider.example
  port: 587
  encryption: starttls
  connectionTest: skip
  credentials: {secretRef: {name: own}}
"""


def test_a_secret_in_the_manifests_is_logged_until_it_is_gone(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {password: canary-1}\n"
    workspace.write_manifest("secret", secret)
    loop = workspace.start("--interval", "500ms")
    line = loop.wait_for_log("A Kubernetes Secret beside the manifests")
    assert (line["code"], "manifests/secret.yaml:4:1" in line["message"]) == (
        "secret-in-manifests",
        True,
    )
    (workspace.manifests / "secret.yaml").unlink()
    loop.wait_for_log("Fixed: manifests/secret.yaml:4:1")
    assert len(loop.logged("A Kubernetes Secret beside")) == 2
    assert "canary" not in loop.all()


def test_a_profile_waits_for_the_account_of_its_document_and_then_leaves(
    workspace: Workspace,
) -> None:
    """The holder is planned again although none of its own documents changes."""

    def named() -> list[tuple[str, str]]:
        return workspace.sql(
            "SELECT account.name, profile.name FROM profile"
            " JOIN account ON account.id = profile.account_id ORDER BY account.name"
        )

    def moved(to: str) -> str:
        return SIGNED_IN.replace("account: acme", f"account: {to}").lstrip("-\n")

    bolt = account("bolt").replace("namespace: bolt", "namespace: acme")
    workspace.write_manifest("acme", account("acme", "a.example.com"))
    workspace.write_manifest("bolt", bolt)
    workspace.write_manifest("own", moved("acme"))
    secret = workspace.directory / "secrets/acme/own"
    secret.mkdir(parents=True)
    for name in ("username", "password"):
        (secret / name).write_text("a-canary-word")
    loop = workspace.start("--interval", "1h", "--secrets", "secrets")
    wait_until(lambda: named() == [("acme", "own")], "the profile")
    workspace.write_manifest("own", moved("blot"))
    loop.wait_for_log("acme/acme", "not removed yet", "not defined by any MailAccount")
    assert named() == [("acme", "own")]
    workspace.write_manifest("own", moved("bolt"))
    wait_until(lambda: named() == [("bolt", "own")], "the move")
    workspace.write_manifest("own", moved("blot"))
    loop.wait_for_log("acme/bolt", "not removed yet")
    (workspace.manifests / "own.yaml").unlink()
    wait_until(lambda: named() == [], "the removal")
    assert loop.stop() == 0
