"""Progress is shown only on a terminal and only for long operations."""

import io
import subprocess
import sys
import time

import pytest

from sendroute.reports.progress import progress, waiting


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream, seconds, *, quiet=False, steps=0):
    with progress("Planning [accounts]", 10, stream, quiet=quiet, delay=0.05) as advance:
        advance(steps)
        deadline = time.monotonic() + seconds
        while not stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    return stream.getvalue()


def test_a_long_operation_is_drawn_on_a_terminal():
    drawn = run(Terminal(), 30, steps=5)
    assert "Planning [accounts]" in drawn
    assert "5/10" in drawn


def test_the_bar_is_drawn_before_the_first_step_is_done():
    assert "0/10" in run(Terminal(), 30)


def test_one_long_step_is_drawn_without_a_count():
    stream = Terminal()
    with waiting("Planning", stream, delay=0.05):
        deadline = time.monotonic() + 30
        while "Planning" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "Planning" in stream.getvalue()
    assert "0/?" not in stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "seconds", "quiet"),
    [
        pytest.param(Terminal(), 0, False, id="a short operation"),
        pytest.param(Terminal(), 0.2, True, id="with quiet"),
        pytest.param(io.StringIO(), 0.2, False, id="without a terminal"),
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
