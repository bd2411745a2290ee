"""A canary username and password must appear only in their secret and on the wire.

The tests search everything that a run prints or leaves behind, for the plain text and for the
forms in which secrets usually leak: base64 (as AUTH PLAIN and LOGIN send it), hex, URL and JSON
escapes.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from sendroute.cli import plan_source
from sendroute.cli.apply_plan import ApplyOptions, apply_planned
from sendroute.cli.session import Session, Terminal, Verbosity
from sendroute.model.connection import ConnectionPolicy, TestRequest, TestResult
from sendroute.runtime.settings import Settings
from sendroute.store.backups import backup_store
from sendroute.store.record import open_store

from .conftest import command, domain, environment
from .test_credentials import Shop, provider, shop

__all__ = ["provider", "shop"]

USERNAME, PASSWORD = "Canary-User-4f1c", 'Canary"Pass\\w0rd-ü-91'


def forms() -> Iterator[bytes]:
    plain = f"\0{USERNAME}\0{PASSWORD}".encode()
    yield b"w0rd-"  # however the other letters are escaped
    for value in (USERNAME.encode(), PASSWORD.encode()):
        yield value
        yield value.hex().encode()
        yield quote(value).encode()
        yield json.dumps(value.decode())[1:-1].encode()
        yield repr(value.decode())[1:-1].encode()
        # Base64 of a part of a longer text has three forms, by offset; its ends are not compared.
        for shift in range(3):
            yield base64.b64encode(b"x" * shift + value)[4 if shift else 0 : -4]
    yield base64.b64encode(plain)


FORMS = sorted(set(forms()))


def assert_no_secret(text: bytes, source: str) -> None:
    leaked = [form for form in FORMS if form in text]
    assert not leaked, f"{source} holds {leaked}"


def assert_no_secret_in_files(directory: Path, secrets: Path) -> None:
    for path in directory.rglob("*"):
        assert_no_secret(os.fsencode(path.name), "a file's name")
        if path.is_file() and secrets not in path.parents:
            assert_no_secret(path.read_bytes(), str(path))


@pytest.fixture
def canary(shop: Shop) -> Shop:
    shop.set_secret(PASSWORD, user=USERNAME)
    shop.accept_password(PASSWORD, user=USERNAME)
    return shop


def test_the_search_finds_a_secret_in_every_form() -> None:
    for text in (
        f"xx{PASSWORD}yy".encode(),
        base64.b64encode(f"user\0{USERNAME}\0{PASSWORD}".encode()),
        json.dumps({"password": PASSWORD}).encode(),
        repr(PASSWORD).encode(),
    ):
        with pytest.raises(AssertionError):
            assert_no_secret(text, "the text")


FORMATS = ("text", "json", "markdown", "html", "github", "sarif", "junit")


def run_all(shop: Shop, *commands: Sequence[str]) -> None:
    for arguments in commands:
        for options in ((), ("-v", "--log-format", "json")):
            result = shop.sendroute(*arguments, *options)
            assert_no_secret(f"{result.out}{result.err}".encode(), " ".join(arguments))


def test_no_command_prints_or_writes_the_secret_in_any_format(canary: Shop, tmp_path: Path) -> None:
    reports = [f"-o={form}={form}.out" for form in FORMATS[1:]]
    apply = ("apply", "manifests", "--auto-approve", "--write-lock", "sendroute.lock", *reports)
    plan = ("plan", "manifests", "--test-connections", "--out", "change.plan", *reports)
    reads = [
        ("validate", "manifests", *reports),
        ("routes", "-o", "json"),
        ("explain", "x@shop.example.com", "-o", "json"),
        ("history", "-o", "json"),
        ("status", "-o", "json"),
        ("export",),
        ("test", "--all", "-o", "json"),
        ("test", "--all"),
        ("rekey",),
    ]
    run_all(canary, plan, apply, *reads)
    assert canary.provider.offered_passwords.count(PASSWORD) >= 2, (
        "the password reached the provider"
    )
    assert_no_secret_in_files(tmp_path, canary.secret.parents[1])
    # Every failure that involves the secret.
    canary.provider.users.clear()
    lines = (PASSWORD + "\n\n", PASSWORD + "\0", PASSWORD * 4000, PASSWORD.encode() + b"\xff")
    for content in lines:
        data = content if isinstance(content, bytes) else content.encode()
        (canary.secret / "password").write_bytes(data)
        run_all(canary, plan, apply, ("test", "--all"))
    (canary.secret / "password").write_text(PASSWORD)
    (canary.secret / "username").write_text(f"{USERNAME}:x")
    run_all(canary, plan, apply)
    (canary.secret / "username").write_text(USERNAME)
    (canary.secret / "allowed-hosts").write_text(f"{PASSWORD}\n")
    run_all(canary, plan, apply, ("test", "--all"))
    Path("sendroute.key").write_text(f"{PASSWORD}\n{USERNAME}")
    run_all(canary, plan, apply, ("test", "--all"), ("rekey",))
    Path("sendroute.key").unlink()
    assert_no_secret_in_files(tmp_path, canary.secret.parents[1])


def test_the_store_its_log_and_its_backup_hold_the_secret_only_encrypted(
    canary: Shop, tmp_path: Path
) -> None:
    canary.apply()
    with open_store("sqlite:///./sendroute.db") as store:
        store.read()  # the log exists while a reader is connected
        canary.write(domain("acme", "more.example.com"))
        canary.apply()
        assert Path("sendroute.db-wal").exists()
        assert_no_secret_in_files(tmp_path, canary.secret.parents[1])
    backup_store("sqlite:///./sendroute.db", Path("backup.db"))
    assert_no_secret_in_files(tmp_path, canary.secret.parents[1])


def test_a_process_killed_while_it_authenticates_leaves_no_secret(
    canary: Shop, tmp_path: Path
) -> None:
    reached = threading.Event()
    released = threading.Event()

    def block() -> None:
        reached.set()
        released.wait(30)

    canary.provider.on_sign_in = block
    process = subprocess.Popen(
        command("apply", "manifests", "--auto-approve", "-v"),
        env=environment({"TMPDIR": str(tmp_path)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert reached.wait(30)
        cmdline = Path(f"/proc/{process.pid}/cmdline")
        if cmdline.exists():
            assert_no_secret(cmdline.read_bytes(), "the process list")
        process.send_signal(signal.SIGKILL)
        out, _ = process.communicate(timeout=30)
    finally:
        released.set()
        process.kill()
    assert_no_secret(out, "the output")
    assert_no_secret_in_files(tmp_path, canary.secret.parents[1])
    assert canary.domains() == []


def session_of(shop: Shop) -> Session:
    settings = Settings(secrets=str(shop.secret.parents[1]))
    return Session(settings, Terminal(Verbosity.VERBOSE, no_color=True))


def traceback_of(error: BaseException) -> bytes:
    """The traceback as debuggers and error trackers write it: with the variables of all frames."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(whole.format()).encode("utf-8", "backslashreplace")


class BrokenError(Exception):
    pass


def test_a_traceback_with_all_variables_does_not_hold_the_secret(
    canary: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(canary)

    def fail(requests: Sequence[TestRequest], policy: ConnectionPolicy) -> Sequence[TestResult]:
        assert requests[0].credential is not None
        raise BrokenError(f"{requests} {policy}")

    with open_store(session.settings.store) as store:
        options = plan_source.PlanOptions(saves=True)
        planned = plan_source.plan_paths(store, session, ["manifests"], options)
        reconciler = plan_source.reconciler_of(store, session, saves=True)
        with pytest.raises(BrokenError) as caught:
            replace(reconciler, tester=fail).confirmed(planned)
        assert_no_secret(traceback_of(caught.value), "a connection test that failed")
        planned, _ = reconciler.confirmed(planned)
        encrypted = planned.encrypt(planned.plan.accounts, planned.plan.platform)
        assert_no_secret(repr((planned, encrypted)).encode(), "a plan in full")

        def refuse(*_: Any) -> None:
            raise BrokenError(encrypted)

        monkeypatch.setattr(store, "commit", refuse)
        with pytest.raises(BrokenError) as caught:
            apply_planned(
                session, store, planned, ApplyOptions(approved=True, wait=None, lock=None)
            )
        assert_no_secret(traceback_of(caught.value), "a commit that failed")


def test_the_secret_is_in_no_argument_of_a_child_process(
    canary: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only git is started, to read the commit; no argument of it holds the secret."""
    run_git = ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.com"]
    for arguments in (["init", "-q"], ["add", "manifests"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*run_git, *arguments], check=True)
    spy = tmp_path / "bin"
    spy.mkdir()
    real = shutil.which("git")
    (spy / "git").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexec {real} "$@"\n')
    (spy / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy}:{os.environ['PATH']}")
    canary.apply()
    assert_no_secret((tmp_path / "asked").read_bytes(), "git's arguments")
