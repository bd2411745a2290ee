"""Wait until every live relay serves a revision of the store."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sendroute.model.problem import ProblemError
from sendroute.model.records import RelayRow

UNSEEN = 60.0
"""A relay that was not seen for so many seconds is reported, and not waited for."""
_PAUSE = 0.2


class RolloutResult(NamedTuple):
    """``behind`` did not serve the revision in time, ``unseen`` were not waited for. ``relays`` is
    the number of registered relays."""

    relays: int
    behind: tuple[str, ...]
    unseen: tuple[str, ...]


def wait_for_relays(
    relays: Callable[[], Sequence[RelayRow]],
    revision: int,
    *,
    timeout: float,
    should_stop: Callable[[], bool],
) -> RolloutResult:
    """Wait until every live relay serves at least ``revision``.

    Args:
        relays: reads the registered relays from the store.
        revision: the revision to wait for.
        timeout: seconds to wait at most.
        should_stop: ends the wait early if it returns True.

    Returns:
        The relays that do not serve the revision, and those that were not waited for.

    Raises:
        ProblemError: the store was unavailable, and still is at the end of the timeout.
    """
    until = time.monotonic() + timeout
    while True:
        try:
            known = relays()
        except ProblemError:
            if should_stop() or time.monotonic() >= until:
                raise
            time.sleep(_PAUSE)
            continue
        behind = [relay for relay in known if relay.revision < revision]
        unseen = tuple(sorted(r.name for r in behind if r.age >= UNSEEN))
        late = tuple(sorted(r.name for r in behind if r.name not in unseen))
        left = until - time.monotonic()
        if not late or left <= 0 or should_stop():
            return RolloutResult(len(known), late, unseen)
        time.sleep(min(_PAUSE, left))
