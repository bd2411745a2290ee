"""What loops follow, one row for each source. Like a status it describes the present, and is no
part of the history."""

from functools import cache

import msgspec
from sqlalchemy import Connection, delete, select

from sendroute.model.account_status import ReportedFinding
from sendroute.model.followed_source import FollowedSource
from sendroute.store.bulk import insert_into
from sendroute.store.states import decoded
from sendroute.store.tables import followed_source as table


@cache
def _faults_decoder() -> msgspec.json.Decoder[tuple[ReportedFinding, ...]]:
    return msgspec.json.Decoder(tuple[ReportedFinding, ...])


def read(connection: Connection) -> tuple[FollowedSource, ...]:
    """All sources, in the order of their names."""
    return tuple(
        FollowedSource(
            row.name,
            row.served_commit,
            row.served_since,
            decoded(_faults_decoder(), row.faults),
            row.faulty_since,
            row.seen_at,
            row.stopped_at,
        )
        for row in connection.execute(select(table).order_by(table.c.name))
    )


def write(connection: Connection, source: FollowedSource) -> None:
    """Insert or replace a source."""
    values = {
        "served_commit": source.commit,
        "served_since": source.since,
        "faults": msgspec.json.encode(source.faults).decode(),
        "faulty_since": source.faulty_since,
        "seen_at": source.seen_at,
        "stopped_at": source.stopped_at,
    }
    new = insert_into(connection, table).values(name=source.name, **values)
    connection.execute(new.on_conflict_do_update(index_elements=[table.c.name], set_=values))


def forget(connection: Connection, name: str) -> None:
    """Delete a source, if it is known."""
    connection.execute(delete(table).where(table.c.name == name))
