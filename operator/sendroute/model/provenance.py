"""Who changes the store, and when: what the append-only record says beside each change."""

from datetime import datetime

from msgspec import Struct


class Provenance(Struct, frozen=True):
    """``at`` is aware (UTC); ``source_commit`` is the commit of the manifests, where they have
    one."""

    at: datetime
    actor: str
    source_commit: str | None = None
