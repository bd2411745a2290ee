"""Why accounts were not applied completely, and the approvals of held-back plans.

A status is no part of the history. It describes the present, and the commit that applies the
account deletes it. An approval is also recorded in the history, as a separate revision that says
who approved.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, case, delete, insert, null, select, tuple_, update

from sendroute.model.account_status import AccountStatus, Approval, StatusReason, StatusReport
from sendroute.model.change import ChangeReason, Kind
from sendroute.model.owner import PLATFORM, Owner, owner_names
from sendroute.model.provenance import AccountRevision, Provenance
from sendroute.model.words import actions_planned
from sendroute.store import revisions
from sendroute.store.bulk import chunks, insert_into
from sendroute.store.errors import WrongValueError
from sendroute.store.states import account_key, decoded, member_of, owner_key
from sendroute.store.tables import APPROVE, account, history, revision
from sendroute.store.tables import account_status as table

_KEY = (table.c.namespace, table.c.account)


def changed_since(connection: Connection, number: int) -> dict[Owner, AccountRevision]:
    """The accounts that were changed after revision ``number``, and the platform if it was, with
    the last revision that changed each. Deleted accounts are left out."""
    columns = (revision.c.number, revision.c.actor, revision.c.source_commit)
    later = select(account.c.namespace, account.c.name, *columns).join(
        revision, account.c.revision == revision.c.id
    )
    rows = connection.execute(later.where(revision.c.number > number))
    changed: dict[Owner, AccountRevision] = {
        account_key(row.namespace, row.name): AccountRevision(
            row.number, row.actor, row.source_commit
        )
        for row in rows
    }
    of_platform = (
        select(*columns)
        .join_from(history, revision, history.c.revision == revision.c.id)
        .where(
            history.c.namespace == "",
            history.c.account == "",
            history.c.kind == Kind.PLATFORM.value,
            revision.c.number > number,
        )
        .order_by(revision.c.number.desc())
        .limit(1)
    )
    for row in connection.execute(of_platform):
        changed[PLATFORM] = AccountRevision(row.number, row.actor, row.source_commit)
    return changed


def read(connection: Connection) -> Iterator[AccountStatus]:
    """All statuses, in the order of accounts."""
    for row in connection.execute(select(table).order_by(*_KEY)):
        yield _status_of(row)


@cache
def _report_decoder() -> msgspec.json.Decoder[StatusReport]:
    return msgspec.json.Decoder(StatusReport)


def _status_of(row: Any) -> AccountStatus:
    approval = None
    if row.approved is not None:
        if row.approved_by is None or row.approved_at is None:
            raise WrongValueError("an approval without a person or a time")
        approval = Approval(row.approved, row.approved_by, row.approved_at)
    return AccountStatus(
        owner_key(row.namespace, row.account),
        member_of(StatusReason, row.reason),
        decoded(_report_decoder(), row.report),
        row.since,
        row.digest,
        row.source_commit,
        approval,
    )


def write(
    connection: Connection, written: Iterable[AccountStatus], cleared: Collection[Owner]
) -> None:
    """Insert or replace the ``written`` statuses, and delete those of the ``cleared`` owners.

    An approval is kept if the plan has the same digest, even if it was given after ``written`` was
    read; if the digest differs, it is deleted.
    """
    clear(connection, cleared)
    for status in written:
        namespace, name = owner_names(status.key)
        values = {
            "namespace": namespace,
            "account": name,
            "reason": status.reason.value,
            "digest": status.digest,
            "report": msgspec.json.encode(status.report).decode(),
            "source_commit": status.commit,
            "since": status.since,
        }
        new = insert_into(connection, table).values(values)
        same = table.c.digest == new.excluded.digest
        approval_columns = {
            name: case((same, table.c[name]), else_=null())
            for name in ("approved", "approved_by", "approved_at")
        }
        connection.execute(
            new.on_conflict_do_update(index_elements=list(_KEY), set_=values | approval_columns)
        )


def clear(connection: Connection, keys: Collection[Owner]) -> None:
    """Delete the statuses of these owners, in sorted order, so that writers do not deadlock."""
    for batch in chunks(sorted(map(owner_names, keys))):
        connection.execute(delete(table).where(tuple_(*_KEY).in_(batch)))


def approve(
    connection: Connection, shown: AccountStatus, provenance: Provenance, commit_id: str
) -> bool:
    """Approve the plan that is held back, and record the approval in the history.

    ``shown`` is the status that the user approves; its digest identifies the plan. Returns False,
    and writes nothing, if that plan is no longer held back.
    """
    approved = (
        update(table)
        .where(*_rows_of(shown.key), table.c.digest == shown.digest)
        .values(approved=shown.digest, approved_by=provenance.actor, approved_at=provenance.at)
    )
    if connection.execute(approved).rowcount != 1:
        return False
    now = revisions.begin(connection, provenance, commit_id)
    namespace, name = owner_names(shown.key)
    counts = actions_planned(shown.report.summary)
    connection.execute(
        insert(history).values(
            revision=now,
            namespace=namespace,
            account=name,
            kind=Kind.ACCOUNT.value,
            name=name,
            action=APPROVE,
            reason=ChangeReason.APPROVED.value,
            message=f"The plan {shown.digest} that was held back ({counts}) may be applied.",
        )
    )
    revisions.end(connection, now)
    return True


def _rows_of(key: Owner) -> tuple[Any, ...]:
    namespace, name = owner_names(key)
    return table.c.namespace == namespace, table.c.account == name
