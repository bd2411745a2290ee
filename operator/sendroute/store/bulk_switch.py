"""An apply-all over a whole account as a few statements, however many domains it has.

What the history says of a domain depends only on the state the domain was in, and a million
domains are in few states: so each state is written once, and one INSERT … SELECT a state says
which domains were in it. One guarded UPDATE then switches the routes.
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

# More states than this in one account is unheard of; each is a scan of it.
_MOST_STATES = 20
# Below this many domains two scans of the account gain nothing.
_FEWEST_DOMAINS = 100


class Told(Struct, frozen=True):
    """What the history says of each domain that was in one state."""

    after: DomainState
    action: Action
    reason: str
    message: str


class Switch(Struct, frozen=True):
    """``told`` covers every state that the ``domains`` switched domains are in."""

    id: str
    route: Route
    domains: int
    told: dict[DomainState, Told]


def whole_switch(ran: tuple[str, RanApplyAll], changes: Sequence[DomainChange]) -> Switch | None:
    """The changes as one switch, or None where they are more than that: a declared route that
    is edited too, a message for one domain alone, a reassignment."""
    ran_id, record = ran
    if len(changes) < _FEWEST_DOMAINS:
        return None
    told: dict[DomainState, Told] = {}
    for change in changes:
        before, after = change.before, change.after
        if before is None or after is None:
            return None
        known = told.get(before)
        if known is None:
            desired = DomainState(record.route, Origin.APPLY_ALL, before.declared, ran_id)
            if after != desired or len(told) == _MOST_STATES:
                return None
            told[before] = Told(after, change.action, change.reason, change.message)
        elif (
            change.action is not known.action
            or (after is not known.after and after != known.after)
            or change.reason != known.reason
            or change.message != known.message
        ):
            return None
    return Switch(ran_id, record.route, len(changes), told)


def switch(
    connection: Connection, key: AccountKey, number: int, this: Switch, revision: int
) -> bool:
    """Does it, unless the account has other domains than those (suspended ones, say): then False,
    and nothing is done. The fence on the account is what makes the planned states the stored
    ones; the number of rows is counted all the same."""
    mine = domain.c.account_id == number
    if connection.execute(select(func.count()).where(mine)).scalar_one() != this.domains:
        return False
    if _tell(connection, key, mine, this, revision) != this.domains:
        raise stale(key)
    kind, profile = this.route.kind.value, this.route.profile
    stays = and_(domain.c.kind == kind, domain.c.profile.is_not_distinct_from(profile))
    turned = (
        update(domain)
        .where(mine)
        .values(
            kind=kind,
            profile=profile,
            origin=Origin.APPLY_ALL.value,
            shadow=this.id,
            since=case((stays, domain.c.since), else_=revision),
            changed=revision,
        )
    )
    if connection.execute(turned).rowcount != this.domains:
        raise stale(key)
    return True


def _tell(
    connection: Connection,
    key: AccountKey,
    mine: ColumnElement[bool],
    this: Switch,
    revision: int,
) -> int:
    """Writes the history of it; of how many domains."""
    total = 0
    for before, told in this.told.items():
        made = connection.execute(
            insert(table).values(
                revision=revision,
                namespace=key.namespace,
                account=key.name,
                action=told.action.value,
                before=history_text(before),
                after=history_text(told.after),
                reason=told.reason,
                message=told.message,
            )
        )
        assert made.inserted_primary_key is not None  # noqa: S101 - an INSERT of one row has one
        own = literal(made.inserted_primary_key[0])
        names = select(own, domain.c.name).where(mine, _in_state(before))
        # An INSERT's count is kept only where it is asked for.
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
