"""Endpoints: one row for each revision of a destination, with its encrypted credential."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, Select, and_, func, insert, select, tuple_, update

from sendroute.model.change import ChangeReason
from sendroute.model.desired import AccountKey
from sendroute.model.nexthop import BOUNCES_ID, RELAY_ID, Alias
from sendroute.model.owner import (
    BOUNCES,
    PLATFORM,
    RELAY,
    Owner,
    owner_names,
    relays_of,
)
from sendroute.model.platform import Platform, Relay
from sendroute.model.profile import Encryption, Profile
from sendroute.model.provenance import Provenance
from sendroute.model.records import Endpoint, Rekeyed
from sendroute.model.secret import SecretBinding, binding_of
from sendroute.model.stored_values import StoredHost, StoredPort
from sendroute.store import history, revisions
from sendroute.store.bulk import execute_many, restricted
from sendroute.store.errors import WrongValueError, unreadable
from sendroute.store.queries import profiles
from sendroute.store.states import (
    account_key,
    member_of,
    numbered,
    owner_key,
    platform_of,
    profile_of,
)
from sendroute.store.tables import account, endpoint, platform, profile, revision
from sendroute.store.tables import history as table_of_history

_RELAY_IDS = {RELAY: RELAY_ID, BOUNCES: BOUNCES_ID}

_BINDING = ("namespace", "account", "name", "host", "port", "encryption")
_COLUMNS = ("profile", "version", *_BINDING, "credential", "made")


class NewEndpoint(Struct, frozen=True):
    """A new revision of a destination. ``number`` is the profile's id and version, ``made`` the id
    of the revision that creates it, ``token`` the encrypted credential."""

    number: tuple[int, int]
    binding: SecretBinding
    made: int
    token: str | None

    def row(self) -> tuple[str | int | None, ...]:
        """The values of the table's columns, in order."""
        bound = self.binding
        return (
            *self.number,
            bound.namespace,
            bound.account,
            bound.profile,
            bound.host,
            bound.port,
            bound.encryption.value,
            self.token,
            self.made,
        )


def write_all(connection: Connection, new: Iterable[NewEndpoint]) -> None:
    """Insert endpoints of new profiles."""
    execute_many(
        connection, insert(endpoint), _COLUMNS, (new_endpoint.row() for new_endpoint in new)
    )


def replace(connection: Connection, new: NewEndpoint, *, same_identity: bool) -> None:
    """Insert an endpoint and retire the previous one of its profile.

    A new endpoint without a credential takes that of the previous endpoint, but only if
    ``same_identity`` is true and the destination is the same.
    """
    in_use = and_(endpoint.c.profile == new.number[0], endpoint.c.retired.is_(None))
    before = connection.execute(select(endpoint).where(in_use)).one_or_none()
    connection.execute(update(endpoint).where(in_use).values(retired=new.made))
    keeps_credential = same_identity and before is not None and _binding(before) == new.binding
    if new.token is None and before is not None and keeps_credential:
        new = msgspec.structs.replace(new, token=before.credential)
    write_all(connection, [new])


def same_identity(before: Profile | Relay | None, after: Profile | Relay) -> bool:
    """Whether both sign in with the same secret and the same explicit username."""
    if before is None:
        return False
    identities = [
        (destination.secret, destination.username if isinstance(destination, Profile) else None)
        for destination in (before, after)
    ]
    return identities[0] == identities[1] and after.secret is not None


def retire(connection: Connection, ids: Iterable[int], now: int) -> None:
    """Mark the endpoints in use of these profiles as replaced. Their rows stay, because mail in a
    queue may still use them."""
    in_use = and_(endpoint.c.profile.in_(list(ids)), endpoint.c.retired.is_(None))
    connection.execute(update(endpoint).where(in_use).values(retired=now))


def write_relays(
    connection: Connection,
    version: int,
    after: Platform,
    before: Platform | None,
    now: int,
    tokens: Mapping[str, str],
) -> None:
    """Write the relays of a new version of the platform, and retire those that it no longer has.
    ``tokens`` are their encrypted credentials by name."""
    saved, relays = relays_of(before), relays_of(after)
    for name, number in _RELAY_IDS.items():
        relay = relays.get(name)
        if relay is None:
            retire(connection, [number], now)
            continue
        new = NewEndpoint(
            (number, version), binding_of(PLATFORM, name, relay), now, tokens.get(name)
        )
        replace(connection, new, same_identity=same_identity(saved.get(name), relay))


def encrypted(
    connection: Connection, only: Collection[AccountKey] | None = None
) -> dict[Owner, dict[str, str]]:
    """The encrypted credentials of the endpoints in use: of every account, or of some; the managed
    relay's in either case."""
    tokens: dict[Owner, dict[str, str]] = {}
    in_use = select(endpoint).where(
        endpoint.c.retired.is_(None), endpoint.c.credential.is_not(None)
    )
    keys = None if only is None else [*only, owner_names(PLATFORM)]
    for statement in restricted(in_use, endpoint.c.namespace, endpoint.c.account, keys):
        for row in connection.execute(statement):
            owner = owner_key(row.namespace, row.account)
            tokens.setdefault(owner, {})[row.name] = row.credential
    return tokens


def decrypts_none(connection: Connection, decrypts: Callable[[str, SecretBinding], bool]) -> bool:
    """Whether there are credentials in use, and none of them decrypts."""
    in_use = select(endpoint).where(
        endpoint.c.retired.is_(None), endpoint.c.credential.is_not(None)
    )
    rows = connection.execute(in_use).all()
    return bool(rows) and not any(decrypts(row.credential, _binding(row)) for row in rows)


def undecryptable(connection: Connection) -> frozenset[tuple[Owner, str]]:
    """The credentials in use, by owner and profile, that came with a backup whose key was not
    given, and were not saved again since. A new version of a profile may have copied one."""
    entries = table_of_history.c
    restored = select(func.max(entries.revision)).where(
        entries.name == "",
        entries.kind == history.STORE_KIND,
        entries.reason == ChangeReason.RESTORED_WITHOUT_KEY.value,
    )
    at = connection.execute(restored).scalar()
    if at is None:
        return frozenset()
    lost = select(endpoint.c.credential).where(endpoint.c.made <= at)
    rows = connection.execute(
        select(endpoint.c.namespace, endpoint.c.account, endpoint.c.name).where(
            endpoint.c.retired.is_(None), endpoint.c.credential.in_(lost)
        )
    )
    return frozenset((owner_key(row.namespace, row.account), row.name) for row in rows)


def all_endpoints(
    connection: Connection, only: Collection[Alias] | None = None
) -> Iterator[Endpoint]:
    """All endpoints, or those of some aliases, retired ones included, in the order of profile ids
    and versions."""
    made, retired = revision.alias(), revision.alias()
    statement = (
        select(endpoint, made.c.number.label("since"), retired.c.number.label("until"))
        .join_from(endpoint, made, endpoint.c.made == made.c.id)
        .outerjoin(retired, endpoint.c.retired == retired.c.id)
        .order_by(endpoint.c.profile, endpoint.c.version)
    )
    if only is not None:
        columns = tuple_(endpoint.c.profile, endpoint.c.version)
        statement = statement.where(columns.in_([tuple(alias) for alias in only]))
    for row in connection.execute(statement):
        yield Endpoint(
            row.profile,
            row.version,
            _binding(row),
            row.credential,
            numbered(row.since),
            None if row.retired is None else numbered(row.until),
        )


def rekey(
    connection: Connection,
    encrypt: Callable[[str, SecretBinding], str | None],
    provenance: Provenance,
    commit_id: str,
) -> Rekeyed:
    """Replace every credential by what ``encrypt`` returns for it, as a separate revision.

    Credentials of retired endpoints are replaced too. One that cannot be decrypted stays as it is
    if it is retired, or if its key was lost with the store; then another one must be readable.
    Otherwise a key is missing, and :class:`~sendroute.model.problem.ProblemError` is raised
    (``credential-unreadable``).
    """
    count, retired, left = 0, 0, list[Endpoint]()
    lost = undecryptable(connection)
    for stored in list(all_endpoints(connection)):
        if stored.credential is None:
            continue
        token = encrypt(stored.credential, stored.binding)
        if token is None:
            if stored.retired is None and _owner_and_name(stored.binding) not in lost:
                raise unreadable(stored.binding)
            left.append(stored)
            continue
        connection.execute(
            update(endpoint)
            .where(endpoint.c.profile == stored.profile, endpoint.c.version == stored.version)
            .values(credential=token)
        )
        count += 1
        retired += stored.retired is not None
    if left and not count:
        raise unreadable(left[0].binding)
    now = revisions.begin(connection, provenance, commit_id)
    message = f"{count} credentials were re-encrypted."
    if left:
        message += f" {len(left)} could not be decrypted, and stay as they are."
    history.add_store_entry(connection, now, "update", ChangeReason.REKEYED, message)
    revisions.end(connection, now)
    return Rekeyed(count, retired, tuple(left))


def fill(connection: Connection, now: int) -> None:
    """Insert the endpoints of a store that was created from a lock file, which has no
    credentials."""
    write_all(
        connection,
        [
            NewEndpoint(
                (row.id, row.version), binding_of(row.account, row.name, row.profile), now, None
            )
            for row in profiles(connection)
        ],
    )
    current = connection.execute(select(platform)).one_or_none()
    if current is not None:
        write_relays(connection, current.version, platform_of(current.spec), None, now, {})


def check_in_use(connection: Connection) -> None:
    """Compare the endpoints in use with the profiles and the platform's relays, in constant memory.
    Mail is sent to an endpoint, and people are shown the profile.

    Raises :class:`~sendroute.store.errors.WrongValueError` if one has another destination than its
    profile or relay, or if either lacks the other.
    """
    count = 0
    for expected, stored in _in_use(connection):
        count += 1
        if stored.host is None or _binding(stored) != expected:
            raise WrongValueError("an endpoint has another destination than its profile")
    in_use = select(func.count()).select_from(endpoint).where(endpoint.c.retired.is_(None))
    if connection.execute(in_use).scalar_one() != count:
        raise WrongValueError("an endpoint in use has no profile")


def _in_use(connection: Connection) -> Iterator[tuple[SecretBinding, Row[Any]]]:
    """The binding of each profile and relay, with the columns of its endpoint: NULL without one."""
    columns = [endpoint.c[name] for name in _BINDING]
    of_profile = and_(
        endpoint.c.profile == profile.c.id,
        endpoint.c.version == profile.c.version,
        endpoint.c.retired.is_(None),
    )
    statement: Select[Any] = (
        select(
            *columns,
            profile.c.spec,
            profile.c.name.label("title"),
            account.c.namespace.label("of_namespace"),
            account.c.name.label("of_account"),
        )
        .join_from(profile, account, profile.c.account_id == account.c.id)
        .outerjoin(endpoint, of_profile)
    )
    for row in connection.execute(statement):
        owner = account_key(row.of_namespace, row.of_account)
        yield binding_of(owner, row.title, profile_of(row.spec)), row
    current = connection.execute(select(platform)).one_or_none()
    relays = relays_of(platform_of(current.spec)) if current is not None else {}
    for name, relay in relays.items():
        of_relay = and_(
            endpoint.c.profile == _RELAY_IDS[name],
            endpoint.c.version == platform.c.version,
            endpoint.c.retired.is_(None),
        )
        statement = select(*columns).join_from(platform, endpoint, of_relay, isouter=True)
        yield binding_of(PLATFORM, name, relay), connection.execute(statement).one()


def _owner_and_name(binding: SecretBinding) -> tuple[Owner, str]:
    return binding.owner, binding.profile


def _binding(row: Any) -> SecretBinding:
    """The binding of a row. Its host becomes a line of the relays' alias files, so what is no name
    is refused (``msgspec.ValidationError``)."""
    owner_key(row.namespace, row.account)
    host, port = msgspec.convert((row.host, row.port), tuple[StoredHost, StoredPort])
    return SecretBinding(
        row.namespace,
        row.account,
        row.name,
        host,
        port,
        member_of(Encryption, row.encryption),
    )
