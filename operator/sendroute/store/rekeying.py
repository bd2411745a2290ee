"""All credentials sealed anew, with nothing of the old tokens left in the store's files.

A key is given up because somebody else may know it: what it opened must not stay in a page that
the database has freed.
"""

import uuid
from collections.abc import Callable

from sqlalchemy import Connection

from sendroute.model.provenance import Provenance
from sendroute.model.secret import SecretBinding
from sendroute.store import endpoints, revisions
from sendroute.store.database import Database
from sendroute.store.recording import say


def rekey(
    database: Database, anew: Callable[[str, SecretBinding], str], provenance: Provenance
) -> int:
    """How many there are. What ``anew`` raises leaves all as it was. Nobody else writes
    meanwhile: no credential is sealed by the old key and arrives afterwards."""
    attempt = str(uuid.uuid4())
    return database.write_over(
        lambda connection: _rekey(connection, anew, provenance, attempt), attempt
    )


def _rekey(
    connection: Connection,
    anew: Callable[[str, SecretBinding], str],
    provenance: Provenance,
    attempt: str,
) -> int:
    count = endpoints.reseal(connection, anew)
    own = revisions.begin(connection, provenance, attempt)
    say(connection, own, "update", "rekeyed", f"{count} credentials were encrypted anew.")
    revisions.end(connection, own)
    return count
