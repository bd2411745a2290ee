"""Waiting for what another process does."""

import time
from collections.abc import Callable


def eventually(
    condition: Callable[[], bool], seconds: float = 180.0, *, interval: float = 0.05
) -> None:
    """Return as soon as the condition holds; fail if it does not in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(interval)


def stays(condition: Callable[[], bool], seconds: float, *, interval: float = 0.1) -> None:
    """Fail as soon as the condition does not hold; return if it held for that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), "this did not stay as it was"
        time.sleep(interval)
