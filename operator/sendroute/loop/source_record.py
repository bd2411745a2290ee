"""What the loop follows and that it runs, recorded in the store, so that a person can see it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from sendroute.loop.protocols import LoopStore
from sendroute.loop.served_trees import Candidate
from sendroute.model.account_status import reported
from sendroute.model.codes import Trait, has_trait
from sendroute.model.finding import Finding
from sendroute.model.followed_source import FollowedSource

_FAULTS = 20
_SEEN = timedelta(seconds=60)
"""How often a loop without other news records that it runs."""


class SourceRecord:
    """The record of one loop.

    Args:
        name: the source, without a user name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._served: Candidate | None = None
        self._written: FollowedSource | None = None

    def update(self, store: LoopStore, served: Candidate | None, faults: Sequence[Finding]) -> None:
        """Record what is served, if that changed, and every minute that the loop runs. Nothing is
        written into a store to which the tree does not belong.

        Args:
            store: the store.
            served: the tree that is served; None for none yet.
            faults: why the newest tree is not served.

        Raises:
            ProblemError: the store is unavailable.
        """
        if served is None and any(has_trait(fault.code, Trait.GUARD) for fault in faults):
            return
        before = self._written or self._stored(store)
        shown = tuple(map(reported, faults[:_FAULTS]))
        now = datetime.now(UTC).replace(microsecond=0)
        faulty_since = (before.faulty_since or now) if shown else None
        after = replace(before, faults=shown, faulty_since=faulty_since, stopped_at=None)
        if served is not None and served is not self._served:
            commit = served.tree.commit
            is_same = self._served is None and commit is not None and commit == before.commit
            since = before.since if is_same else now
            after = replace(after, commit=commit, since=since)
        seen = before.seen_at if self._written is not None else None
        if after != self._written or seen is None or now - seen >= _SEEN:
            after = replace(after, seen_at=now)
            store.write_followed_source(after)
        self._written, self._served = after, served

    def stop(self, store: LoopStore) -> None:
        """Record that a signal stopped the loop. One that served nothing leaves nothing behind.

        Args:
            store: the store.

        Raises:
            ProblemError: the store is unavailable.
        """
        if self._written is None:
            return
        if self._written.since is None:
            store.forget_followed_source(self.name)
            return
        now = datetime.now(UTC).replace(microsecond=0)
        store.write_followed_source(replace(self._written, seen_at=now, stopped_at=now))

    def _stored(self, store: LoopStore) -> FollowedSource:
        """What an earlier process recorded: a restart does not begin to serve again."""
        known = {source.name: source for source in store.followed_sources()}
        return known.get(self.name, FollowedSource(self.name))
