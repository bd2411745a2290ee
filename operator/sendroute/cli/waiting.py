"""``apply --wait``: until every relay that lives serves a revision."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from sendroute.model.problem import ProblemError

UNSEEN = timedelta(seconds=60)
"""A relay that was not seen for so long is named, and not waited for."""
_PAUSE = 0.2


class Relay(Protocol):
    """One agent as the store knows it; ``seen_at`` is aware."""

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def seen_at(self) -> datetime: ...


class Waited(NamedTuple):
    """``behind`` did not come in time, ``unseen`` were not waited for; ``relays`` is how many
    there are."""

    relays: int
    behind: tuple[str, ...]
    unseen: tuple[str, ...]


def wait_for_relays(
    relays: Callable[[], Sequence[Relay]],
    revision: int,
    *,
    timeout: float,
    ended: Callable[[], bool],
) -> Waited:
    """Ask until every live relay serves at least ``revision``, at most ``timeout`` seconds. A store
    that is away meanwhile may come back: :class:`ProblemError` is raised where it did not."""
    until = time.monotonic() + timeout
    while True:
        try:
            known = relays()
        except ProblemError:
            if ended() or time.monotonic() >= until:
                raise
            time.sleep(_PAUSE)
            continue
        now = datetime.now(UTC)
        behind = [relay for relay in known if relay.revision < revision]
        unseen = tuple(sorted(r.name for r in behind if now - r.seen_at >= UNSEEN))
        late = tuple(sorted(r.name for r in behind if r.name not in unseen))
        left = until - time.monotonic()
        if not late or left <= 0 or ended():
            return Waited(len(known), late, unseen)
        time.sleep(min(_PAUSE, left))
