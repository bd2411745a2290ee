"""What is unsettled of each account, and what was approved of it.

A standing is no history: it says what is so now, and goes with the commit that settles it. An
approval is history too: a revision of its own says who gave it.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, case, delete, insert, null, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sendroute.model.account_status import AccountStatus, Approval, Report, StatusReason
from sendroute.model.change import Kind
from sendroute.model.desired import AccountKey
from sendroute.model.provenance import Provenance
from sendroute.store import revisions
from sendroute.store.tables import account, history, revision
from sendroute.store.tables import account_status as table

_KEY = (table.c.namespace, table.c.account)


def changed_since(connection: Connection, number: int) -> dict[AccountKey, int]:
    """The accounts that a later revision changed, and the last one that did; one that was removed
    is not among them."""
    later = select(account.c.namespace, account.c.name, revision.c.number).join(
        revision, account.c.revision == revision.c.id
    )
    rows = connection.execute(later.where(revision.c.number > number))
    return {AccountKey(row.namespace, row.name): row.number for row in rows}


def read(connection: Connection) -> Iterator[AccountStatus]:
    for row in connection.execute(select(table).order_by(*_KEY)):
        yield _status_of(row)


def _status_of(row: Any) -> AccountStatus:
    approval = None
    if row.approved is not None:
        approval = Approval(row.approved, row.approved_by, row.approved_at)
    return AccountStatus(
        AccountKey(row.namespace, row.account),
        StatusReason(row.reason),
        msgspec.json.decode(row.report, type=Report),
        row.since,
        row.digest,
        row.source_commit,
        approval,
    )


def write(
    connection: Connection, written: Iterable[AccountStatus], cleared: Collection[AccountKey]
) -> None:
    """``written`` come or replace, ``cleared`` go. An approval stays with the plan that it is for,
    also one that was given a moment ago; with another plan it goes."""
    clear(connection, cleared)
    is_sqlite = connection.dialect.name == "sqlite"
    for one in written:
        values = {
            "namespace": one.key.namespace,
            "account": one.key.name,
            "reason": one.outcome.value,
            "digest": one.digest,
            "report": msgspec.json.encode(one.report).decode(),
            "source_commit": one.commit,
            "since": one.since,
        }
        # The same statement on both, but SQLAlchemy has a construct for each.
        new: sqlite.Insert | postgresql.Insert
        new = (sqlite if is_sqlite else postgresql).insert(table).values(values)
        same = table.c.digest == new.excluded.digest
        kept = {
            name: case((same, table.c[name]), else_=null())
            for name in ("approved", "approved_by", "approved_at")
        }
        connection.execute(new.on_conflict_do_update(index_elements=list(_KEY), set_=values | kept))


def clear(connection: Connection, keys: Collection[AccountKey]) -> None:
    for key in sorted(keys):
        connection.execute(delete(table).where(*_is(key)))


def approve(
    connection: Connection, shown: AccountStatus, provenance: Provenance, commit_id: str
) -> bool:
    """Lets the plan through that is held back, and says in the history who did. False where that
    plan is not held back any more: nothing was written then."""
    approved = (
        update(table)
        .where(*_is(shown.key), table.c.digest == shown.digest)
        .values(approved=shown.digest, approved_by=provenance.actor, approved_at=provenance.at)
    )
    if connection.execute(approved).rowcount != 1:
        return False
    own = revisions.begin(connection, provenance, commit_id)
    counts = ", ".join(f"{count} to {verb}" for verb, count in shown.report.summary.items())
    connection.execute(
        insert(history).values(
            revision=own,
            namespace=shown.key.namespace,
            account=shown.key.name,
            kind=Kind.ACCOUNT.value,
            name=shown.key.name,
            action="approve",
            reason="approved",
            message=f"The plan {shown.digest} that was held back ({counts}) may be applied.",
        )
    )
    revisions.end(connection, own)
    return True


def _is(key: AccountKey) -> tuple[Any, ...]:
    return table.c.namespace == key.namespace, table.c.account == key.name
