"""The seeds of the fault schedules of a run."""

import os

SCHEDULES = int(os.environ.get("SENDROUTE_TEST_SCHEDULES", "200"))
FIRST = int(os.environ.get("SENDROUTE_TEST_SEED") or "0")
PARTS = 20
"""The schedules are split into this many tests, which run in parallel."""


def seeds(part: int, schedules: int = SCHEDULES) -> range:
    """The seeds of one test. ``SENDROUTE_TEST_SEED=N SENDROUTE_TEST_SCHEDULES=1`` repeats one."""
    return range(FIRST + part, FIRST + schedules, PARTS)
