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
