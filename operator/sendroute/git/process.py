"""How git is run: without hooks, prompts or background work, and with a deadline if it talks to a
server."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

from sendroute.git.failures import DISK_FULL, NOT_INSTALLED, Cause, cause_of, timed_out

_POLL_SECONDS = 0.05
_TERM_SECONDS = 1.0
"""Seconds between SIGTERM and SIGKILL: git removes its lock files in between."""
_MAX_STDERR = 1 << 16
"""Bytes of git's messages that are read, from the end: a server can send any amount."""

# For every call: no hook, no program that a repository or a URL specifies, no submodule, nothing in
# the background (git-config(1)).
_SAFE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
# For Sendroute's own repository: fetched objects survive a power failure, and are written as one
# pack.
_DURABLE = ("core.fsync=all", "fetch.unpackLimit=1", "core.symlinks=true")
# The GIT_ variables that say how to reach a server, and where git and its configuration are
# (git(1)). All others are dropped: those that point to a repository (git sets them for its hooks,
# githooks(5)) and those that trace what is sent.
_SERVER_VARIABLES = (
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSL_",
    "GIT_CONFIG",
    "GIT_HTTP_",
    "GIT_PROXY_",
    "GIT_EXEC_",
)
# In a working tree, also those that say how far git looks for a repository.
_DISCOVERY_VARIABLES = ("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_")
# Without the configuration of a user or the system no filter is defined that a repository could ask
# for (gitattributes(5)): Git LFS would run that way.
_NO_USER_CONFIG = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

_running: set[int] = set()
"""The process groups that a ``Git`` waits for."""


def end_all() -> None:
    """Kill every git that a :class:`Git` waits for. Safe to call from any thread.

    It is for a process that exits immediately: otherwise a git could wait for a silent server
    forever. The files of a killed git are removed at the next start.
    """
    for group in tuple(_running):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


class StoppedError(Exception):
    """``should_stop()`` became true: the work was stopped, and there is nothing to report."""


class GitFailedError(Exception):
    """git failed. ``cause`` is None if its messages match no known cause. ``is_of_the_call`` is
    true if git did not run to its end: it is not installed, or the deadline passed."""

    def __init__(self, cause: Cause | None, *, is_of_the_call: bool = False) -> None:
        super().__init__("git failed")
        self.cause = cause
        self.is_of_the_call = is_of_the_call


def start(
    arguments: Sequence[str], directory: str, *, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start a git command that only reads the user's repository; it takes no lock
    (``--no-optional-locks``, git(1)).

    Args:
        arguments: the command and its arguments.
        directory: where git looks for the repository.
        stdin: as for ``subprocess.Popen``.

    Returns:
        The process, with standard output as a pipe; git's own messages are dropped.

    Raises:
        OSError: git is not installed.
    """
    return _start(
        ["--no-optional-locks", "-C", directory, *arguments],
        _environment(_SERVER_VARIABLES + _DISCOVERY_VARIABLES),
        stdin=stdin,
    )


def output(arguments: Sequence[str], directory: str) -> bytes | None:
    """Run a git command that only reads the user's repository.

    Args:
        arguments: the command and its arguments.
        directory: where git looks for the repository.

    Returns:
        Its standard output; None if git fails or is not installed.
    """
    try:
        with start(arguments, directory) as process:
            printed, _ = process.communicate()
    except OSError:
        return None
    return printed if process.returncode == 0 else None


class Git:
    """Runs git for Sendroute's own repository, with a deadline.

    Args:
        directory: where git starts; a repository above it is never used.
        timeout: seconds, for each call.
        protocols: the transports that git may use.
    """

    def __init__(self, directory: str, timeout: float, protocols: Sequence[str]) -> None:
        self._directory = directory
        self._timeout = timeout
        self._protocols = protocols

    def local(
        self,
        arguments: Sequence[str],
        should_stop: Callable[[], bool],
        variables: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run a command in our own repository, without any user's configuration.

        Args:
            arguments: the command and its arguments.
            should_stop: checked while git runs.
            variables: environment variables in addition to the usual ones.

        Returns:
            What git prints.

        Raises:
            GitFailedError, StoppedError: as for :meth:`run`. If the repository is damaged, the
                cause is None, because git reports it in many ways.
        """
        environment = self._environment()
        inherited = {k: v for k, v in environment.items() if not k.startswith("GIT_CONFIG")}
        try:
            return self._run(
                arguments, should_stop, {**inherited, **_NO_USER_CONFIG, **(variables or {})}
            )
        except GitFailedError as error:
            if error.is_of_the_call or error.cause is DISK_FULL:
                raise
            raise GitFailedError(None) from error

    def run(self, arguments: Sequence[str], should_stop: Callable[[], bool]) -> bytes:
        """Run a command with the user's configuration.

        Args:
            arguments: the command and its arguments.
            should_stop: checked while git runs.

        Returns:
            What git prints.

        Raises:
            GitFailedError: git fails, is not installed, or takes too long.
            StoppedError: ``should_stop()`` became true. No process of the call's group is left.
        """
        return self._run(arguments, should_stop, self._environment())

    def _run(
        self,
        arguments: Sequence[str],
        should_stop: Callable[[], bool],
        environment: Mapping[str, str],
    ) -> bytes:
        # Files, not pipes: a process that git leaves running (a credential cache, a shared ssh
        # connection) may keep a pipe open forever.
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            try:
                process = _start(
                    ["-C", self._directory, *arguments],
                    environment,
                    settings=_DURABLE,
                    stdout=stdout,
                    stderr=stderr,
                    # A process group that can be killed, and no terminal for ssh to ask on.
                    new_session=True,
                )
            except FileNotFoundError as error:
                raise GitFailedError(NOT_INSTALLED, is_of_the_call=True) from error
            if not _ends_in_time(process, self._timeout, should_stop):
                raise GitFailedError(timed_out(self._timeout), is_of_the_call=True)
            if process.returncode:
                size = stderr.seek(0, os.SEEK_END)
                stderr.seek(max(0, size - _MAX_STDERR))
                raise GitFailedError(cause_of(stderr.read().decode(errors="replace")))
            stdout.seek(0)
            return stdout.read()

    def _environment(self) -> dict[str, str]:
        return {
            **_environment(_SERVER_VARIABLES),
            "GIT_CEILING_DIRECTORIES": os.path.dirname(self._directory),
            # Overrides what any configuration allows (git-config(1), protocol.allow).
            "GIT_ALLOW_PROTOCOL": ":".join(self._protocols),
        }


def _environment(prefixes: tuple[str, ...]) -> dict[str, str]:
    """The environment without git's own variables, except those whose names begin as in
    ``prefixes``."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(prefixes)
    }
    # No question on the terminal, objects as they were committed, and messages in English.
    return {
        **variables,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C",
        "LANGUAGE": "",
    }


def _start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    settings: Sequence[str] = (),
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    new_session: bool = False,
) -> subprocess.Popen[bytes]:
    """The only place where git is started."""
    options = [part for setting in (*_SAFE, *settings) for part in ("-c", setting)]
    return subprocess.Popen(
        ["git", *options, *arguments],
        env=environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=new_session,
    )


def _ends_in_time(
    process: subprocess.Popen[bytes], timeout: float, should_stop: Callable[[], bool]
) -> bool:
    """Wait for a process; False if the deadline passes first. The process has ended in every
    case."""
    deadline = time.monotonic() + timeout
    _running.add(process.pid)
    try:
        while process.poll() is None:
            if should_stop():
                raise StoppedError
            if time.monotonic() >= deadline:
                return False
            try:
                process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        return True
    finally:
        if process.returncode is None:
            _kill(process)
        _running.discard(process.pid)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole group. It exists at least until its first process is waited for (wait(2)), so
    no other group can have its number."""
    _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + _TERM_SECONDS
    while time.monotonic() < deadline and not _has_ended(process):
        time.sleep(_POLL_SECONDS / 5)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS: the group has ended
        os.killpg(process.pid, number)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Check without waiting for it, so that its number is not reused. (Python has no waitid on
    macOS before 3.13: there the whole of ``_TERM_SECONDS`` passes.)"""
    if not hasattr(os, "waitid"):
        return False
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
