"""The revisions of a store: which one it is at, and who made each, when, and from which commit."""

from datetime import datetime

from msgspec import Struct


class Provenance(Struct, frozen=True):
    """``at`` is aware, in UTC. ``source_commit`` is the commit of the manifests, None for
    manifests outside git."""

    at: datetime
    actor: str
    source_commit: str | None = None


class Head(Struct, frozen=True):
    """A revision as a follower of the store remembers it. ``commit_id`` names the commit in every
    copy of the store, whatever its number there; None for one that an older version made."""

    revision: int
    commit_id: str | None
