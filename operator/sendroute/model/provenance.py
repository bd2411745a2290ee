"""Who changed the store, when, and from which commit: kept with each revision."""

from datetime import datetime

from msgspec import Struct


class Provenance(Struct, frozen=True):
    """``at`` is aware, in UTC. ``source_commit`` is the commit of the manifests, None for
    manifests outside git."""

    at: datetime
    actor: str
    source_commit: str | None = None
