"""Writes an apply-all over a whole account in a few statements, however many domains it has.

The history entry of a domain depends only on the state that the domain was in, and a million
domains share a few states. So each state is written once, and one INSERT … SELECT for each state
records the names of its domains. One UPDATE then switches the routes.
"""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    insert,
    literal,
    select,
    update,
)

from sendroute.model.change import Action, DomainChange
from sendroute.model.current import DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.route import Origin, Route
from sendroute.store.errors import stale
from sendroute.store.states import DOMAIN_COLUMNS, domain_columns, history_text
from sendroute.store.tables import domain, switched
from sendroute.store.tables import switch as table

# Each state costs a scan of the account; with more states the domains are written one by one.
_MAX_STATES = 20
# With fewer domains, scanning the account is not faster than writing them one by one.
_MIN_DOMAINS = 100


class StateSwitch(Struct, frozen=True):
    """The history entry of the domains that were in one state."""

    after: DomainState
    action: Action
    reason: str
    message: str


class Switch(Struct, frozen=True):
    """An apply-all that switches ``domain_count`` domains. ``entries`` has an entry for each state
    that these domains are in."""

    id: str
    route: Route
    domain_count: int
    entries: dict[DomainState, StateSwitch]


def whole_switch(ran: tuple[str, RanApplyAll], changes: Sequence[DomainChange]) -> Switch | None:
    """The changes of an apply-all as one switch.

    ``ran`` is the id and the record of the apply-all. Returns None if the changes are few, or do
    more than switch the routes: an edited declared route, a message for one domain, a reassignment.
    """
    ran_id, record = ran
    if len(changes) < _MIN_DOMAINS:
        return None
    entries: dict[DomainState, StateSwitch] = {}
    for change in changes:
        before, after = change.before, change.after
        if before is None or after is None:
            return None
        entry = entries.get(before)
        if entry is None:
            desired = DomainState(
                record.route, Origin.APPLY_ALL, before.declared, ran_id, before.overrides
            )
            if after != desired or len(entries) == _MAX_STATES:
                return None
            entries[before] = StateSwitch(after, change.action, str(change.reason), change.message)
        elif (
            change.action is not entry.action
            or (after is not entry.after and after != entry.after)
            or change.reason != entry.reason
            or change.message != entry.message
        ):
            return None
    return Switch(ran_id, record.route, len(changes), entries)


def switch(
    connection: Connection, key: AccountKey, number: int, planned: Switch, revision: int
) -> bool:
    """Switch the routes of an account's domains, and write the history.

    ``number`` is the id of the account's row, ``revision`` that of the revision's row. Returns
    False, and writes nothing, if the account has domains that are not switched, such as suspended
    ones. Raises :class:`~sendroute.model.problem.StaleError` if the number of rows differs from the
    plan, although the account is fenced.
    """
    of_account = domain.c.account_id == number
    if (
        connection.execute(select(func.count()).where(of_account)).scalar_one()
        != planned.domain_count
    ):
        return False
    if _write_history(connection, key, of_account, planned, revision) != planned.domain_count:
        raise stale(key)
    kind, profile = planned.route.kind.value, planned.route.profile
    is_same_route = and_(domain.c.kind == kind, domain.c.profile.is_not_distinct_from(profile))
    switched_routes = (
        update(domain)
        .where(of_account)
        .values(
            kind=kind,
            profile=profile,
            origin=Origin.APPLY_ALL.value,
            shadow=planned.id,
            since=case((is_same_route, domain.c.since), else_=revision),
            changed=revision,
        )
    )
    if connection.execute(switched_routes).rowcount != planned.domain_count:
        raise stale(key)
    return True


def _write_history(
    connection: Connection,
    key: AccountKey,
    of_account: ColumnElement[bool],
    planned: Switch,
    revision: int,
) -> int:
    """Write the history of the switch. Returns the number of domains."""
    total = 0
    for before, entry in planned.entries.items():
        inserted = connection.execute(
            insert(table).values(
                revision=revision,
                namespace=key.namespace,
                account=key.name,
                action=entry.action.value,
                before=history_text(before),
                after=history_text(entry.after),
                reason=entry.reason,
                message=entry.message,
            )
        )
        assert inserted.inserted_primary_key is not None  # noqa: S101 - an INSERT of one row has one
        switch_id = literal(inserted.inserted_primary_key[0])
        names = select(switch_id, domain.c.name).where(of_account, _in_state(before))
        # Without this option SQLAlchemy drops the row count of an INSERT.
        written = insert(switched).from_select(("switch", "name"), names)
        total += connection.execute(written.execution_options(preserve_rowcount=True)).rowcount
    return total


def _in_state(state: DomainState) -> ColumnElement[bool]:
    return and_(
        *(
            domain.c[name].is_not_distinct_from(value)
            for name, value in zip(DOMAIN_COLUMNS, domain_columns(state), strict=True)
        )
    )
