"""All credentials sealed anew, with nothing of the old tokens left in the file.

A key is given up because somebody else may know it: what it opened must not stay in a page that
SQLite has freed, nor in the log.
"""

from collections.abc import Callable
from contextlib import closing

from sqlalchemy import Connection, Engine, insert

from sendroute.model.secret import Bond
from sendroute.model.stamp import Stamp
from sendroute.store import endpoints, numbering
from sendroute.store.database import writing
from sendroute.store.past import STORE_KIND
from sendroute.store.tables import history


def rekey(engine: Engine, anew: Callable[[str, Bond], str], stamp: Stamp) -> int:
    """How many there are. What ``anew`` raises leaves all as it was. While another process reads
    the store, the log keeps old pages until the next one that finds it at rest."""
    with writing(engine) as connection:
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
        try:
            count = _rekey(connection, anew, stamp)
        finally:
            connection.exec_driver_sql("PRAGMA secure_delete = OFF")
    with closing(engine.raw_connection()) as lent:
        lent.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    return count


def _rekey(connection: Connection, anew: Callable[[str, Bond], str], stamp: Stamp) -> int:
    count = endpoints.reseal(connection, anew)
    own = numbering.begin(connection, stamp)
    connection.execute(
        insert(history).values(
            revision=own,
            namespace="",
            account="",
            kind=STORE_KIND,
            name="",
            action="update",
            reason="rekeyed",
            message=f"{count} credentials were encrypted anew.",
        )
    )
    numbering.end(connection, own)
    return count
