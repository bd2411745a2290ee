"""Outputs that cannot be written: the message names the output, and not the store."""

import logging
import os
import subprocess
from pathlib import Path

import pytest

from sendroute.cli.session import COMMITS

from .conftest import Program, command, environment

pytestmark = pytest.mark.usefixtures("store")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("apply", "manifests", "--auto-approve", "--write-lock", "nowhere/x.lock"),
            "The lock file nowhere/x.lock cannot be written: no such file or directory.",
        ),
        (("backup", "nowhere/x.db"), "/nowhere/x.db cannot be written: no such file or directory."),
        (("backup", "manifests/acme.yaml/x.db"), "x.db cannot be written: not a directory."),
        (
            ("relay", "--no-reload", "--listen", "", "--dir", "manifests/acme.yaml"),
            "manifests/acme.yaml is no directory, and none can be created there.",
        ),
        (
            ("postfix", "config", "--dir", "manifests/acme.yaml"),
            "Choose a directory, or a path at which one can be created.",
        ),
        (
            ("plan", "manifests", "-o", "json=/dev/full"),
            "Free space on that disk, or write elsewhere.",
        ),
        (
            ("postfix", "config", "--dir", "tables"),
            "tables/main.cf could not be written: is a directory.",
        ),
        (
            ("relay", "--no-reload", "--listen", "", "--dir", "locked"),
            "Cannot write locked/agent.lock: is a directory.",
        ),
        (
            ("relay", "--no-reload", "--listen", "", "--dir", "/proc/tables"),
            "/proc/tables is no directory, and none can be created there.",
        ),
    ],
)
def test_an_output_that_cannot_be_written_is_named(
    sendroute: Program, workdir: Path, arguments: tuple[str, ...], message: str
) -> None:
    (workdir / "tables" / "main.cf").mkdir(parents=True)
    (workdir / "locked" / "agent.lock").mkdir(parents=True)
    result = sendroute(*arguments)
    assert result.status == 1
    assert "error unwritable" in result.err + result.out
    assert message in result.err + result.out
    assert "store-failed" not in result.err + result.out


@pytest.mark.parametrize(
    ("options", "is_logged"), [((), False), (("-v",), True), (("--log-format", "json"), True)]
)
def test_a_failed_account_is_logged_only_if_the_report_does_not_say_it(
    sendroute: Program, options: tuple[str, ...], *, is_logged: bool
) -> None:
    assert sendroute("apply", "manifests", "--auto-approve", *options).status == 0
    assert logging.getLogger(COMMITS).isEnabledFor(logging.ERROR) is is_logged


@pytest.mark.parametrize(
    "arguments",
    ["--help", "--version", "plan --help", "edit --help", "edit set-route --help", "version",
     "completion bash", "schema", "routes"],
)  # fmt: skip
def test_a_full_standard_output_is_no_success(store: Path, arguments: str) -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            command(*arguments.split()),
            env=environment(),
            cwd=store.parent,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert run.returncode == 1
    assert "Standard output could not be written: no space left on device." in run.stderr


def test_the_reader_of_the_help_may_exit(store: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    run = subprocess.run(
        command("--help"),
        env=environment(),
        cwd=store.parent,
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert (run.returncode, run.stderr) == (0, b"")
