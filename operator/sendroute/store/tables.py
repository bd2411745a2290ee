"""The schema. The migrations create it; a test checks that both are equal.

Names are natural keys, so reading a domain needs no join. :func:`_route_checks` defines the valid
routes for every table with a route.
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

# The id of the newest migration. It is compared with that of a store, so that Alembic is imported
# only if the store is older. Ids are rising numbers, which shows whether a store is older or newer.
HEAD = "0016"

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# Ordered by code points, as in Python, whatever the collation of the database.
Name = Text().with_variant(Text(collation="C"), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """Times with a time zone, in UTC. SQLite stores no time zone."""

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
    """A time of a driver as UTC; that of SQLite is text without a time zone."""
    if isinstance(raw, str):
        return datetime.fromisoformat(raw).replace(tzinfo=UTC)
    return raw.astimezone(UTC)


def _route_checks(prefix: str = "") -> tuple[CheckConstraint, CheckConstraint]:
    """The kind is valid, and a profile is set exactly if the kind is ``profile``. A NULL kind
    passes the first check, because a check refuses only what is false; hence the coalesce in the
    second."""
    kind, profile = f"{prefix}kind", f"{prefix}profile"
    return (
        CheckConstraint(f"{kind} IN ('managed', 'profile', 'unconfigured')", name=kind),
        CheckConstraint(
            f"(coalesce({kind}, '') = 'profile') = ({profile} IS NOT NULL)", name=profile
        ),
    )


def _one_row(table: str, *columns: Column[Any] | CheckConstraint) -> Table:
    return Table(
        table,
        metadata,
        Column("id", SmallInteger, primary_key=True),
        *columns,
        CheckConstraint("id = 1", name="one_row"),
    )


# Each write transaction increments `revision` as its last statement. `last_profile` is the highest
# profile id ever assigned: a trigger updates it and refuses an id that is not above it. PostgreSQL
# takes ids from the sequence and updates the row at the end, so that writers do not wait for it.
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

# One row for each write transaction: when, who, from which commit. Append-only. `id` is taken at
# the beginning, and other rows refer to it. `number` is the store's revision; it is assigned as the
# last statement, so that a reader that sees a revision also sees all earlier ones, and no writer
# waits for a long transaction. Within an account ids rise with numbers, because they are taken
# under the account's lock. `commit_id` shows whether a commit succeeded whose confirmation was
# lost. In PostgreSQL ids come from the sequence; its gaps have no meaning.
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

# `revision` is the fence: the transaction that last changed anything in the account. Because it is
# a revision of the store, an account that was removed and created again never gets an earlier one.
# `logins` is a JSON list of login names; NULL if any client that the relay accepts may send as its
# domains.
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
    Column("logins", Text),
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

# The destination of one alias: a row for each revision of a profile, `p{profile}r{version}`, and of
# the managed relay, `m0r{version}`, whose profile is 0. A message in a queue identifies its nexthop
# by the alias alone, so a replaced revision stays, with its credential; therefore no foreign key
# refers to the profile's row. `made` and `retired` are the transactions that created and replaced
# it. `credential` is encrypted; NULL if there is none, or none yet (a store created from a lock
# file).
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
    Column("made", BigInteger, ForeignKey("revision.id"), nullable=False, index=True),
    Column("retired", BigInteger, ForeignKey("revision.id"), index=True),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint("retired IS NULL OR retired > made", name="retired"),
)

# Rows are never deleted. No foreign key refers to the account's row, because an account may be
# deleted and created again under the same name. `account_id` is the account that it ran in, to
# which the shadowed domains refer; NULL if that account was removed and is known only from a lock
# file.
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

# No index on the route, because an apply-all rewrites it for every domain (without an index
# PostgreSQL can update in place). `since` is the transaction that assigned the route, `changed` the
# last one that changed the row.
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
    Column("overrides", Name),
    ForeignKeyConstraint(["account_id", "profile"], ["profile.account_id", "profile.name"]),
    ForeignKeyConstraint(["account_id", "shadow"], ["apply_all.account_id", "apply_all.id"]),
    *_route_checks(),
    *_route_checks("declared_"),
    CheckConstraint("origin IN ('declared', 'default', 'apply-all', 'reassigned')", name="origin"),
    CheckConstraint("shadow IS NULL OR origin = 'apply-all'", name="shadow"),
    # PostgreSQL: free space in each page for new versions of its rows, which need no index entry.
    postgresql_with={"fillfactor": 45},
)

# Append-only. Time, actor and commit are in the revision's row, once instead of a million times.
APPROVE = "approve"
"""The action of an entry about an approval."""
history = Table(
    "history",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("revision", BigInteger, ForeignKey("revision.id"), nullable=False, index=True),
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

# The history of an apply-all that switches a whole account. `switch` has a row for each state that
# domains were in, with the fields of their history entries; `switched` has a narrow row for each
# domain, so that a million rows take no longer than switching the routes. Append-only.
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

# Why the last reconcile did not apply an account completely: held back, failed, or skipped in part;
# and the approval of a plan that was held back, bound to the digest of that plan. The transaction
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

# The commits that manifests were applied from last: one, or several if trees were applied of which
# none contains the other. `repository` is the first commit of its history; NULL if it is unknown,
# because the clone was shallow.
applied_commit = Table(
    "applied_commit",
    metadata,
    Column("source_commit", Text, primary_key=True),
    Column("repository", Text),
)

# The agents on the mail servers, and the revision that each serves.
relay = Table(
    "relay",
    metadata,
    Column("name", Name, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

# What each loop follows: the tree that it serves, and why it does not serve the newest one.
followed_source = Table(
    "followed_source",
    metadata,
    Column("name", Name, primary_key=True),
    Column("served_commit", Text),
    Column("served_since", UtcDateTime),
    Column("faults", Text, nullable=False),
    Column("faulty_since", UtcDateTime),
    Column("seen_at", UtcDateTime),
    Column("stopped_at", UtcDateTime),
)

# `object_versions` is a JSON object: for each kind the newest version that the leader had seen when
# it wrote last. NULL if no leader has written yet.
epoch = _one_row(
    "epoch",
    Column("number", BigInteger, nullable=False),
    Column("leader", Text, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("object_versions", Text),
    CheckConstraint("number >= 1", name="number"),
)
