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
from sendroute.model.owner import Owner, owner_named, owner_names
from sendroute.model.provenance import Provenance
from sendroute.store import revisions
from sendroute.store.tables import account, history, revision, standing

_KEY = (standing.c.namespace, standing.c.account)


def changed_since(connection: Connection, number: int) -> dict[AccountKey, int]:
    """The accounts that a later revision changed, and the last one that did; one that was removed
    is not among them."""
    later = select(account.c.namespace, account.c.name, revision.c.number).join(
        revision, account.c.revision == revision.c.id
    )
    rows = connection.execute(later.where(revision.c.number > number))
    return {AccountKey(row.namespace, row.name): row.number for row in rows}


def read(connection: Connection) -> Iterator[AccountStatus]:
    for row in connection.execute(select(standing).order_by(*_KEY)):
        yield _standing(row)


def _standing(row: Any) -> AccountStatus:
    approval = None
    if row.approved is not None:
        approval = Approval(row.approved, row.approved_by, row.approved_at)
    return AccountStatus(
        owner_named(row.namespace, row.account),
        StatusReason(row.outcome),
        msgspec.json.decode(row.shown, type=Report),
        row.since,
        row.digest,
        row.source_commit,
        approval,
    )


def write(
    connection: Connection, written: Iterable[AccountStatus], cleared: Collection[Owner]
) -> None:
    """``written`` come or replace, ``cleared`` go. An approval stays with the plan that it is for,
    also one that was given a moment ago; with another plan it goes."""
    clear(connection, cleared)
    is_sqlite = connection.dialect.name == "sqlite"
    for one in written:
        namespace, name = owner_names(one.key)
        values = {
            "namespace": namespace,
            "account": name,
            "outcome": one.outcome.value,
            "digest": one.digest,
            "shown": msgspec.json.encode(one.report).decode(),
            "source_commit": one.commit,
            "since": one.since,
        }
        # The same statement on both, but SQLAlchemy has a construct for each.
        new: sqlite.Insert | postgresql.Insert
        new = (sqlite if is_sqlite else postgresql).insert(standing).values(values)
        same = standing.c.digest == new.excluded.digest
        kept = {
            name: case((same, standing.c[name]), else_=null())
            for name in ("approved", "approved_by", "approved_at")
        }
        connection.execute(new.on_conflict_do_update(index_elements=list(_KEY), set_=values | kept))


def clear(connection: Connection, keys: Collection[Owner]) -> None:
    for key in sorted(keys, key=owner_names):
        connection.execute(delete(standing).where(*_is(key)))


def approve(
    connection: Connection, shown: AccountStatus, provenance: Provenance, attempt: str
) -> bool:
    """Lets the plan through that is held back, and says in the history who did. False where that
    plan is not held back any more: nothing was written then."""
    approved = (
        update(standing)
        .where(*_is(shown.key), standing.c.digest == shown.digest)
        .values(approved=shown.digest, approved_by=provenance.actor, approved_at=provenance.at)
    )
    if connection.execute(approved).rowcount != 1:
        return False
    own = revisions.begin(connection, provenance, attempt)
    namespace, name = owner_names(shown.key)
    counts = ", ".join(f"{count} to {verb}" for verb, count in shown.report.summary.items())
    connection.execute(
        insert(history).values(
            revision=own,
            namespace=namespace,
            account=name,
            kind=Kind.ACCOUNT.value,
            name=name,
            action="approve",
            reason="approved",
            message=f"The plan {shown.digest} that was held back ({counts}) may be applied.",
        )
    )
    revisions.end(connection, own)
    return True


def _is(key: Owner) -> tuple[Any, ...]:
    namespace, name = owner_names(key)
    return standing.c.namespace == namespace, standing.c.account == name
