"""Programs started by the hundred: a process that has imported everything forks a child for each,
so that a start costs milliseconds and its time is spent on what is to be killed.

It is a process of its own, for one that has threads (a test's) may not fork. Run as a program it
takes an order a line, as JSON, and answers with a number a line.
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

# What the program imports by names that are made up while it runs.
_FURTHER = ("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg")


class Forked:
    """A child: the leader of a session of its own. ``said`` is the file of all that it writes."""

    def __init__(self, forks: "Forks", pid: int, said: Path) -> None:
        self._forks = forks
        self.pid = pid
        self.said = said
        self.status: int | None = None
        self.began = time.monotonic()

    def ended(self) -> bool:
        if self.status is None:
            self.status = self._forks.reap(self.pid, wait=False)
        return self.status is not None

    def wait(self) -> int:
        """The exit status; below 0 the signal that ended it."""
        deadline = time.monotonic() + DEADLINE
        while not self.ended():
            assert time.monotonic() < deadline, f"it does not end: {self.text()}"
            time.sleep(0.005)
        assert self.status is not None
        return self.status

    def signal(self, number: signal.Signals) -> None:
        """A child that was not reaped keeps its number, so it is never another's."""
        if self.status is None:
            os.kill(self.pid, number)

    def kill(self) -> int:
        self.signal(signal.SIGKILL)
        if self.status is None:
            self.status = self._forks.reap(self.pid, wait=True)
        return self.wait()

    def text(self) -> str:
        return self.said.read_text(errors="replace")


class Forks:
    """The forking process, seen from the test."""

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

    def start(self, words: list[str], cwd: Path, env: dict[str, str], said: Path) -> Forked:
        """``sendroute WORDS``, with nothing but ``env``."""
        order = {"words": words, "cwd": str(cwd), "env": env, "said": str(said)}
        pid = self._ask(order)
        assert pid is not None
        return Forked(self, pid, said)

    def reap(self, pid: int, *, wait: bool) -> int | None:
        return self._ask({"reap": pid, "wait": wait})

    def _ask(self, order: dict[str, Any]) -> int | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        answer: int | None = json.loads(self._process.stdout.readline())
        return answer


def serve() -> None:
    """Until nobody is at the other end; then no child is left."""
    _import_all()
    children: set[int] = set()
    for line in sys.stdin.buffer:
        answer: int | None = 0
        match json.loads(line):
            case {"words": words, "cwd": cwd, "env": env, "said": said}:
                answer = os.fork()
                if not answer:
                    _become(words, cwd, env, said)
                children.add(answer)
            case {"reap": pid, "wait": wait}:
                found, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if found else None
                if found:
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
    for name in _FURTHER:
        import_module(name)


def _become(words: list[str], cwd: str, env: dict[str, str], said: str) -> None:
    """In the child; never returns."""
    status = 70
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        heard = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(heard, 1)
        os.dup2(heard, 2)
        os.closerange(3, 100)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        from sendroute.cli.main import main

        status = main(words)
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
