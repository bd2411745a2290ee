"""The schema. The migrations make it, and a test holds the two equal.

Names are natural keys, so that reading a domain needs no join. What a route may be is said once,
by :func:`_route_checks`, for every table that holds one.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Sequence,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

# The newest migration's id: read beside the store's own, so that Alembic is imported only by a
# store that is older. Ids are numbers in order, which tells older from newer.
HEAD = "0007"

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# Ordered as Python orders text, by code points, whatever the database's own language is.
Name = Text().with_variant(Text(collation="C"), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """Aware in, aware out, in UTC: SQLite itself keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def utc(raw: datetime | str) -> datetime:
    """A time as a driver returns it: SQLite's is text without a zone."""
    if isinstance(raw, str):
        return datetime.fromisoformat(raw).replace(tzinfo=UTC)
    return raw.astimezone(UTC)


def _route_checks(prefix: str = "") -> tuple[CheckConstraint, CheckConstraint]:
    """A kind that is known, and a profile exactly where the kind is one (a NULL kind passes the
    first, for a check refuses only what is false; hence the coalesce in the second)."""
    kind, profile = f"{prefix}kind", f"{prefix}profile"
    return (
        CheckConstraint(f"{kind} IN ('managed', 'profile', 'unconfigured')", name=kind),
        CheckConstraint(
            f"(coalesce({kind}, '') = 'profile') = ({profile} IS NOT NULL)", name=profile
        ),
    )


def _one_row(table: str, *columns: Column[Any]) -> Table:
    return Table(
        table,
        metadata,
        Column("id", SmallInteger, primary_key=True),
        *columns,
        CheckConstraint("id = 1", name="one_row"),
    )


# `revision` is raised by each writing transaction, last. `last_profile` is the highest profile id
# ever given: a trigger raises it and refuses an id that is not above it. Where several may write at
# once the ids come from the sequence, and the row is raised at the end: nobody waits for it.
profile_id = Sequence("profile_id")
store = _one_row(
    "store",
    Column("lineage", String(36), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("last_profile", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

platform = _one_row(
    "platform",
    Column("spec", Text, nullable=False),
    Column("version", Integer, nullable=False),
)

# One row a writing transaction: when, who, from which commit. Append-only. `id` is taken when it
# begins, and is what other rows carry; `number` is the store's revision, given as its last act, so
# that whoever sees a revision has seen all before it and nobody waits for a long transaction.
# Within an account ids rise as numbers do, for they are taken under the account's lock. `commit_id`
# is by which a program finds out whether a commit was done whose answer was lost.
# Where several may write at once the ids come from the sequence, whose gaps mean nothing.
revision_id = Sequence("revision_id", start=0, minvalue=0)
revision = Table(
    "revision",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("source_commit", Text),
    Column("number", BigInteger, index=True, unique=True),
    Column("commit_id", String(36), index=True, unique=True),
)

# `revision` is the fence: the transaction that last changed anything of the account. As it is the
# store's and not a count of its own, an account deleted and made again never has an old one.
account = Table(
    "account",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("namespace", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("plan", Text, nullable=False),
    Column("default_kind", Text),
    Column("default_profile", Name),
    Column("revision", BigInteger, ForeignKey("revision.id"), nullable=False),
    UniqueConstraint("namespace", "name"),
    *_route_checks("default_"),
    sqlite_autoincrement=True,
)

profile = Table(
    "profile",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", Integer, ForeignKey("account.id"), nullable=False),
    Column("name", Name, nullable=False),
    Column("version", Integer, nullable=False),
    Column("spec", Text, nullable=False),
    UniqueConstraint("account_id", "name"),
    CheckConstraint("version > 0", name="version"),
)

# Where mail goes under one alias: a row for each revision of a profile, `p{profile}r{version}`, and
# of the managed relay, `m0r{version}`, whose profile is 0. A mail in a queue knows its nexthop by
# the alias alone, so a revision that was replaced stays, with its credential: no key leads to the
# profile's row. `made` and `retired` are the transactions that made and replaced it. `credential`
# is sealed; NULL where there is none, or none yet (a store made from a lock file).
endpoint = Table(
    "endpoint",
    metadata,
    Column("profile", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("namespace", Name, nullable=False),
    Column("account", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("encryption", Text, nullable=False),
    Column("credential", Text),
    Column("made", BigInteger, ForeignKey("revision.id"), nullable=False),
    Column("retired", BigInteger, ForeignKey("revision.id")),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("retired IS NULL OR retired > made", name="retired"),
)

# For ever: no key leads to the account's row, which may go and come again under the same name.
# `account_id` is the account that it ran in, for the domains it shadows; NULL where that is gone
# and known only from a lock file.
apply_all = Table(
    "apply_all",
    metadata,
    Column("namespace", Name, primary_key=True),
    Column("account", Name, primary_key=True),
    Column("id", Name, primary_key=True),
    Column("account_id", Integer),
    Column("kind", Text, nullable=False),
    Column("profile", Name),
    Column("domains", BigInteger, nullable=False),
    Column("revision", BigInteger, ForeignKey("revision.id"), nullable=False),
    UniqueConstraint("account_id", "id"),
    *_route_checks(),
)

# No index on the route: an apply-all rewrites it for every domain (PostgreSQL then updates in
# place). `since` is the transaction that gave the route, `changed` the one that last changed the
# row.
domain = Table(
    "domain",
    metadata,
    Column("name", Name, primary_key=True),
    Column("account_id", Integer, ForeignKey("account.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("profile", Name),
    Column("origin", Text, nullable=False),
    Column("declared_kind", Text),
    Column("declared_profile", Name),
    Column("shadow", Name),
    Column("since", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    ForeignKeyConstraint(["account_id", "profile"], ["profile.account_id", "profile.name"]),
    ForeignKeyConstraint(["account_id", "shadow"], ["apply_all.account_id", "apply_all.id"]),
    *_route_checks(),
    *_route_checks("declared_"),
    CheckConstraint("origin IN ('declared', 'default', 'apply-all', 'reassigned')", name="origin"),
    CheckConstraint("shadow IS NULL OR origin = 'apply-all'", name="shadow"),
    # PostgreSQL: room in each page for its rows' next version, which then needs no index entry.
    postgresql_with={"fillfactor": 45},
)

# Append-only. `at`, `actor` and the commit are the revision's: one row each, not a million.
history = Table(
    "history",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("revision", BigInteger, ForeignKey("revision.id"), nullable=False),
    Column("namespace", Name, nullable=False),
    Column("account", Name, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Name, nullable=False),
    Column("action", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Index(None, "name"),
    Index(None, "namespace", "account"),
)

# An apply-all that switches a whole account: a row for each state its domains were in, with what
# the history would say of each of them; and a narrow row a domain, a million of which are written
# in the time that the routes themselves take. Append-only.
switch = Table(
    "switch",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("revision", BigInteger, ForeignKey("revision.id"), nullable=False),
    Column("namespace", Name, nullable=False),
    Column("account", Name, nullable=False),
    Column("action", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Index(None, "namespace", "account"),
)
switched = Table(
    "switched",
    metadata,
    Column("switch", BigInteger, ForeignKey("switch.id"), primary_key=True, autoincrement=False),
    Column("name", Name, primary_key=True),
    sqlite_with_rowid=False,
)

# Why an account was not applied (completely) by the last reconcile: held back, failed, skipped in
# part. And the approval of what was held back, bound to the digest of its plan. The transaction
# that commits the account deletes the row. No foreign key to the account, which may not exist yet.
account_status = Table(
    "account_status",
    metadata,
    Column("namespace", Name, primary_key=True),
    Column("account", Name, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("digest", Text),
    Column("report", Text, nullable=False),
    Column("source_commit", Text),
    Column("since", UtcDateTime, nullable=False),
    Column("approved", Text),
    Column("approved_by", Text),
    Column("approved_at", UtcDateTime),
    CheckConstraint(
        "(approved IS NULL) = (approved_by IS NULL) AND (approved IS NULL) = (approved_at IS NULL)",
        name="approved",
    ),
)

# The agents beside the mail servers: which revision each serves.
relay = Table(
    "relay",
    metadata,
    Column("name", Name, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)
