"""Revisions of destinations with their sealed credentials: written with what they belong to."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, and_, insert, select, update

from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform, Relay
from sendroute.model.profile import Encryption, Profile
from sendroute.model.secret import SecretBinding, binding_of, relay_binding
from sendroute.store.queries import profiles
from sendroute.store.records import Endpoint
from sendroute.store.states import platform_of
from sendroute.store.tables import endpoint, platform, revision

Sealed = Mapping[AccountKey, Mapping[str, str]]
"""Tokens by account and profile; the managed relay's under the platform's key."""

# Of the profile ids none is 0: they begin with 1.
RELAY_ID = 0


Number = tuple[int, int]
"""A profile's id and version."""


def write(
    connection: Connection, number: Number, binding: SecretBinding, now: int, token: str | None
) -> None:
    """A new revision."""
    row = _columns(binding) | {"profile": number[0], "version": number[1], "made": now}
    connection.execute(insert(endpoint).values(**row, credential=token))


def replace(
    connection: Connection,
    number: Number,
    binding: SecretBinding,
    now: int,
    token: str | None,
    *,
    keeps: bool,
) -> None:
    """A new revision in the place of the one before. Where it ``keeps`` its identity, and no
    ``token`` is given, it takes that one's credential, but only to the same destination."""
    mine = and_(endpoint.c.profile == number[0], endpoint.c.retired.is_(None))
    before = connection.execute(select(endpoint).where(mine)).one_or_none()
    connection.execute(update(endpoint).where(mine).values(retired=now))
    if token is None and keeps and before is not None and _bond(before) == binding:
        token = before.credential
    write(connection, number, binding, now, token)


def same_identity(before: Profile | Relay | None, after: Profile | Relay) -> bool:
    """Whether the two sign in with the same secret, and as the same user if it names none."""
    if before is None:
        return False
    names = [
        (endpoint.secret, endpoint.username if isinstance(endpoint, Profile) else None)
        for endpoint in (before, after)
    ]
    return names[0] == names[1] and after.secret is not None


def retire(connection: Connection, ids: Iterable[int], now: int) -> None:
    live = and_(endpoint.c.profile.in_(list(ids)), endpoint.c.retired.is_(None))
    connection.execute(update(endpoint).where(live).values(retired=now))


def write_relay(
    connection: Connection,
    version: int,
    after: Platform,
    before: Relay | None,
    now: int,
    token: str | None,
) -> None:
    if after.managed is None:
        retire(connection, [RELAY_ID], now)
        return
    relay = after.managed.relay
    keeps = same_identity(before, relay)
    replace(connection, (RELAY_ID, version), relay_binding(relay), now, token, keeps=keeps)


def sealed(connection: Connection) -> dict[AccountKey, dict[str, str]]:
    """The tokens of what is in use."""
    found: dict[AccountKey, dict[str, str]] = {}
    current = select(endpoint).where(
        endpoint.c.retired.is_(None), endpoint.c.credential.is_not(None)
    )
    for row in connection.execute(current):
        found.setdefault(AccountKey(row.namespace, row.account), {})[row.name] = row.credential
    return found


def all_of(connection: Connection) -> Iterator[Endpoint]:
    """In the order of their making, those that were replaced included."""
    made, retired = revision.alias(), revision.alias()
    rows = connection.execute(
        select(endpoint, made.c.number.label("since"), retired.c.number.label("until"))
        .join_from(endpoint, made, endpoint.c.made == made.c.id)
        .outerjoin(retired, endpoint.c.retired == retired.c.id)
        .order_by(endpoint.c.profile, endpoint.c.version)
    )
    for row in rows:
        yield Endpoint(row.profile, row.version, _bond(row), row.credential, row.since, row.until)


def reseal(connection: Connection, anew: Callable[[str, SecretBinding], str]) -> int:
    """Every credential through ``anew``, those of replaced revisions too; how many there are."""
    current = [one for one in all_of(connection) if one.credential is not None]
    for one in current:
        assert one.credential is not None  # noqa: S101
        connection.execute(
            update(endpoint)
            .where(endpoint.c.profile == one.profile, endpoint.c.version == one.version)
            .values(credential=anew(one.credential, one.binding))
        )
    return len(current)


def fill(connection: Connection, now: int) -> None:
    """For a store that was filled from elsewhere, which holds no credential."""
    for row in profiles(connection):
        binding = binding_of(row.account, row.name, row.profile)
        write(connection, (row.id, row.version), binding, now, None)
    current = connection.execute(select(platform)).one_or_none()
    if current is not None:
        write_relay(connection, current.version, platform_of(current.spec), None, now, None)


def _columns(binding: SecretBinding) -> dict[str, Any]:
    return {
        "namespace": binding.namespace,
        "account": binding.account,
        "name": binding.profile,
        "host": binding.host,
        "port": binding.port,
        "encryption": binding.encryption.value,
    }


def _bond(row: Any) -> SecretBinding:
    return SecretBinding(
        row.namespace, row.account, row.name, row.host, row.port, Encryption(row.encryption)
    )
