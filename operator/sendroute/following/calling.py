"""Git as a program: told all that it must not do, ended at a deadline, never heard in raw."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sendroute.following.causes import DISK_FULL, Cause, cause_of, too_late, without_git
from sendroute.following.follower import EndedError

_PAUSE = 0.05
_GRACE = 1.0
"""Seconds between being asked to end and being killed: git takes its lock files away meanwhile."""
_HEARD = 1 << 16
"""What is read of git's errors, from their end: a server can send any amount."""

# No hook, no program that a repository or a URL names, no submodule, nothing in the background.
_NEVER = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
# What is fetched must outlast a loss of power, and one pack is written at once.
_ALWAYS = ("core.fsync=all", "fetch.unpackLimit=1", "core.symlinks=true")
# Of git's own variables those by which a person says how to reach a server: not where a repository
# is (as git tells its hooks), and nothing that traces what is sent.
_KEPT = ("GIT_ASKPASS", "GIT_SSH", "GIT_SSL_", "GIT_CONFIG", "GIT_HTTP_", "GIT_PROXY_", "GIT_EXEC_")
# Without the configuration of anybody, no filter is defined that a repository could ask for
# (gitattributes(5)): that is how LFS would come to run.
_NOBODYS = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


_under_way: set[int] = set()
"""The groups of the processes that are waited for."""


def end_all() -> None:
    """For who ends at once and comes to no end of its own, from any thread: nobody else would
    keep a deadline, and a git waits for a silent server for ever. What it leaves is cleared with
    the next start."""
    for group in tuple(_under_way):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


class GitFailedError(Exception):
    """Git said no. ``cause`` is None where its words were none of the known ones;
    ``is_of_the_call`` is true where it did not come to say anything."""

    def __init__(self, cause: Cause | None, *, is_of_the_call: bool = False) -> None:
        super().__init__("git failed")
        self.cause = cause
        self.is_of_the_call = is_of_the_call


class Git:
    """``folder`` is where it is started: no repository around it is taken for ours. ``timeout`` is
    in seconds, for each call. ``protocols`` are the ones that it may speak."""

    def __init__(self, folder: str, timeout: float, protocols: Sequence[str]) -> None:
        self._folder = folder
        self._timeout = timeout
        self._protocols = protocols

    def local(
        self,
        words: Sequence[str],
        ended: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """Work within our own repository, under nobody's configuration. Raises as ``run``; where
        the repository is damaged, the cause is None, whatever git calls it."""
        ours = {k: v for k, v in self._environment().items() if not k.startswith("GIT_CONFIG")}
        try:
            return self.run(words, ended, {**ours, **_NOBODYS, **(environment or {})})
        except GitFailedError as error:
            if error.is_of_the_call or error.cause is DISK_FULL:
                raise
            raise GitFailedError(None) from error

    def run(
        self,
        words: Sequence[str],
        ended: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
    ) -> bytes:
        """What a call prints. Raises ``GitFailedError`` where it fails or takes too long, and
        ``EndedError``; no process of its group is left then."""
        settings = [part for setting in (*_NEVER, *_ALWAYS) for part in ("-c", setting)]
        # Files, not pipes: a process that git leaves on purpose (a credential cache, a shared
        # connection of ssh) may hold them open for ever.
        with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    ["git", *settings, *words],
                    cwd=self._folder,
                    env=self._environment() if environment is None else environment,
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=said,
                    # A group of its own to kill; and no terminal, where ssh would ask.
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise GitFailedError(without_git(), is_of_the_call=True) from error
            if not _is_done(process, self._timeout, ended):
                raise GitFailedError(too_late(self._timeout), is_of_the_call=True)
            if process.returncode:
                size = said.seek(0, os.SEEK_END)
                said.seek(max(0, size - _HEARD))
                raise GitFailedError(cause_of(said.read().decode(errors="replace")))
            printed.seek(0)
            return printed.read()

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") or name.startswith(_KEPT)
        }
        return {
            **kept,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_CEILING_DIRECTORIES": os.path.dirname(self._folder),
            # Over what any configuration allows (git-config(1), protocol.allow).
            "GIT_ALLOW_PROTOCOL": ":".join(self._protocols),
            "LC_ALL": "C",
            "LANGUAGE": "",
        }


def _is_done(process: subprocess.Popen[bytes], timeout: float, ended: Callable[[], bool]) -> bool:
    """Waits; False where the deadline came first. Whatever ends the waiting ends the process."""
    until = time.monotonic() + timeout
    _under_way.add(process.pid)
    try:
        while process.poll() is None:
            if ended():
                raise EndedError
            if time.monotonic() >= until:
                return False
            try:
                process.wait(_PAUSE)
            except subprocess.TimeoutExpired:
                continue
        return True
    finally:
        if process.returncode is None:
            _kill(process)
        _under_way.discard(process.pid)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group: it is there at least until its first process is waited for (wait(2)), so no
    other group can have got its number."""
    _signal(process, signal.SIGTERM)
    until = time.monotonic() + _GRACE
    while time.monotonic() < until and not _has_ended(process):
        time.sleep(_PAUSE / 5)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # as macOS says of a group that has ended
        os.killpg(process.pid, number)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Without taking note of it, so that its number stays its own. (Python has no waitid on macOS
    before 3.13: there all of the grace is waited for.)"""
    if not hasattr(os, "waitid"):
        return False
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
