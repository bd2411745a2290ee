"""Progress is shown only on a terminal and only for long operations."""

import io
import subprocess
import sys

import pytest

from sendroute.reports.progress import PATIENCE, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def run(stream, seconds, *, quiet=False):
    clock = Clock()
    with progress("Planning [accounts]", 10, stream, quiet=quiet, clock=clock) as advance:
        advance(1)
        clock.now = seconds
        advance(4)
    return stream.getvalue()


def test_a_long_operation_is_drawn_on_a_terminal():
    drawn = run(Terminal(), PATIENCE + 0.1)
    assert "Planning [accounts]" in drawn
    assert "5/10" in drawn


@pytest.mark.parametrize(
    ("stream", "seconds", "quiet"),
    [
        pytest.param(Terminal(), PATIENCE / 2, False, id="a short operation"),
        pytest.param(Terminal(), 100.0, True, id="with quiet"),
        pytest.param(io.StringIO(), 100.0, False, id="without a terminal"),
    ],
)
def test_no_progress_is_drawn(stream, seconds, quiet):
    assert run(stream, seconds, quiet=quiet) == ""


def test_rich_is_imported_only_for_drawing():
    program = (
        "import sys, io; from sendroute.reports.progress import progress\n"
        "stream = io.StringIO(); stream.isatty = lambda: True\n"
        "with progress('x', 2, stream) as advance: advance(1)\n"
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
