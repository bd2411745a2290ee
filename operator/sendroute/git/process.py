"""How git is run.

Every call has a configuration and an environment of our own. git executes nothing that a
repository, its configuration or a URL names: no hook, no file system monitor, no filter, no
external diff, no submodule's command, no program of a transport that was not asked for.
"""

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader, RawIOBase
from typing import IO, NamedTuple

from sendroute.git.failures import (
    DISK_FULL,
    NO_ANSWER,
    NO_SSH_KEYGEN,
    NOT_INSTALLED,
    TOO_LONG_OUTPUT,
    TOO_MANY_BYTES,
    TOO_MUCH_MEMORY,
    FailureCause,
    GitFailedError,
    cause_of,
    timed_out,
)
from sendroute.model.child_environment import child_environment, is_ours

_POLL_SECONDS = 0.05
_ANSWER_SECONDS = 300.0
"""Seconds for an answer about the user's repository. git may wait for a named pipe in it forever;
no answer of a repository on a slow disk takes as long."""
_TERM_SECONDS = 1.0
"""Seconds between SIGTERM and SIGKILL: git removes its lock files in between."""
_MAX_OUTPUT = 1 << 20
"""Bytes that git may print: more than any answer that is not about a whole tree."""
MAX_TREE_OUTPUT = 256 << 20
"""Bytes that git may print about a whole tree, which is limited by itself."""
_MAX_STDERR = 1 << 16
"""Bytes of git's messages that are read, from the end: a server can send any amount."""

# For every call (git-config(1)). A directory that only looks like a bare repository is none: a
# commit may hold any files, also those named HEAD, config, objects and refs.
_SAFE = (
    "safe.bareRepository=explicit",
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
# What git needs to read a repository, besides PATH: where the user's configuration and temporary
# files are; who the user is, for safe.directory. Nothing else of our own environment is passed: it
# holds secrets.
_READING_VARIABLES = frozenset(
    {
        "HOME",
        "USER",
        "LOGNAME",
        "SUDO_UID",
        "TMPDIR",
        "TZ",
        "XDG_CONFIG_HOME",
        "GIT_TEST_ASSUME_DIFFERENT_OWNER",
    }
)
_CONFIG_VARIABLES = ("GIT_CONFIG", "GIT_EXEC_")
# The GIT_ variables that say how to reach a server, and where git and its configuration are
# (git(1)). All others are dropped: those that point to a repository (git sets them for its hooks,
# githooks(5)) and those that trace what is sent.
_SERVER_VARIABLES = (
    *_CONFIG_VARIABLES,
    "GIT_ASKPASS",
    "GIT_SSH",
    "GIT_SSL_",
    "GIT_HTTP_",
    "GIT_PROXY_",
)
# Without the configuration of a user or the system no filter is defined that a repository could ask
# for (gitattributes(5)): Git LFS would run that way.
_NO_USER_CONFIG = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

# Failures of a call in our own repository that do not mean that it is damaged.
_NO_DAMAGE = (DISK_FULL, TOO_LONG_OUTPUT, TOO_MUCH_MEMORY, TOO_MANY_BYTES)

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


Process = subprocess.Popen[bytes]


class ProcessLimits(NamedTuple):
    """What one process may use: bytes of memory, and bytes of each file that it writes. None is no
    limit."""

    memory: int | None = None
    file_size: int | None = None


def start(
    arguments: Sequence[str],
    directory: str,
    *,
    piped: bool = False,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
) -> Process:
    """Start a git command that only reads the user's repository. It takes no lock
    (``--no-optional-locks``, git(1)) and contacts no server, also if the repository is a partial
    clone (gitglossary(7), promisor).

    Args:
        arguments: the command and its arguments.
        directory: where git runs.
        piped: whether standard input is a pipe; otherwise it is empty.
        stderr: where git's own messages go; they are dropped otherwise.

    Returns:
        The process, with standard output as a pipe.

    Raises:
        GitFailedError: git is not installed.
    """
    return _start(
        ["git", *_settings(_SAFE), "--no-optional-locks", "-C", directory, *arguments],
        _reading_environment(),
        stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
        stderr=stderr,
    )


def output(arguments: Sequence[str], directory: str) -> bytes:
    """Run a git command that only reads the user's repository; see :func:`start`.

    Args:
        arguments: the command and its arguments.
        directory: where git runs.

    Returns:
        Its standard output.

    Raises:
        GitFailedError: git fails, is not installed, or does not answer.
    """
    with tempfile.TemporaryFile() as stderr:
        with start(arguments, directory, stderr=stderr) as process:
            [printed] = answers(process)
        if process.returncode:
            raise GitFailedError(_cause(stderr))
    return printed


def answers(*processes: Process) -> list[bytes]:
    """Read everything that some processes print.

    Args:
        processes: what :func:`start` returned; they may run at the same time.

    Returns:
        Their standard outputs.

    Raises:
        GitFailedError: one of them does not end in time. Then all are killed.
    """
    try:
        return [process.communicate(timeout=_ANSWER_SECONDS)[0] for process in processes]
    except subprocess.TimeoutExpired as error:
        for process in processes:
            process.kill()
        raise GitFailedError(NO_ANSWER, is_of_the_call=True) from error


@contextmanager
def conversation(process: Process) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """A context with a process that answers request after request. It has ended when the block
    ends, and is killed if the block fails or is left early.

    Args:
        process: what :func:`start` returned, with a pipe as standard input.

    Yields:
        Its standard input, and its standard output. Reading raises :class:`GitFailedError` if it
        does not answer in time.
    """
    requests, printed = process.stdin, process.stdout
    assert requests is not None  # noqa: S101 - a pipe, as the caller must choose
    assert printed is not None  # noqa: S101 - a pipe, because start() makes it one
    with process:
        try:
            yield requests, BufferedReader(_Answers(printed.fileno()))
        except BaseException:  # also if nobody wants the other answers
            process.kill()
            raise


class _Answers(RawIOBase):
    """What a process prints into a pipe, which is waited for as long as for any other answer."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        ready = select.poll()
        ready.register(self._pipe, select.POLLIN)
        if not ready.poll(_ANSWER_SECONDS * 1000):
            raise GitFailedError(NO_ANSWER, is_of_the_call=True)
        return os.readv(self._pipe, [buffer])


class Git:
    """Runs git for Sendroute's own repository, with a deadline.

    Args:
        directory: where git starts; a repository above it is never used.
        timeout: seconds, for each call.
        protocols: the transports that git may use.
        limits: what each process may use; applied on Linux.
    """

    def __init__(
        self,
        directory: str,
        timeout: float,
        protocols: Sequence[str],
        limits: ProcessLimits = ProcessLimits(),  # noqa: B008 - it is immutable
    ) -> None:
        self._directory = directory
        self._timeout = timeout
        self._protocols = protocols
        self._limits = limits

    def local(
        self,
        arguments: Sequence[str],
        should_stop: Callable[[], bool],
        variables: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        max_output: int = _MAX_OUTPUT,
    ) -> bytes:
        """Run a command in our own repository, without any user's configuration.

        Args:
            arguments: the command and its arguments.
            should_stop: checked while git runs.
            variables: environment variables in addition to the usual ones.
            stdin: the standard input.
            max_output: how many bytes it may print.

        Returns:
            What git prints.

        Raises:
            GitFailedError, StoppedError: as for :meth:`run`. If the repository is damaged, the
                cause is None, because git reports it in many ways.
        """
        environment = {**self._local_environment(), **(variables or {})}
        try:
            command = self._command(arguments)
            return self._run(command, should_stop, environment, stdin, max_output)
        except GitFailedError as error:
            if error.is_of_the_call or error.cause in _NO_DAMAGE:
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
            GitFailedError: git fails, is not installed, needs more memory or disk than it may use,
                prints more than an answer is long, or takes too long.
            StoppedError: ``should_stop()`` became true. No process of the call's group is left.
        """
        return self._run(self._command(arguments), should_stop, self._server_environment())

    def lines(
        self, arguments: Sequence[str], should_stop: Callable[[], bool]
    ) -> Generator[bytes, None, None]:
        """Run a command in our own repository that prints lines which end with NUL, and yield each
        line as soon as it is printed. Close the iterator to end git early: what a repository
        unfolds to has no limit.

        Args:
            arguments: the command and its arguments.
            should_stop: checked while git runs.

        Yields:
            The lines, without the NUL.

        Raises:
            GitFailedError, StoppedError: as for :meth:`local`.
        """
        deadline = time.monotonic() + self._timeout
        with (
            tempfile.TemporaryFile() as stderr,
            self._started(
                self._command(arguments), self._local_environment(), stderr=stderr
            ) as process,
        ):
            stdout = process.stdout
            assert stdout is not None  # noqa: S101 - a pipe, because no file is given
            rest = b""
            while True:
                _check(deadline, self._timeout, should_stop)
                if not select.select([stdout], [], [], _POLL_SECONDS)[0]:
                    continue
                data = os.read(stdout.fileno(), 1 << 16)
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\0")
                yield from lines
            _wait(process, deadline, self._timeout, should_stop)
            if process.returncode:
                cause = _cause(stderr, process.returncode)
                raise GitFailedError(cause if cause in _NO_DAMAGE else None)

    def ssh_keygen(
        self, arguments: Sequence[str], should_stop: Callable[[], bool], stdin: bytes = b""
    ) -> bytes:
        """Run ssh-keygen(1), which verifies ssh signatures.

        Args:
            arguments: its arguments.
            should_stop: checked while it runs.
            stdin: its standard input.

        Returns:
            What it prints.

        Raises:
            GitFailedError: it fails, or is not installed.
            StoppedError: ``should_stop()`` became true.
        """
        environment = _reading_environment()
        return self._run(["ssh-keygen", *arguments], should_stop, environment, stdin)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return ["git", *_settings(_SAFE + _DURABLE), "-C", self._directory, *arguments]

    def _run(
        self,
        command: Sequence[str],
        should_stop: Callable[[], bool],
        environment: Mapping[str, str],
        stdin: bytes = b"",
        max_output: int = _MAX_OUTPUT,
    ) -> bytes:
        # Files, not pipes: a process that git leaves running (a credential cache, a shared ssh
        # connection) may keep a pipe open forever.
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as stdout,
            tempfile.TemporaryFile() as stderr,
        ):
            given.write(stdin)
            given.seek(0)
            deadline = time.monotonic() + self._timeout
            with self._started(
                command, environment, stdin=given, stdout=stdout, stderr=stderr
            ) as process:
                _wait(
                    process,
                    deadline,
                    self._timeout,
                    should_stop,
                    lambda: _check_size(stdout, max_output),
                )
            _check_size(stdout, max_output)
            if process.returncode:
                raise GitFailedError(_cause(stderr, process.returncode))
            stdout.seek(0)
            return stdout.read()

    @contextmanager
    def _started(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int | IO[bytes] = subprocess.DEVNULL,
    ) -> Iterator[Process]:
        """A process in a group of its own. The group has ended when the block ends."""
        _require(command[0], environment)
        process = _start(
            _limited(command, self._limits),
            environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            # A process group that can be killed, and no terminal for ssh to ask on.
            new_session=True,
        )
        _running.add(process.pid)
        try:
            yield process
        finally:
            if process.returncode is None:
                _kill(process)
            _running.discard(process.pid)
            if process.stdout is not None:
                process.stdout.close()

    def _local_environment(self) -> dict[str, str]:
        return {**self._restricted(_reading_environment()), **_NO_USER_CONFIG}

    def _server_environment(self) -> dict[str, str]:
        return self._restricted(_environment(_is_for_servers))

    def _restricted(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {
            **environment,
            "GIT_CEILING_DIRECTORIES": os.path.dirname(self._directory),
            # Overrides what any configuration allows (git-config(1), protocol.allow).
            "GIT_ALLOW_PROTOCOL": ":".join(self._protocols),
        }


def _is_for_reading(name: str) -> bool:
    return name in _READING_VARIABLES or name.startswith(_CONFIG_VARIABLES)


def _is_for_servers(name: str) -> bool:
    if name.startswith("GIT_"):
        return name.startswith(_SERVER_VARIABLES)
    # git starts the user's own ssh and credential helpers, which may need any variable but ours.
    return not is_ours(name)


def _environment(is_passed: Callable[[str], bool]) -> dict[str, str]:
    """The variables of our own environment that git gets, and ours for it."""
    # No question on the terminal, objects as they were committed and only those that are here, and
    # messages in English.
    return {
        **child_environment(os.environ, is_passed),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "LC_ALL": "C",
        "LANGUAGE": "",
    }


def _reading_environment() -> dict[str, str]:
    # No transport at all: a git that does not know GIT_NO_LAZY_FETCH (before 2.45) would use one.
    return {**_environment(_is_for_reading), "GIT_ALLOW_PROTOCOL": ""}


def _settings(settings: Sequence[str]) -> list[str]:
    return [part for setting in settings for part in ("-c", setting)]


def _start(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    new_session: bool = False,
) -> Process:
    try:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=new_session,
        )
    except OSError as error:
        raise GitFailedError(NOT_INSTALLED, is_of_the_call=True) from error


def _require(program: str, environment: Mapping[str, str]) -> None:
    if shutil.which(program, path=environment["PATH"]) is None:
        missing = NOT_INSTALLED if program == "git" else NO_SSH_KEYGEN
        raise GitFailedError(missing, is_of_the_call=True)


def _limited(command: Sequence[str], limits: ProcessLimits) -> list[str]:
    """A command that limits itself, and what it starts, before it begins (sh(1), ulimit). Writable
    memory is limited, not the address space, of which git maps whole packs (getrlimit(2),
    RLIMIT_DATA). A system without one of the limits is no error."""
    flags = []
    if limits.memory is not None:
        flags.append(f"-d {limits.memory // 1024}")  # in KiB
    if limits.file_size is not None:
        flags.append(f"-f {limits.file_size // 512}")  # in blocks of 512 bytes
    if not flags:
        return list(command)
    script = "".join(f"ulimit {flag} 2>/dev/null; " for flag in flags) + 'exec "$0" "$@"'
    return ["/bin/sh", "-c", script, *command]


def _cause(stderr: IO[bytes], status: int = 1) -> FailureCause | None:
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - _MAX_STDERR))
    if status == -signal.SIGXFSZ:
        return TOO_MANY_BYTES
    return cause_of(stderr.read().decode(errors="replace"))


def _wait(
    process: Process,
    deadline: float,
    timeout: float,
    should_stop: Callable[[], bool],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Wait until a process has ended. ``check`` raises if it must be killed."""
    while process.poll() is None:
        _check(deadline, timeout, should_stop)
        check()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)


def _check(deadline: float, timeout: float, should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise StoppedError
    if time.monotonic() >= deadline:
        raise GitFailedError(timed_out(timeout), is_of_the_call=True)


def _check_size(stdout: IO[bytes], max_output: int) -> None:
    if os.fstat(stdout.fileno()).st_size > max_output:
        raise GitFailedError(TOO_LONG_OUTPUT)


def _kill(process: Process) -> None:
    """Kill the whole group. It exists at least until its first process is waited for (wait(2)), so
    no other group can have its number."""
    _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + _TERM_SECONDS
    while time.monotonic() < deadline and not _has_ended(process):
        time.sleep(_POLL_SECONDS / 5)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS: the group has ended
        os.killpg(process.pid, number)


def _has_ended(process: Process) -> bool:
    """Check without waiting for it, so that its number is not reused. (Python has no waitid on
    macOS before 3.13: there the whole of ``_TERM_SECONDS`` passes.)"""
    if not hasattr(os, "waitid"):
        return False
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
