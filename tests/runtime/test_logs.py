"""Unexpected exceptions in a JSON log."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_CRASHES = """
import warnings
from threading import Thread
import logging
from sendroute.runtime import logs

logs.start("json", "INFO", lasting=True)


def fail():
    raise RuntimeError("two\\nlines")


class Failing:
    def __del__(self):
        fail()


warnings.warn("a library is old")
Failing()
thread = Thread(target=fail)
thread.start()
thread.join()
fail()
"""


def test_an_unexpected_exception_is_one_json_line_and_ends_the_process() -> None:
    source = str(Path(__file__).parents[2] / "operator")
    completed = subprocess.run(
        [sys.executable, "-c", _CRASHES],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 1
    lines = [json.loads(line) for line in completed.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["error", "critical", "critical"]
    assert all("RuntimeError: two\nlines" in line["exception"] for line in lines)


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_is_a_command_of_a_build_log(form: str) -> None:
    script = (
        "import logging\n"
        "from sendroute.runtime import logs\n"
        f"logs.start('{form}', 'INFO')\n"
        "logging.getLogger('sendroute').info('%s', '::error::x\\n##[error]y')\n"
    )
    source = str(Path(__file__).parents[2] / "operator")
    completed = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = completed.stderr.splitlines()
    if form == "json":
        assert json.loads(line)["message"] == "::error::x\n##[error]y"
    else:
        assert line.endswith("error::x\\n## [error]y")
    assert not line.startswith("::")
    assert "##[" not in line
