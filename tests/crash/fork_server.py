"""Starts hundreds of commands quickly: a server process that has imported every module forks a
child for each command, so that a start takes milliseconds.

The server is a separate process, because a process with threads (like pytest) must not fork. Run as
a program, it reads one JSON request per line and answers with one number per line.
"""

import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Self

SOURCE = str(Path(__file__).parents[2] / "operator")
DEADLINE = 60.0

# Modules that SQLAlchemy imports by computed names.
_DYNAMIC_IMPORTS = ("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg")


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal (proc(5), SigCgt). Without one it ends at
    once."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = status.partition("SigCgt:")[2].split(maxsplit=1)[0]
    return bool(int(caught, 16) >> (number - 1) & 1)


class ForkedProcess:
    """A child that leads a session and writes all output to ``output_path``."""

    def __init__(self, fork_server: "ForkServer", pid: int, output_path: Path) -> None:
        self._fork_server = fork_server
        self.pid = pid
        self.output_path = output_path
        self.status: int | None = None
        self.started_at = time.monotonic()

    def has_ended(self) -> bool:
        if self.status is None:
            self.status = self._fork_server.reap(self.pid, wait=False)
        return self.status is not None

    def wait(self) -> int:
        """Wait for the end; return the exit status, or the negated number of the signal."""
        deadline = time.monotonic() + DEADLINE
        while not self.has_ended():
            assert time.monotonic() < deadline, f"the process did not end: {self.text()}"
            time.sleep(0.005)
        assert self.status is not None
        return self.status

    def signal(self, number: signal.Signals) -> None:
        """Send a signal. The pid of a child is not reused before the child is reaped."""
        if self.status is None:
            os.kill(self.pid, number)

    def handles(self, number: int) -> bool:
        """Whether it has a handler for a signal: one that has just started has none."""
        return handles(self.pid, number)

    def kill(self) -> int:
        self.signal(signal.SIGKILL)
        if self.status is None:
            self.status = self._fork_server.reap(self.pid, wait=True)
        return self.wait()

    def text(self) -> str:
        """Its output so far; it has none before it has started."""
        with suppress(FileNotFoundError):
            return self.output_path.read_text(errors="replace")
        return ""


class ForkServer:
    """The client of the forking process."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": SOURCE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._ask({}) == 0
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(DEADLINE)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(
        self, arguments: list[str], cwd: Path, env: dict[str, str], output_path: Path
    ) -> ForkedProcess:
        """Start ``sendroute ARGUMENTS`` with ``env`` as its whole environment."""
        request = {"arguments": arguments, "cwd": str(cwd), "env": env, "output": str(output_path)}
        pid = self._ask(request)
        assert pid is not None
        return ForkedProcess(self, pid, output_path)

    def reap(self, pid: int, *, wait: bool) -> int | None:
        return self._ask({"reap": pid, "wait": wait})

    def _ask(self, request: dict[str, Any]) -> int | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answer: int | None = json.loads(self._process.stdout.readline())
        return answer


def serve() -> None:
    """Serve requests until the client closes the pipe, then kill all children."""
    _import_all()
    children: set[int] = set()
    for line in sys.stdin.buffer:
        answer: int | None = 0
        match json.loads(line):
            case {"arguments": arguments, "cwd": cwd, "env": env, "output": output_path}:
                answer = os.fork()
                if not answer:
                    _run_command(arguments, cwd, env, output_path)
                children.add(answer)
            case {"reap": pid, "wait": wait}:
                reaped, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if reaped else None
                if reaped:
                    children.discard(pid)
        print(json.dumps(answer), flush=True)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _import_all() -> None:
    import sendroute

    for module in pkgutil.walk_packages(sendroute.__path__, "sendroute."):
        if "__main__" not in module.name and "migrations" not in module.name:
            import_module(module.name)
    for name in _DYNAMIC_IMPORTS:
        import_module(name)


def _run_command(arguments: list[str], cwd: str, env: dict[str, str], output_path: str) -> None:
    """Run the command in the child; never returns."""
    status = 70
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(output_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, 100)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        from sendroute.cli.main import main

        status = main(arguments)
    except BaseException:
        import traceback

        traceback.print_exc()
        raise
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve()
