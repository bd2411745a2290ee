"""A canary for a username and a password: it is nowhere but in its secret and on the wire.

Everything that a run prints or leaves behind is searched, in clear and in the forms in which a
secret usually gets about: base64 (as AUTH PLAIN and LOGIN send it), hex, URL and JSON escapes.
"""

import base64
import json
import os
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

from sendroute.cli import planning
from sendroute.cli.applying import ApplyOptions, apply_planned
from sendroute.cli.session import Session, Terminal, Verbosity
from sendroute.model.connection import ConnectionPolicy, TestRequest, TestResult
from sendroute.runtime.settings import Settings
from sendroute.store.backups import backup_store
from sendroute.store.record import open_store

from .conftest import command, domain, environment
from .test_credentials import Shop, provider, shop

__all__ = ["provider", "shop"]

NAME, WORD = "Canary-User-4f1c", 'Canary"Pass\\w0rd-ü-91'


def forms() -> Iterator[bytes]:
    plain = f"\0{NAME}\0{WORD}".encode()
    yield b"w0rd-"  # whatever its other letters were escaped to
    for value in (NAME.encode(), WORD.encode()):
        yield value
        yield value.hex().encode()
        yield quote(value).encode()
        yield json.dumps(value.decode())[1:-1].encode()
        yield repr(value.decode())[1:-1].encode()
        # Wherever in a longer text it stands: its base64 has one of three shapes, less its ends.
        for shift in range(3):
            yield base64.b64encode(b"x" * shift + value)[4 if shift else 0 : -4]
    yield base64.b64encode(plain)


FORMS = sorted(set(forms()))


def assert_silent(text: bytes, where: str) -> None:
    found = [form for form in FORMS if form in text]
    assert not found, f"{where} holds {found}"


def assert_nothing_left(folder: Path, secrets: Path) -> None:
    for path in folder.rglob("*"):
        assert_silent(os.fsencode(path.name), "a file's name")
        if path.is_file() and secrets not in path.parents:
            assert_silent(path.read_bytes(), str(path))


@pytest.fixture
def canary(shop: Shop) -> Shop:
    shop.say(WORD, user=NAME)
    shop.accept(WORD, user=NAME)
    return shop


def test_the_search_finds_what_it_seeks() -> None:
    for text in (
        f"xx{WORD}yy".encode(),
        base64.b64encode(f"user\0{NAME}\0{WORD}".encode()),
        json.dumps({"password": WORD}).encode(),
        repr(WORD).encode(),
    ):
        with pytest.raises(AssertionError):
            assert_silent(text, "it")


FORMATS = ("text", "json", "markdown", "html", "github", "sarif", "junit")


def run_all(shop: Shop, *sets: Sequence[str]) -> None:
    for words in sets:
        for how in ((), ("-v", "--log-format", "json")):
            ran = shop.sendroute(*words, *how)
            assert_silent(f"{ran.out}{ran.err}".encode(), " ".join(words))


def test_no_command_in_no_format_tells_it(canary: Shop, tmp_path: Path) -> None:
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
    assert canary.provider.seen.count(WORD) >= 2, "it did reach the provider"
    assert_nothing_left(tmp_path, canary.secret.parents[1])
    # All that goes wrong with it.
    canary.provider.users.clear()
    lines = (WORD + "\n\n", WORD + "\0", WORD * 4000, WORD.encode() + b"\xff")
    for content in lines:
        data = content if isinstance(content, bytes) else content.encode()
        (canary.secret / "password").write_bytes(data)
        run_all(canary, plan, apply, ("test", "--all"))
    (canary.secret / "password").write_text(WORD)
    (canary.secret / "username").write_text(f"{NAME}:x")
    run_all(canary, plan, apply)
    (canary.secret / "username").write_text(NAME)
    (canary.secret / "allowed-hosts").write_text(f"{WORD}\n")
    run_all(canary, plan, apply, ("test", "--all"))
    Path("sendroute.key").write_text(f"{WORD}\n{NAME}")
    run_all(canary, plan, apply, ("test", "--all"), ("rekey",))
    Path("sendroute.key").unlink()
    assert_nothing_left(tmp_path, canary.secret.parents[1])


def test_the_store_its_log_and_its_backup_hold_it_sealed_only(canary: Shop, tmp_path: Path) -> None:
    canary.apply()
    with open_store("sqlite:///./sendroute.db") as store:
        store.read()  # the log is there while somebody reads
        canary.write(domain("acme", "more.example.com"))
        canary.apply()
        assert Path("sendroute.db-wal").exists()
        assert_nothing_left(tmp_path, canary.secret.parents[1])
    backup_store("sqlite:///./sendroute.db", Path("backup.db"))
    assert_nothing_left(tmp_path, canary.secret.parents[1])


def test_a_process_that_is_killed_while_it_signs_in_leaves_nothing(
    canary: Shop, tmp_path: Path
) -> None:
    reached = threading.Event()
    current = threading.Event()

    def hold() -> None:
        reached.set()
        current.wait(30)

    canary.provider.on_sign_in = hold
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
            assert_silent(cmdline.read_bytes(), "the process list")
        process.send_signal(signal.SIGKILL)
        out, _ = process.communicate(timeout=30)
    finally:
        current.set()
        process.kill()
    assert_silent(out, "what it printed")
    assert_nothing_left(tmp_path, canary.secret.parents[1])
    assert canary.domains() == []


def session_of(shop: Shop) -> Session:
    settings = Settings(secrets=str(shop.secret.parents[1]))
    return Session(settings, Terminal(Verbosity.VERBOSE, no_color=True))


def told_of(error: BaseException) -> bytes:
    """A traceback as debuggers and error trackers write it: with every frame's variables."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(whole.format()).encode("utf-8", "backslashreplace")


class BrokenError(Exception):
    pass


def test_a_traceback_with_every_variable_does_not_hold_it(
    canary: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(canary)

    def broken(requests: Sequence[TestRequest], policy: ConnectionPolicy) -> Sequence[TestResult]:
        assert requests[0].credential is not None
        raise BrokenError(f"{requests} {policy}")

    with open_store(session.settings.store) as store:
        options = planning.PlanOptions(saves=True)
        planned = planning.plan_paths(store, session, ["manifests"], options)
        reconciler = planning.reconciler_of(store, session, saves=True)
        with pytest.raises(BrokenError) as caught:
            replace(reconciler, tester=broken).confirmed(planned)
        assert_silent(told_of(caught.value), "a test that broke")
        planned, _ = reconciler.confirmed(planned)
        sealed = planned.seal(planned.plan.accounts, planned.plan.platform)
        assert_silent(repr((planned, sealed)).encode(), "a plan in full")

        def refuse(*_: Any) -> None:
            raise BrokenError(sealed)

        monkeypatch.setattr(store, "commit", refuse)
        with pytest.raises(BrokenError) as caught:
            apply_planned(
                session, store, planned, ApplyOptions(approved=True, wait=None, lock=None)
            )
        assert_silent(told_of(caught.value), "a commit that broke")


def test_nothing_of_it_is_in_the_environment_of_what_we_start(
    canary: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """git is asked for the commit: it gets the variables, but tells none, and no argument."""
    spy = tmp_path / "bin"
    spy.mkdir()
    (spy / "git").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexit 1\n')
    (spy / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy}:{os.environ['PATH']}")
    canary.apply()
    assert_silent((tmp_path / "asked").read_bytes(), "git's arguments")
