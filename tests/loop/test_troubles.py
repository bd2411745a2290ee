"""What is away or broken for a while: a tree, a provider, the store."""

import fcntl
import os
import signal
import socket
import sqlite3
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from .conftest import PLATFORM, Place, account, profile, replace, until


def test_a_broken_platform_keeps_the_last_good_tree(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start("--interval", "500ms")
    loop.says("acme/acme", "committed")
    place.lay("platform", "kind: [")
    place.lay("acme", account("acme"))
    assert loop.says("manifests/platform.yaml:1:")["code"] == "yaml-syntax"
    line = loop.says("No MailPlatform could be read")
    assert line["code"] == "no-platform"
    place.sql("update domain set kind = 'unconfigured'")
    loop.says("Account acme/acme had drifted")
    assert place.domains() == {"a.example.com": "managed"}
    place.lay("platform", PLATFORM)
    loop.says("The newest tree is served again.")
    until(lambda: not place.domains(), "the removal")
    assert len(loop.said("No MailPlatform could be read")) == 1


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Its readers get EWOULDBLOCK, while nothing that stat(2) tells of it changes (fcntl(2),
    "Leases": the kernel takes one away after 45 seconds)."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    opened = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(opened, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(opened)
        signal.signal(signal.SIGIO, before)


@pytest.mark.parametrize("name", ["acme", "platform"])
def test_a_file_that_cannot_be_read_for_a_moment_is_read_again(place: Place, name: str) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    with unreadable(place.manifests / f"{name}.yaml"):
        loop = place.start()
        loop.says(f"manifests/{name}.yaml", "cannot be read: resource temporarily unavailable")
    until(place.domains, "the domain")


def test_a_file_that_can_never_be_read_is_told_once_and_hides_no_change(place: Place) -> None:
    (place.manifests / "gone.yaml").symlink_to("nowhere")
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start("--interval", "1s", "-v")
    loop.says("acme/acme", "committed")
    place.lay("acme", account("acme", "a.example.com", "b.example.com"))
    until(lambda: len(place.domains()) == 2, "the second domain")
    loop.says("Committing the plan of", times=8)
    assert len(loop.said("Serving")) == 2, "reading it again brings no other tree"
    assert [line["level"] for line in loop.said("gone.yaml")] == ["warning"]


def test_an_empty_folder_takes_nothing(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start("--interval", "500ms")
    loop.says("acme/acme", "committed")
    place.manifests.rename(place.folder / "elsewhere")
    place.manifests.mkdir()
    assert loop.says("no manifests")["code"] == "no-manifests"
    place.sql("update domain set kind = 'unconfigured'")
    loop.says("Account acme/acme had drifted")
    place.manifests.rmdir()
    loop.says("cannot be read")
    (place.folder / "elsewhere").rename(place.manifests)
    loop.says("The newest tree is served again.")
    assert place.domains() == {"a.example.com": "managed"}


def test_one_broken_file_holds_back_only_what_would_take(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com", "b.example.com"))
    place.lay("bolt", account("bolt", "c.example.com"))
    loop = place.start()
    loop.says("bolt/bolt", "committed")
    place.lay("broken", "kind: [")
    loop.says("broken.yaml")
    place.lay("acme", account("acme", "a.example.com"))
    loop.says("Account acme/acme failed", "held back: something")
    place.lay("bolt", account("bolt", "c.example.com", "d.example.com"))
    until(lambda: "d.example.com" in place.domains(), "the other's new domain")
    assert "b.example.com" in place.domains()
    (place.manifests / "broken.yaml").unlink()
    loop.says("Fixed:", "broken.yaml")
    until(lambda: "b.example.com" not in place.domains(), "the removal")


def test_a_lock_file_of_another_store_keeps_the_last_good_tree(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start("--interval", "500ms")
    loop.says("acme/acme", "committed")
    lock = place.manifests / "sendroute.lock"
    replace(lock, '{"lineage": "11111111-1111-1111-1111-111111111111", "revision": 1}')
    place.lay("acme", account("acme", "a.example.com", "b.example.com"))
    assert loop.says("belongs to the store 1111")["code"] == "wrong-store"
    place.sql("update domain set kind = 'unconfigured'")
    loop.says("Account acme/acme had drifted")
    assert place.domains() == {"a.example.com": "managed"}
    lock.unlink()
    place.lay("acme", account("acme", "a.example.com", "b.example.com", "c.example.com"))
    until(lambda: len(place.domains()) == 3, "the new tree")


def test_a_lock_file_of_another_store_from_the_start_is_no_store_that_is_away(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    assert place.sendroute("apply", "manifests", "--auto-approve").returncode == 0
    lock = place.manifests / "sendroute.lock"
    replace(lock, '{"lineage": "11111111-1111-1111-1111-111111111111", "revision": 1}')
    loop = place.start("--listen", "127.0.0.1:0", "-v")
    url = loop.says("Answering at")["url"]
    loop.says("belongs to the store 1111", times=6)
    status, text = _asked(f"{url}/readyz")
    assert status == 503
    assert "belongs to the store 1111" in text
    assert not loop.said("The store answers again.")
    told = [line["level"] for line in loop.said("belongs to the store 1111")]
    assert sorted(set(told[2:])) == ["debug"], "and not again with each round"
    lock.unlink()
    loop.says("Serving")


def test_a_provider_that_does_not_answer_is_tried_again_and_stops_no_other(place: Place) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place.lay("acme", account("acme", "a.example.com", route="{profile: own}"))
    with (place.manifests / "acme.yaml").open("a") as file:
        file.write(profile("acme", "own", port))
    place.lay("bolt", account("bolt", "b.example.com"))
    loop = place.start("--interval", "1h")
    loop.says("bolt/bolt", "committed")
    line = loop.says("Account acme/acme is skipped in part", "connection test")
    assert line["code"] == "connection-test-failed"
    provider = Controller(object(), hostname="127.0.0.1", port=port)
    provider.start()
    try:
        loop.says("Account acme/acme is settled")
    finally:
        provider.stop()
    assert place.domains() == {"a.example.com": "own", "b.example.com": "managed"}
    assert len(loop.said("skipped in part")) == 1


def test_the_store_moved_away_and_back(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start("--listen", "127.0.0.1:0")
    url = loop.says("Answering at")["url"]
    loop.says("acme/acme", "committed")
    until(lambda: _asked(f"{url}/readyz")[0] == 200, "ready")
    elsewhere = place.folder / "elsewhere"
    elsewhere.mkdir()
    for file in place.folder.glob("sendroute.db*"):
        file.rename(elsewhere / file.name)
    assert loop.says("There is no store at")["code"] == "not-initialised"
    status, text = _asked(f"{url}/readyz")
    assert (status, text) == (503, "The store does not answer.\n")
    assert _asked(f"{url}/healthz")[0] == 200, "to end the process would mend nothing"
    place.lay("acme", account("acme", "a.example.com", "b.example.com"))
    loop.says("There is no store at")
    for file in elsewhere.iterdir():
        file.rename(place.folder / file.name)
    loop.says("The store answers again.")
    until(lambda: len(place.domains()) == 2, "what came meanwhile")
    until(lambda: _asked(f"{url}/readyz")[0] == 200, "ready, which is told after the commit")
    assert loop.stop() == 0


def test_another_store_in_its_place_gets_everything(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start()
    loop.says("acme/acme", "committed")
    for file in place.folder.glob("sendroute.db*"):
        file.unlink()
    loop.says("There is no store at")
    made = place.sendroute("--key-file", "sendroute.key", "init")
    assert made.returncode == 0, made.stderr
    until(place.domains, "the domains")


def test_what_is_counted(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com", "b.example.com"))
    place.lay("bolt", account("bolt", plan="none-such"))
    loop = place.start("--interval", "500ms", "--listen", "127.0.0.1:0")
    url = loop.says("Answering at")["url"]
    loop.says("bolt/bolt", "failed")
    place.sql("update domain set kind = 'unconfigured' where name = 'a.example.com'")
    loop.says("had drifted")

    def counted() -> dict[str, float]:
        lines = _asked(f"{url}/metrics")[1].splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    until(lambda: counted()["sendroute_drift_repaired_changes_total"] == 1, "the drift")
    counts = counted()
    assert counts["sendroute_accounts"] == 2
    assert counts["sendroute_domains"] == 2
    assert counts["sendroute_tree_good"] == 1
    assert counts["sendroute_store_up"] == 1
    assert counts["sendroute_consecutive_failures"] == 0
    assert counts['sendroute_findings{code="unknown-plan"}'] == 1
    assert counts['sendroute_unsettled_accounts{outcome="failed"}'] == 1
    assert counts['sendroute_account_reconciles_total{outcome="committed"}'] == 2
    assert counts["sendroute_last_success_timestamp_seconds"] == 0, "one account is not settled"
    (place.manifests / "bolt.yaml").unlink()
    loop.says("bolt/bolt is settled")
    until(lambda: counted()["sendroute_last_success_timestamp_seconds"] > 0, "success")
    until(lambda: counted()["sendroute_accounts"] == 1, "the new tree")
    assert 'sendroute_findings{code="unknown-plan"}' not in counted()
    assert not [name for name in counted() if "example.com" in name]


def test_a_branch_is_followed_and_its_commit_recorded(place: Place, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()

    def git(*words: str) -> str:
        own = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        done = subprocess.run(
            ["git", "-C", str(tree), *own, *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q", "-b", "main")
    (tree / "mail").mkdir()
    (tree / "mail/platform.yaml").write_text(PLATFORM)
    (tree / "mail/acme.yaml").write_text(account("acme", "a.example.com"))
    git("add", ".")
    git("commit", "-q", "-m", "one")
    words = ("--branch", "main", "--path", "mail", "--state-dir", str(tmp_path / "state"))
    loop = place.start(f"file://{tree}", *words)
    first = git("rev-parse", "HEAD")
    assert loop.says("Serving commit")["commit"] == first
    (tree / "mail/acme.yaml").write_text(account("acme", "a.example.com", plan="none-such"))
    git("commit", "-q", "-a", "-m", "two")
    line = loop.says("Account acme/acme failed")
    assert line["commit"] == git("rev-parse", "HEAD")
    (found,) = place.unsettled()["acme"]["findings"]
    assert found["place"] == "mail/acme.yaml:4:14", "from the repository's top"
    (tree / "mail/platform.yaml").write_text(PLATFORM + "more: [")
    git("commit", "-q", "-a", "-m", "three")
    line = loop.says("Invalid YAML")
    at = f"mail/platform.yaml:{PLATFORM.count(chr(10)) + 1}:"
    assert line["message"].startswith(at), "from there too, where it is wrong"
    loop.says("No MailPlatform could be read")
    assert loop.stop() == 0
    # A restart begins with the last tree that served, and repairs by it.
    place.sql("delete from domain")
    again = place.start(f"file://{tree}", *words)
    again.says("No MailPlatform could be read")
    again.says("Account acme/acme failed")
    again.stop()
    assert place.sql("select distinct source_commit from revision order by 1") == [
        (None,),
        (first,),
    ]


def _asked(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def test_without_its_key_it_says_so_and_goes_on_when_it_is_there(place: Place) -> None:
    key = place.folder / "sendroute.key"
    secret = place.folder / "secrets/acme/own"
    secret.mkdir(parents=True)
    for name in ("username", "password"):
        (secret / name).write_text("a-canary-word")
    kept = key.read_text()
    key.unlink()
    place.lay("acme", account("acme", "a.example.com", route="{profile: own}") + SIGNED_IN)
    loop = place.start("--secrets", "secrets")
    assert loop.says("The key of the credentials")["code"] == "key-missing"
    key.write_text(kept)
    key.chmod(0o600)
    loop.says("Rounds succeed again.")
    until(place.domains, "the domain")
    assert "canary" not in loop.all()
    assert len(loop.said("The key of the credentials")) == 1


def test_a_store_that_another_has_is_not_waited_for_once_for_each_account(place: Place) -> None:
    loop = place.start()
    loop.says("Serving")
    with closing(sqlite3.connect(place.folder / "sendroute.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        text = "---\n".join(account(f"a{n}", f"d.a{n}.example.com") for n in range(8))
        place.lay("all", text)
        loop.says("a2/a2", "in use by another writer")
        assert loop.says("is in use by another writer", times=4)["code"] == "store-locked"
        other.execute("ROLLBACK")
    assert not loop.said("a3/a3", "in use"), "the store was away, not eight accounts bad"
    until(lambda: len(place.domains()) == 8, "all of them")
    loop.says("The store answers again.")


def test_a_store_that_can_be_read_but_not_written_is_told_once_and_asked_less_and_less(
    place: Place,
) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start("--listen", "127.0.0.1:0", "-v")
    url = loop.says("Answering at")["url"]
    loop.says("acme/acme", "committed")
    refusal = "BEGIN SELECT raise(FAIL, 'no such luck'); END"
    for table in ("revision", "account_status"):
        place.sql(f"create trigger no_{table} before insert on {table} {refusal}")
    place.lay("acme", account("acme", "a.example.com", "b.example.com"))
    loop.says("Committing the plan of 1 accounts", times=4)
    assert _asked(f"{url}/readyz")[0] == 503
    loop.says("Committing the plan of 1 accounts", times=6)
    assert not loop.said("The store answers again.")
    told = [line for line in loop.lines if line.get("code") == "store-failed"]
    assert [line["level"] for line in told if line["level"] != "debug"] == ["error"]
    for table in ("revision", "account_status"):
        place.sql(f"drop trigger no_{table}")
    loop.says("The store answers again.")
    until(lambda: len(place.domains()) == 2, "the new domain")
    assert len(loop.said("The store answers again.")) == 1


def test_an_account_with_a_document_that_cannot_be_read_says_why_it_failed(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com", "b.example.com"))
    loop = place.start()
    loop.says("acme/acme", "committed")
    place.lay("acme", account("acme", "a.example.com", "b\x1b[31m.example.com"))
    line = loop.says("Account acme/acme failed")
    assert line["code"] == "yaml-syntax"
    assert "Invalid YAML" in line["message"]
    (found,) = place.unsettled()["acme"]["findings"]
    assert found["place"].startswith("manifests/acme.yaml:")


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
