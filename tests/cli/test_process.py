"""What only a process has: closed streams, encodings, signals, two applies at once, a terminal."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from .conftest import account, command, domain, environment, write

KEY = "sendroute.key"
Process = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def many_accounts(manifests: Path, process: Process) -> Path:
    """A new store, and manifests of more accounts than one transaction holds."""
    for number in range(400):
        name = f"a{number:03}"
        write(manifests / f"{name}.yaml", account(name), domain(name, f"{name}.example.com"))
    assert process("init").returncode == 0
    return manifests


def test_a_reader_that_closes_the_pipe_ends_the_program_silently(many_accounts: Path) -> None:
    with subprocess.Popen(
        command("plan", "manifests", "-o", "json"),
        env=environment(),
        cwd=many_accounts.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.read(1)
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait(60) == 0


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_apply_succeeds_with_a_closed_standard_stream(
    manifests: Path, process: Process, closed: str
) -> None:
    assert process("init").returncode == 0
    number = {"stdout": 1, "stderr": 2}[closed]
    arguments = " ".join(command("apply", "manifests", "--auto-approve", "-o", "json=r.json"))
    completed = subprocess.run(
        ["/bin/sh", "-c", f"exec {arguments} {number}>&-"],
        env=environment(),
        cwd=manifests.parent,
        capture_output=True,
        check=False,
    )
    assert completed.returncode == 0, completed
    assert b"Traceback" not in completed.stderr
    assert (manifests.parent / "r.json").stat().st_size > 0


@pytest.mark.parametrize(
    "arguments", [("plan", "manifests"), ("--store", "sqlite:///2.db", "init", "--key-file", KEY)]
)
def test_a_full_disk_behind_standard_output_is_reported(
    many_accounts: Path, arguments: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        completed = subprocess.run(
            command(*arguments),
            env=environment(),
            cwd=many_accounts.parent,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (completed.returncode, "unwritable" in completed.stderr) == (1, True), completed


def test_characters_that_the_terminal_lacks_cause_no_traceback(
    workdir: Path, process: Process
) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    write(workdir / "bücher.yaml", domain("acme", "bücher.example", "{profile: gone}"))
    for arguments in (("validate", "bücher.yaml"), ("--help",), ("validate", "x", "--wörd")):
        completed = process(*arguments, env=plain)
        assert "Traceback" not in completed.stderr, completed.stderr
    completed = process("validate", "bücher.yaml", "-o", "json", env=plain)
    assert completed.returncode == 1
    assert '"findings"' in completed.stdout


def test_two_applies_at_once_both_succeed(many_accounts: Path) -> None:
    runs = [
        subprocess.Popen(
            command("apply", "manifests", "--auto-approve"),
            env=environment(),
            cwd=many_accounts.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for run in runs:
        _, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
    again = subprocess.run(
        command("plan", "manifests", "--detailed-exitcode"),
        env=environment(),
        cwd=many_accounts.parent,
        check=False,
        capture_output=True,
    )
    assert again.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_during_apply_leaves_only_complete_accounts(
    many_accounts: Path, number: int
) -> None:
    with subprocess.Popen(
        command("--log-format", "json", "apply", "manifests", "--auto-approve"),
        env=environment(),
        cwd=many_accounts.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None
        while "account" not in run.stderr.readline():
            assert run.poll() is None
        run.send_signal(number)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 128 + number, err
    assert "Traceback" not in err
    assert "not applied" in out
    routes = subprocess.run(
        command("routes"),
        env=environment(),
        cwd=many_accounts.parent,
        capture_output=True,
        check=True,
    )
    assert 0 < routes.stdout.count(b".example.com") < 402


def test_ctrl_c_while_waiting_for_input_ends_silently(workdir: Path) -> None:
    with subprocess.Popen(
        command("validate", "-"),
        env=environment(),
        cwd=workdir,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:
        assert run.stdin is not None
        deadline = time.monotonic() + 30
        while b"pipe_read" not in _waits_in(run.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
    assert (run.returncode, out, err) == (130, b"", b"")


def _waits_in(pid: int) -> bytes:
    """The kernel function that a process sleeps in (proc(5), wchan)."""
    return Path(f"/proc/{pid}/wchan").read_bytes()


class TerminalSession(NamedTuple):
    """A process whose streams are a terminal; ``controller`` is what a user types and sees."""

    process: subprocess.Popen[bytes]
    controller: int

    def write(self, text: bytes) -> None:
        os.write(self.controller, text)

    def read_until(self, word: bytes) -> bytes:
        seen = b""
        deadline = time.monotonic() + 30
        while word not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([self.controller], [], [], 0.1)[0]:
                seen += os.read(self.controller, 4096)
        return seen


@contextmanager
def at_terminal(
    *arguments: str,
    cwd: Path,
    streams: Sequence[str] = ("stdin", "stdout", "stderr"),
    variables: dict[str, str] | None = None,
) -> Iterator[TerminalSession]:
    """Run the program with these streams at a terminal. Another output is a pipe."""
    controller, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            command(*arguments),
            env=environment(variables),
            cwd=cwd,
            **{"stdout": subprocess.PIPE} | dict.fromkeys(streams, terminal),
        ) as process:
            os.close(terminal)
            yield TerminalSession(process, controller)
    finally:
        os.close(controller)


@pytest.mark.parametrize(("answer", "status"), [("yes", 0), ("y", 3), ("", 3)])
def test_apply_asks_for_yes_at_a_terminal(many_accounts: Path, answer: str, status: int) -> None:
    arguments = ("apply", "manifests", "--only", "a001")
    with at_terminal(*arguments, cwd=many_accounts.parent, streams=("stdin", "stderr")) as session:
        shown = session.read_until(b"'yes'")
        session.write(answer.encode() + b"\n")
        out, _ = session.process.communicate(timeout=60)
    assert b"a001.example.com" in shown
    assert session.process.returncode == status
    assert (b"committed" in out) is (status == 0)


def test_ctrl_c_at_the_question_applies_nothing_and_ends_the_line(many_accounts: Path) -> None:
    arguments = ("apply", "manifests", "--only", "a001")
    with at_terminal(*arguments, cwd=many_accounts.parent) as session:
        session.read_until(b"'yes' is accepted:")
        session.process.send_signal(signal.SIGINT)
        after = session.read_until(b"\n")
        assert session.process.wait(60) == 130
    assert (after.strip(), after[-1:]) == (b"", b"\n")
    routes = subprocess.run(
        command("routes"), env=environment(), cwd=many_accounts.parent, capture_output=True
    )
    assert b"a001.example.com" not in routes.stdout


@pytest.mark.parametrize("to_file", [False, True])
def test_after_the_question_a_terminal_shows_the_result_only(
    many_accounts: Path, to_file: bool
) -> None:
    """A file gets the whole report."""
    more = ("-o", "text=report.txt") if to_file else ()
    arguments = ("apply", "manifests", "--only", "a001", *more)
    with at_terminal(*arguments, cwd=many_accounts.parent) as session:
        before = session.read_until(b"'yes' is accepted:")
        session.write(b"yes\n")
        after = session.read_until(b"Apply: ")
        assert session.process.wait(60) == 0
    assert b"a001.example.com" in before
    assert b"a001.example.com" not in after
    assert b"committed" in after
    if to_file:
        assert "a001.example.com" in (many_accounts.parent / "report.txt").read_text()


@pytest.mark.parametrize(("columns", "widest"), [("20", 20), ("60", 60), ("9" * 5000, 1000)])
def test_a_table_at_a_terminal_is_as_wide_as_the_terminal(
    store: Path, columns: str, widest: int
) -> None:
    variables = {"COLUMNS": columns, "NO_COLOR": "1"}
    streams = ("stdout",)
    with at_terminal("routes", cwd=store.parent, streams=streams, variables=variables) as session:
        shown = session.read_until(b"ses").decode()
        assert session.process.wait(30) == 0
    assert max(map(len, shown.splitlines())) <= widest


def test_colour_is_used_only_on_a_terminal_that_allows_it(manifests: Path) -> None:
    def shown(**variables: str) -> bytes:
        with at_terminal(
            *("validate", "manifests"),
            cwd=manifests.parent,
            streams=("stdout", "stderr"),
            variables={"TERM": "xterm", **variables},
        ) as session:
            seen = session.read_until(b"found")
            session.process.wait(30)
        return seen

    assert b"\x1b[" in shown()
    assert b"\x1b[" not in shown(NO_COLOR="1")
    assert b"\x1b[" not in shown(SENDROUTE_NO_COLOR="1")
    assert b"\x1b[" not in shown(TERM="dumb")


@pytest.mark.parametrize(
    ("arguments", "runs_exit_handlers"), [(["validate", "manifests"], False), (["--version"], True)]
)
def test_commands_that_load_a_tree_skip_exit_handlers(
    manifests: Path, arguments: list[str], runs_exit_handlers: bool
) -> None:
    code = (
        "import atexit, sys; atexit.register(print, 'the end', file=sys.stderr);"
        "from sendroute.cli.main import program; program()"
    )
    completed = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(),
        cwd=manifests.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout
    assert ("the end" in completed.stderr) is runs_exit_handlers


def limits_after(code: str) -> list[str]:
    """The limits of a core dump that a process has before this code, and at its end."""
    show = "print(resource.getrlimit(resource.RLIMIT_CORE), file=sys.stderr)"
    prepare = (
        "import atexit, resource, sys\n"
        "_, most = resource.getrlimit(resource.RLIMIT_CORE)\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (most, most))\n"
        f"{show}\natexit.register(lambda: {show})\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", prepare + code, "--version"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return completed.stderr.splitlines()


def test_the_program_writes_no_core_dump_and_the_library_leaves_the_limit_of_its_caller() -> None:
    assert limits_after("from sendroute.cli.main import program; program()")[1] == "(0, 0)"
    before, after = limits_after(
        "import sendroute, sendroute.cli.main; sendroute.validate; sendroute.open_store"
    )
    assert before == after


INTERRUPTED = """
from contextlib import suppress
from sendroute.cli.fast_exit import exit_process

def interrupt():
    raise KeyboardInterrupt

with suppress(KeyboardInterrupt):
    exec("interrupt()")  # as the code of a module that is being imported
exit_process(0)
"""


def test_an_interrupt_that_was_handled_does_not_kill_the_process_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    run = [sys.executable, "-m", "interrupted"]
    assert subprocess.run(run, env=environment(), cwd=tmp_path, check=False).returncode == 0
