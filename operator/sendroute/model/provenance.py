"""The revisions of a store: the current one, and who made each revision, when and from what."""

from datetime import datetime

from msgspec import Struct


class Provenance(Struct, frozen=True):
    """``at`` is aware, in UTC. ``source_commit`` is the commit of the manifests, None for
    manifests outside git."""

    at: datetime
    actor: str
    source_commit: str | None = None


class AccountRevision(Struct, frozen=True):
    """The last revision that changed an account, or the platform, and who made it from which
    commit."""

    revision: int
    actor: str
    source_commit: str | None = None


class Head(Struct, frozen=True):
    """A revision of a store. ``commit_id`` identifies the commit in every copy of the store, also
    if its number differs there; None if an older version of Sendroute made the commit."""

    revision: int
    commit_id: str | None
