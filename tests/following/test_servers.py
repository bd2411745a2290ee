"""Over the network: git's own servers, and ones that refuse, hang and lie."""

import functools
import subprocess
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sendroute.following.follower import StoppedError
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError

from .conftest import Repository, RunOptions, never
from .servers import free_port, git_daemon, http, silent, wait_until


def refused(follower: object) -> Finding:
    with pytest.raises(ProblemError) as caught:
        follower.look(never)  # type: ignore[attr-defined]
    (found,) = caught.value.findings
    assert found.code == "source-unreachable"
    assert found.hint
    assert found.message.isprintable()
    return found


def processes_about(text: str) -> list[str]:
    """Command lines of processes that are alive and name it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it ended meanwhile
        if text in line:
            found.append(line)
    return found


def is_left_by_all(text: str) -> bool:
    """Whether nobody that names it is left: who is killed takes a moment to be gone."""
    end = time.monotonic() + 10
    while processes_about(text) and time.monotonic() < end:
        time.sleep(0.02)
    return not processes_about(text)


def test_by_gits_own_daemon(repository: Repository, following: RunOptions, tmp_path: Path) -> None:
    repository.commit(text="1")
    with git_daemon(tmp_path) as url:
        follower = following(f"{url}/origin")
        follower.look(never)
        commit = repository.commit(text="2")
        assert follower.look(never).commit == commit
        missing = following(f"{url}/missing", state="other")
        assert "no such repository" in refused(missing).message
    assert "connection to the host failed" in refused(follower).message


def test_by_http_with_a_credential_helper(
    repository: Repository, following: RunOptions, tmp_path: Path, home: Path
) -> None:
    commit = repository.commit()
    with http(tmp_path, password="canary-word") as url:
        follower = following(f"{url}/origin")
        assert "requires credentials" in refused(follower).message
        with (home / ".gitconfig").open("a") as config:
            config.write(
                '[credential]\nhelper = "!echo username=user; echo password=canary-word #"\n'
            )
        assert follower.look(never).commit == commit
        assert "no such repository" in refused(following(f"{url}/no", state="s2")).message


def test_by_http_that_knows_files_only(
    repository: Repository, following: RunOptions, tmp_path: Path
) -> None:
    """It cannot give a single commit: all of the branch is fetched."""
    repository.commit(text="1")
    commit = repository.commit(text="2")
    repository.git("clone", "-q", "--bare", str(repository.folder), str(tmp_path / "bare.git"))
    repository.git(f"--git-dir={tmp_path}/bare.git", "update-server-info")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            """Nothing."""

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/bare.git"
            assert following(url, branch="main").look(never).commit == commit
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        (401, b"", "requires credentials"),
        (403, b"", "requires credentials"),
        (404, b"", "no such repository"),
        (500, b"", "closed the connection"),
        (503, b"no space left on device", "closed the connection"),
        (200, b"<html>Please sign in</html>", "no commit on its default branch"),
    ],
)
def test_an_answer_that_is_none_is_told(
    following: RunOptions, tmp_path: Path, status: int, said: bytes, told: str
) -> None:
    with http(tmp_path, status=status, said=said) as url:
        assert told in refused(following(f"{url}/x")).message


def test_what_a_server_says_is_never_shown(following: RunOptions, tmp_path: Path) -> None:
    text = b"ERR \x1b[31mcanary-word no space left on device"
    said = b"001e# service=git-upload-pack\n0000%04x%s" % (len(text) + 4, text)
    with http(tmp_path, said=said) as url:
        found = refused(following(f"{url}/x"))
    assert "canary" not in f"{found}"


def test_a_port_where_nobody_listens(following: RunOptions) -> None:
    assert "does not take" in refused(following(f"https://127.0.0.1:{free_port()}/x")).message


def test_a_host_that_is_not_there(following: RunOptions) -> None:
    """RFC 6761, section 6.4: never found."""
    assert "host name cannot be resolved" in refused(following("https://host.invalid/x")).message


def test_a_server_that_never_answers_is_given_up_at_the_deadline(following: RunOptions) -> None:
    with silent() as port:
        before = time.monotonic()
        found = refused(following(f"http://127.0.0.1:{port}/x", timeout=0.5))
        assert time.monotonic() - before < 5
        assert "did not finish within 0.5 s" in found.message
        assert is_left_by_all(f"127.0.0.1:{port}")


def test_a_server_that_never_answers_is_given_up_at_the_end(following: RunOptions) -> None:
    with silent() as port:
        follower = following(f"http://127.0.0.1:{port}/x")
        with pytest.raises(StoppedError):
            follower.look(lambda: len(processes_about(f"127.0.0.1:{port}")) > 1)
        assert is_left_by_all(f"127.0.0.1:{port}")


def test_a_child_that_will_not_end_is_killed(
    following: RunOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an ssh that ignores being asked to."""
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do read x; sleep 0.1; done\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{ssh} {tmp_path}")
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    refused(following("git@host.invalid:x", timeout=0.5))
    assert wait_until(lambda: processes_about(f"{ssh} {tmp_path}") == [])


def test_a_child_that_is_left_on_purpose_holds_nothing_up(
    repository: Repository, following: RunOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ssh does with ControlPersist, errors' stream and all."""
    commit = repository.commit()
    left = tmp_path / "left"
    ssh = tmp_path / "ssh"
    ssh.write_text(
        f"#!/bin/sh\nsleep 60 & echo $! >{left}\nexec git upload-pack {repository.folder}\n"
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    monkeypatch.setenv("GIT_SSH_VARIANT", "simple")
    try:
        assert following("git@host.invalid:x", timeout=20).look(never).commit == commit
    finally:
        subprocess.run(["kill", left.read_text().strip()], check=False)


def test_without_git_it_is_told(
    following: RunOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git is not installed" in refused(following("https://host.invalid/x")).message


def test_an_old_git_is_told(
    following: RunOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.25.1\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert "git 2.25 is too old" in refused(following("https://host.invalid/x")).message
