"""Polls over the network: git's servers, and servers that refuse, hang or send invalid data."""

import functools
import os
import subprocess
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.private_server import free_port

from sendroute.following.follower import StoppedError
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError

from .conftest import Follow, Repository, never
from .servers import git_daemon, http, silent, wait_until


def refused(follower: object) -> Finding:
    with pytest.raises(ProblemError) as caught:
        follower.poll(never)  # type: ignore[attr-defined]
    (finding,) = caught.value.findings
    assert finding.code == "source-unreachable"
    assert finding.hint
    assert finding.message.isprintable()
    return finding


def processes_with(text: str) -> list[str]:
    """The command lines of running processes that contain a text."""
    lines = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            line = os.fsdecode((directory / "cmdline").read_bytes().replace(b"\0", b" "))
        except OSError:
            continue  # it ended meanwhile
        if text in line:
            lines.append(line)
    return lines


def all_have_ended(text: str) -> bool:
    """Whether no such process is left; a killed process takes a moment to disappear."""
    end = time.monotonic() + 10
    while processes_with(text) and time.monotonic() < end:
        time.sleep(0.02)
    return not processes_with(text)


def test_git_daemon(repository: Repository, following: Follow, tmp_path: Path) -> None:
    repository.commit(text="1")
    with git_daemon(tmp_path) as url:
        follower = following(f"{url}/origin")
        follower.poll(never)
        commit = repository.commit(text="2")
        assert follower.poll(never).commit == commit
        missing = following(f"{url}/missing", state="other")
        assert "the repository does not exist" in refused(missing).message
    assert "connection to the host failed" in refused(follower).message


def test_http_with_a_credential_helper(
    repository: Repository, following: Follow, tmp_path: Path, home: Path
) -> None:
    commit = repository.commit()
    with http(tmp_path, password="canary-word") as url:
        follower = following(f"{url}/origin")
        assert "requires credentials" in refused(follower).message
        with (home / ".gitconfig").open("a") as config:
            config.write(
                '[credential]\nhelper = "!echo username=user; echo password=canary-word #"\n'
            )
        assert follower.poll(never).commit == commit
        assert (
            "the repository does not exist" in refused(following(f"{url}/no", state="s2")).message
        )


def test_http_without_git(repository: Repository, following: Follow, tmp_path: Path) -> None:
    """The server cannot serve a shallow clone: the whole branch is fetched."""
    repository.commit(text="1")
    commit = repository.commit(text="2")
    repository.git("clone", "-q", "--bare", str(repository.directory), str(tmp_path / "bare.git"))
    repository.git(f"--git-dir={tmp_path}/bare.git", "update-server-info")

    class SilentHandler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            """Log nothing."""

    handler = functools.partial(SilentHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/bare.git"
            assert following(url, branch="main").poll(never).commit == commit
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, b"", "requires credentials"),
        (403, b"", "requires credentials"),
        (404, b"", "the repository does not exist"),
        (500, b"", "closed the connection"),
        (503, b"no space pid_file on device", "closed the connection"),
        (200, b"<html>Please sign in</html>", "no commit on its default branch"),
    ],
)
def test_an_invalid_answer_is_reported(
    following: Follow, tmp_path: Path, status: int, body: bytes, reason: str
) -> None:
    with http(tmp_path, status=status, body=body) as url:
        assert reason in refused(following(f"{url}/x")).message


def test_text_of_a_server_is_never_shown(following: Follow, tmp_path: Path) -> None:
    text = b"ERR \x1b[31mcanary-word no space pid_file on device"
    body = b"001e# service=git-upload-pack\n0000%04x%s" % (len(text) + 4, text)
    with http(tmp_path, body=body) as url:
        finding = refused(following(f"{url}/x"))
    assert "canary" not in f"{finding}"


def test_a_closed_port_is_reported(following: Follow) -> None:
    assert (
        "connection to the host failed"
        in refused(following(f"https://127.0.0.1:{free_port()}/x")).message
    )


def test_an_unknown_host_is_reported(following: Follow) -> None:
    """RFC 6761, section 6.4: .invalid never resolves."""
    assert "host name cannot be resolved" in refused(following("https://host.invalid/x")).message


def test_a_silent_server_fails_at_the_deadline(following: Follow) -> None:
    with silent() as port:
        before = time.monotonic()
        finding = refused(following(f"http://127.0.0.1:{port}/x", timeout=0.5))
        assert time.monotonic() - before < 5
        assert "did not finish within 0.5 s" in finding.message
        assert all_have_ended(f"127.0.0.1:{port}")


def test_a_poll_of_a_silent_server_ends_when_should_stop_is_true(following: Follow) -> None:
    with silent() as port:
        follower = following(f"http://127.0.0.1:{port}/x")
        with pytest.raises(StoppedError):
            follower.poll(lambda: len(processes_with(f"127.0.0.1:{port}")) > 1)
        assert all_have_ended(f"127.0.0.1:{port}")


def test_a_child_that_ignores_sigterm_is_killed(
    following: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like an ssh that ignores signals."""
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do read x; sleep 0.1; done\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{ssh} {tmp_path}")
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    refused(following("git@host.invalid:x", timeout=0.5))
    assert wait_until(lambda: processes_with(f"{ssh} {tmp_path}") == [])


def test_a_background_child_does_not_delay_a_fetch(
    repository: Repository, following: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ssh starts one with ControlPersist; it holds standard error open."""
    commit = repository.commit()
    pid_file = tmp_path / "pid_file"
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f"#!/bin/sh\nsleep 60 & echo $! >{pid_file}\nexec git upload-pack {repository.directory}\n"
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    try:
        assert following("git@host.invalid:x", timeout=20).poll(never).commit == commit
    finally:
        subprocess.run(["kill", pid_file.read_text().strip()], check=False)


def test_a_missing_git_is_reported(
    following: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git is not installed" in refused(following("https://host.invalid/x")).message


def test_an_old_git_is_reported(
    following: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.25.1\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert "git 2.25 is too old" in refused(following("https://host.invalid/x")).message
