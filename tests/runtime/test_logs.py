"""What nobody foresaw, in a log that machines read."""

import json
import os
import subprocess
import sys
from pathlib import Path

_CRASHES = """
import warnings
from threading import Thread
import logging
from sendroute.runtime import logs

logs.start("json", logging.INFO, lasting=True)


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


def test_it_is_one_line_like_any_other_and_ends_the_process() -> None:
    source = str(Path(__file__).parents[2] / "operator")
    ran = subprocess.run(
        [sys.executable, "-c", _CRASHES],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["error", "critical", "critical"]
    assert all("RuntimeError: two\nlines" in line["exception"] for line in lines)
