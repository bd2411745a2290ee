"""The constraints of the schema, tested with raw SQL."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from sendroute.model.current import AccountState, RanApplyAll
from sendroute.model.route import via
from sendroute.store.create import init_store
from sendroute.store.tables import metadata

from .raw import Raw, opened


class RawStore:
    """Executes a statement; a dict gives a different statement for each database."""

    def __init__(self, connection: Raw) -> None:
        self._connection = connection
        self.refusal: type[Exception] = psycopg.IntegrityError
        if isinstance(connection, sqlite3.Connection):
            self.refusal = sqlite3.IntegrityError

    def execute(self, statement: str | dict[str, str]) -> None:
        if isinstance(statement, dict):
            name = "sqlite" if isinstance(self._connection, sqlite3.Connection) else "postgresql"
            statement = statement[name]
        self._connection.execute(statement)

    def dump(self) -> dict[str, list[str]]:
        return {
            name: sorted(map(repr, self._connection.execute(f"SELECT * FROM {name}")))  # noqa: S608
            for name in metadata.tables
        }


@pytest.fixture
def raw(store_url: str, say: Any, other: Any) -> Iterator[RawStore]:
    """Account 1 has the profiles ses and idle, account 2 has theirs; a.example uses ses."""
    with init_store(store_url, say.provenance) as store:
        state = AccountState("nano")
        mine = say.start("a.example", route=via("ses"))
        theirs = other.plan(0, other.account(), other.profile("theirs"))
        store.commit([mine, theirs], None, say.provenance)
        ran = ("once", RanApplyAll(via("ses"), 1))
        again = say.plan(1, say.account(state, state, ran), say.profile("idle"))
        store.commit([again], None, say.provenance)
    with opened(store_url) as connection:
        yield RawStore(connection)


DOMAIN = "INSERT INTO domain VALUES ('b.example', 1, {}, 'declared', NULL, NULL, NULL, 2, 2, NULL)"

REFUSED = {
    "a domain with a missing profile": DOMAIN.format("'profile', 'none'"),
    "a domain with another account's profile": DOMAIN.format("'profile', 'theirs'"),
    "a domain of a missing account": "UPDATE domain SET account_id = 77",
    "a second owner of a domain": (
        "INSERT INTO domain VALUES"
        " ('a.example', 2, 'managed', NULL, 'default', NULL, NULL, NULL, 2, 2, NULL)"
    ),
    "a profile name with another kind": DOMAIN.format("'managed', 'ses'"),
    "the kind profile without a profile name": DOMAIN.format("'profile', NULL"),
    "an unknown kind": DOMAIN.format("'direct', NULL"),
    "no kind": DOMAIN.format("NULL, NULL"),
    "an unknown origin": "UPDATE domain SET origin = 'luck'",
    "a declared profile without its kind": "UPDATE domain SET declared_profile = 'ses'",
    "a declared kind profile without a name": "UPDATE domain SET declared_kind = 'profile'",
    "an unknown declared kind": "UPDATE domain SET declared_kind = 'direct'",
    "a default profile without its kind": "UPDATE account SET default_profile = 'ses'",
    "a shadow by an apply-all that never ran": (
        "UPDATE domain SET origin = 'apply-all', shadow = 'never'"
    ),
    "a shadow on a declared origin": "UPDATE domain SET origin = 'declared', shadow = 'once'",
    "deleting a profile in use": "DELETE FROM profile WHERE name = 'ses'",
    "renaming a profile": "UPDATE profile SET name = 'new' WHERE name = 'idle'",
    "using a profile id again": (
        "INSERT INTO profile SELECT id, account_id, name, 1, spec FROM profile WHERE id = 3"
    ),
    "a profile id below a used id": (
        "INSERT INTO profile (id, account_id, name, version, spec) VALUES (0, 1, 'x', 1, '{}')"
    ),
    "replacing a profile under its id": {
        "sqlite": (
            "INSERT OR REPLACE INTO profile SELECT id, account_id, name, 1, '{}' FROM profile"
            " WHERE name = 'idle'"
        ),
        "postgresql": (
            "INSERT INTO profile SELECT id, account_id, name, 1, '{}' FROM profile"
            " WHERE name = 'idle' ON CONFLICT (id) DO UPDATE SET spec = EXCLUDED.spec"
        ),
    },
    "changing a profile without a new version": "UPDATE profile SET spec = '{}'",
    "an older version of a profile": "UPDATE profile SET version = 0",
    "deleting an account that owns profiles": "DELETE FROM account WHERE id = 1",
    "a second account of one name": (
        "INSERT INTO account (namespace, name, plan, revision) VALUES ('acme', 'acme', 'x', 1)"
    ),
    "renaming an account": "UPDATE account SET name = 'x' WHERE id = 2",
    "an older fence": "UPDATE account SET revision = 0",
    "one apply-all id twice": (
        "INSERT INTO apply_all VALUES ('acme', 'acme', 'once', 1, 'managed', NULL, 1, 2)"
    ),
    "an apply-all with another account's id": (
        "INSERT INTO apply_all VALUES ('acme', 'acme', 'two', 2, 'managed', NULL, 1, 2)"
    ),
    "changing an apply-all": "UPDATE apply_all SET domains = 9",
    "forgetting an apply-all": "DELETE FROM apply_all",
    "changing history": "UPDATE history SET message = 'nothing happened'",
    "deleting history": "DELETE FROM history",
    "replacing a row of history": {
        "sqlite": (
            "INSERT OR REPLACE INTO history SELECT seq, revision, namespace, account, kind, name,"
            " 'x', before, after, reason, message FROM history WHERE seq = 1"
        ),
        "postgresql": (
            "INSERT INTO history SELECT * FROM history WHERE seq = 1"
            " ON CONFLICT (seq) DO UPDATE SET message = 'x'"
        ),
    },
    "history of a missing revision": (
        "INSERT INTO history (revision, namespace, account, kind, name, action, reason, message)"
        " VALUES (77, '', '', '', '', '', '', '')"
    ),
    "changing the actor of a revision": "UPDATE revision SET actor = 'nobody'",
    "deleting a revision": "DELETE FROM revision",
    "deleting an endpoint": "DELETE FROM endpoint",
    "changing the host of an endpoint": "UPDATE endpoint SET host = 'evil.example'",
    "changing the account of an endpoint": "UPDATE endpoint SET account = 'umbrella'",
    "a lower revision": "UPDATE store SET revision = 1",
    "another lineage": "UPDATE store SET lineage = 'x'",
    "a second store row": "INSERT INTO store SELECT 2, lineage, 1, 1, created_at FROM store",
    "no store row": "DELETE FROM store",
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED.keys())
def test_the_schema_refuses(raw: RawStore, statement: str | dict[str, str]) -> None:
    before = raw.dump()
    with pytest.raises(raw.refusal):
        raw.execute(statement)
    assert raw.dump() == before


APPEND_ONLY = ("history", "revision", "apply_all", "switch", "switched", "store", "endpoint")


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_an_append_only_table_cannot_be_truncated(postgres_url: str, say: Any, table: str) -> None:
    init_store(postgres_url, say.provenance).close()
    with opened(postgres_url) as connection, pytest.raises(psycopg.IntegrityError):
        connection.execute(f"TRUNCATE {table} CASCADE")


ACCEPTED = {
    "a domain with its account's profile": DOMAIN.format("'profile', 'idle'"),
    "a declared route to a deleted profile": (
        "UPDATE domain SET declared_kind = 'profile', declared_profile = 'gone'"
    ),
    "deleting an unused profile": "DELETE FROM profile WHERE name = 'idle'",
    "a changed profile with a higher version": "UPDATE profile SET spec = '{}', version = 2",
    "retiring an endpoint": "UPDATE endpoint SET retired = 2 WHERE name = 'ses' AND profile = 1",
    "a credential encrypted again": "UPDATE endpoint SET credential = 'x'",
    "a shadow by an apply-all that ran": "UPDATE domain SET origin = 'apply-all', shadow = 'once'",
}


@pytest.mark.parametrize("statement", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_the_schema_accepts(raw: RawStore, statement: str) -> None:
    raw.execute(statement)
