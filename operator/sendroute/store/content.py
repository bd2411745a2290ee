"""Reads all of a store that came from a file, to find values that Sendroute cannot have written
before any command depends on them."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Select, literal, select
from sqlalchemy.exc import InvalidRequestError

from sendroute.model.change import Kind
from sendroute.model.secret import PLATFORM_NAMESPACE
from sendroute.model.stored_values import StoredApplyAllId, StoredDomain, StoredLabel
from sendroute.store import account_status, endpoints, queries
from sendroute.store.bulk import plain_rows
from sendroute.store.database import Database
from sendroute.store.errors import WrongValueError
from sendroute.store.export import exported_platform
from sendroute.store.states import history_document, logins_of, maybe_route_of
from sendroute.store.tables import (
    account,
    apply_all,
    domain,
    history,
    metadata,
    profile,
    relay,
    revision,
    switch,
)
from sendroute.store.translation import translated_errors

_DEFAULTS = select(account.c.plan, account.c.default_kind, account.c.default_profile)
_LOGINS = select(account.c.logins)
_NAMES: tuple[tuple[tuple[Column[Any], ...], Any], ...] = (
    (
        (account.c.namespace, account.c.name, account.c.plan),
        list[tuple[StoredLabel, StoredLabel, StoredLabel]],
    ),
    (
        (apply_all.c.namespace, apply_all.c.account, apply_all.c.id),
        list[tuple[StoredLabel, StoredLabel, StoredApplyAllId]],
    ),
    ((profile.c.name,), list[tuple[StoredLabel]]),
    ((domain.c.name,), list[tuple[StoredDomain]]),
)
_OF_PLATFORM = select(account.c.id).where(account.c.namespace == PLATFORM_NAMESPACE).limit(1)
_APPLY_ALLS = select(apply_all.c.domains, apply_all.c.kind, apply_all.c.profile)


def check_content(connection: Connection) -> None:
    """Read every value of every table, in constant memory, and compare those that say the same.

    Raises :class:`~sendroute.store.errors.WrongValueError` at the first value that Sendroute cannot
    have written.
    """
    try:
        for table in metadata.tables.values():
            for _ in _rows(connection, select(table)):
                pass
        queries.status(connection)
        exported_platform(connection)
        for rows in (
            queries.all_routes(connection),
            queries.profiles(connection),
            endpoints.all_endpoints(connection),
            account_status.read(connection),
            connection.execute(select(revision)),
            connection.execute(select(relay)),
        ):
            for _ in rows:
                pass
        for statement in (_DEFAULTS, _APPLY_ALLS):
            for row in _rows(connection, statement):
                maybe_route_of(*row[-2:])
        for (logins,) in _rows(connection, _LOGINS):
            logins_of(logins)
        for columns, form in _NAMES:
            for batch in plain_rows(connection, select(*columns)):
                msgspec.convert(batch, form)
        if connection.execute(_OF_PLATFORM).first() is not None:
            raise WrongValueError("an account is in the platform's namespace")
        _check_history(connection)
        endpoints.check_in_use(connection)
    except (ValueError, LookupError, InvalidRequestError, msgspec.MsgspecError) as error:
        raise WrongValueError("a value is not Sendroute's") from error


def require_sound(database: Database) -> None:
    """As :func:`check_content`, of a store that is open.

    Args:
        database: the store's database.

    Raises:
        ProblemError: a value is damaged (``store-failed``), or the database fails.
    """
    with translated_errors(database.location), database.reading() as connection:
        check_content(connection)


def _check_history(connection: Connection) -> None:
    """A million entries share a few states, so each is decoded once."""
    decode = lru_cache(10_000)(history_document)
    for table, kind_of in ((history, history.c.kind), (switch, literal(Kind.DOMAIN.value))):
        others = (column for column in table.c if column.key not in ("kind", "before", "after"))
        statement = select(*others, kind_of, table.c.before, table.c.after)
        for *_, kind, before, after in _rows(connection, statement):
            for text in (before, after):
                if text is not None:
                    decode(kind, text)


def _rows(connection: Connection, statement: Select[Any]) -> Iterator[tuple[Any, ...]]:
    for batch in plain_rows(connection, statement):
        yield from batch
