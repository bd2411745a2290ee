"""What a store that goes back in time must not do again: give a number that was given already.

A backup or a lock file may be older than what was lost. Since then the lost store may have given
profile ids and versions, and mail that waits in a queue knows its provider by them alone (alias
``p42r7``). Given again they would lead that mail, with somebody's credential, elsewhere. So both
leap over what can have been given: ids by a million, versions by a thousand.

Revisions do not leap, for a lock file tells an older copy by them. Whoever follows a store (a
relay's agent) keeps the *attempt* of the revision that it has, beside its number: where the store
has not come by it, it is on another course, and all is read anew. Aliases that are known stay,
whatever is read anew. Relays' rows of the old course go: an agent that comes back says again what
it serves.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, literal, select, update

from sendroute.model.current import RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.provenance import Provenance
from sendroute.store import revisions
from sendroute.store.bulk import chunks
from sendroute.store.errors import stale
from sendroute.store.recording import say
from sendroute.store.states import route_columns
from sendroute.store.tables import apply_all, endpoint, platform, profile, relay, revision, store

IDS = 1_000_000
VERSIONS = 1_000


class Head(Struct, frozen=True):
    """A revision as who follows the store knows it. ``attempt`` is its name, whatever its number
    elsewhere; None for one that an older version made."""

    revision: int
    attempt: str | None


class Past(Struct, frozen=True):
    """What a commit does besides its changes where it goes back to ``head``, the state of
    ``source`` (a file's name). ``ran`` are apply-alls that are not known here. ``on`` is the
    revision of the store that it was planned on: what is not changed must be as it was, too."""

    head: Head
    source: str
    ran: Mapping[AccountKey, Mapping[str, RanApplyAll]]
    on: int


def head_of(connection: Connection) -> Head:
    found = select(revision.c.number, revision.c.attempt).join(
        store, store.c.revision == revision.c.number
    )
    return Head(*connection.execute(found).one())


def knows(connection: Connection, head: Head) -> bool:
    """Whether the store has come by that revision, or was brought to its state."""
    same = revision.c.attempt == head.attempt
    if head.attempt is None:
        same = revision.c.number == head.revision
    return connection.execute(select(revision.c.id).where(same)).one_or_none() is not None


def check_still(connection: Connection, on: int) -> None:
    """Raises :class:`~sendroute.model.problem.StaleError` where anything was changed since."""
    current = select(store.c.revision).with_for_update()
    if connection.execute(current).scalar_one() != on:
        raise stale()


def take_over(connection: Connection, head: Head, provenance: Provenance) -> bool:
    """Whether it is on another course; from now on the store has come by it. It has no number
    here, where that may be another's."""
    if knows(connection, head):
        return False
    if head.attempt is not None:
        revisions.begin(connection, provenance, head.attempt)
    return True


def remember(connection: Connection, past: Past, own: int) -> None:
    """Ids are kept for ever; here as those of accounts that are gone, until they are adopted."""
    rows = []
    for key, ran in past.ran.items():
        for ran_id, record in ran.items():
            kind, through = route_columns(record.route)
            rows.append(
                {
                    "namespace": key.namespace,
                    "account": key.name,
                    "id": ran_id,
                    "kind": kind,
                    "profile": through,
                    "domains": record.domains,
                    "revision": own,
                }
            )
    for some in chunks(rows):
        connection.execute(insert(apply_all), some)


def adopt(connection: Connection, key: AccountKey, number: int, shadows: Iterable[str]) -> None:
    """The account's row, which may be another than when they ran, becomes theirs."""
    mine = (apply_all.c.namespace == key.namespace, apply_all.c.account == key.name)
    strange = apply_all.c.account_id.is_distinct_from(number)
    for some in chunks(shadows):
        adopted = update(apply_all).where(*mine, strange, apply_all.c.id.in_(some))
        connection.execute(adopted.values(account_id=number))


def conclude(connection: Connection, past: Past, own: int, *, elsewhere: bool) -> None:
    """Just before the revision is numbered: above that of the state restored. ``elsewhere``: that
    was on another course."""
    message = f"The store went back to {past.source}, of revision {past.head.revision}."
    say(connection, own, "update", "restored", message)
    if elsewhere:
        leap(connection, own)
        behind = store.c.revision < past.head.revision
        connection.execute(update(store).where(behind).values(revision=past.head.revision))


def leap(connection: Connection, own: int) -> None:
    """On to another course: numbers leap, and no relay is known to serve it."""
    connection.execute(delete(relay))
    connection.execute(update(store).values(last_profile=store.c.last_profile + IDS))
    revisions.continue_profiles(connection)
    connection.execute(update(profile).values(version=profile.c.version + VERSIONS))
    connection.execute(update(platform).values(version=platform.c.version + VERSIONS))
    anew = {
        "version": endpoint.c.version + VERSIONS,
        "made": literal(own),
    }
    columns = [name for name in endpoint.c.keys() if name != "retired"]  # noqa: SIM118
    rows = select(*(anew.get(name, endpoint.c[name]) for name in columns)).where(
        endpoint.c.retired.is_(None)
    )
    connection.execute(insert(endpoint).from_select(columns, rows))
    before = (endpoint.c.retired.is_(None), endpoint.c.made != own)
    connection.execute(update(endpoint).where(*before).values(retired=own))
