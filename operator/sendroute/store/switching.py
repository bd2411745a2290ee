"""An apply-all over a whole account as two statements, however many domains it has.

One INSERT … SELECT writes the history, one guarded UPDATE the routes. What a domain's history row
says depends only on the state the domain was in, and a million domains are in few states: so the
states become the branches of a CASE.
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

from sendroute.model.change import Action, Change, Kind
from sendroute.model.held import DomainState, RanApplyAll
from sendroute.model.route import Origin, Route
from sendroute.model.wanted import AccountKey
from sendroute.store.problems import stale
from sendroute.store.recording import COLUMNS
from sendroute.store.states import DOMAIN_COLUMNS, as_text, domain_columns
from sendroute.store.tables import domain, history

# More states than this in one account is unheard of; each is a branch of a CASE for every row.
_MOST_STATES = 40
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


def whole_switch(ran: tuple[str, RanApplyAll], changes: Sequence[Change]) -> Switch | None:
    """The changes as one switch, or None where they are more than that: a declared route that
    is edited too, a message for one domain alone, a reassignment."""
    ran_id, record = ran
    if len(changes) < _FEWEST_DOMAINS:
        return None
    told: dict[DomainState, Told] = {}
    for change in changes:
        before, after = change.before, change.after
        if not isinstance(before, DomainState) or not isinstance(after, DomainState):
            return None
        known = told.get(before)
        if known is None:
            wanted = DomainState(record.route, Origin.APPLY_ALL, before.declared, ran_id)
            if after != wanted or len(told) == _MOST_STATES:
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
    befores = list(this.told)
    tolds = list(this.told.values())
    rows = select(
        literal(revision),
        literal(key.namespace),
        literal(key.name),
        literal(Kind.DOMAIN.value),
        domain.c.name,
        _by_state(befores, [told.action.value for told in tolds]),
        _by_state(befores, [as_text(before) for before in befores]),
        _by_state(befores, [as_text(told.after) for told in tolds]),
        _by_state(befores, [told.reason for told in tolds]),
        _by_state(befores, [told.message for told in tolds]),
    ).where(mine)
    connection.execute(insert(history).from_select(COLUMNS, rows))
    kind, profile = this.route.kind.value, this.route.profile
    stays = and_(domain.c.kind == kind, domain.c.profile.is_not_distinct_from(profile))
    switched = (
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
    if connection.execute(switched).rowcount != this.domains:
        raise stale(key)
    return True


def _by_state(states: list[DomainState], texts: list[str]) -> ColumnElement[str]:
    """The text that belongs to a row's state. What is the same in all states is not asked of a
    million rows: neither a text, nor a column that does not tell the states apart."""
    if len(set(texts)) == 1:
        return literal(texts[0])
    columns = [dict(zip(DOMAIN_COLUMNS, domain_columns(state), strict=True)) for state in states]
    telling = [name for name in DOMAIN_COLUMNS if len({one[name] for one in columns}) > 1]
    branches = [
        (and_(*(domain.c[name].is_not_distinct_from(one[name]) for name in telling)), literal(text))
        for one, text in zip(columns, texts, strict=True)
    ]
    *firsts, (_, last) = branches
    return case(*firsts, else_=last)
