"""Separate transactions from revision numbers; add bulk switches and account statuses.

A long transaction (a million domains) must not block other writers. So it has an ``id`` from its
beginning, to which its rows refer, and gets its ``number``, the store's revision, as its last
statement. By ``attempt`` a program finds a commit whose confirmation was lost.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    _run(_BEFORE[dialect])
    op.execute(sa.text("ALTER TABLE revision RENAME COLUMN number TO id"))
    op.add_column("revision", sa.Column("number", sa.BigInteger))
    op.add_column("revision", sa.Column("attempt", sa.String(36)))
    op.execute(sa.text("UPDATE revision SET number = id"))
    op.create_index(op.f("ix_revision_number"), "revision", ["number"], unique=True)
    op.create_index(op.f("ix_revision_attempt"), "revision", ["attempt"], unique=True)
    _switches()
    _standing()
    _run(_AFTER[dialect])


def _run(statements: tuple[str, ...]) -> None:
    for statement in statements:
        op.execute(sa.text(statement))


def _switches() -> None:
    op.create_table(
        "switch",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("account", _NAME, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["revision"], ["revision.id"], name=op.f("fk_switch_revision")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_switch")),
    )
    op.create_index(op.f("ix_switch_namespace_account"), "switch", ["namespace", "account"])
    op.create_table(
        "switched",
        sa.Column("switch", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.ForeignKeyConstraint(["switch"], ["switch.id"], name=op.f("fk_switched_switch")),
        sa.PrimaryKeyConstraint("switch", "name", name=op.f("pk_switched")),
        sqlite_with_rowid=False,
    )


def _standing() -> None:
    op.create_table(
        "standing",
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("account", _NAME, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("source_commit", sa.Text),
        sa.Column("since", _WHEN, nullable=False),
        sa.Column("approved", sa.Text),
        sa.Column("approved_by", sa.Text),
        sa.Column("approved_at", _WHEN),
        sa.CheckConstraint(
            "(approved IS NULL) = (approved_by IS NULL)"
            " AND (approved IS NULL) = (approved_at IS NULL)",
            name=op.f("ck_standing_approved"),
        ),
        sa.PrimaryKeyConstraint("namespace", "account", name=op.f("pk_standing")),
    )


def _sqlite_append_only(table: str) -> tuple[str, str]:
    return (
        f"CREATE TRIGGER {table}_never_updated BEFORE UPDATE ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
        f"CREATE TRIGGER {table}_never_deleted BEFORE DELETE ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
    )


def _postgresql_append_only(table: str) -> tuple[str, str]:
    return (
        f"CREATE TRIGGER {table}_never_updated BEFORE UPDATE ON {table} "
        f"EXECUTE FUNCTION refuse_any('{table} is append-only')",
        f"CREATE TRIGGER {table}_never_deleted BEFORE DELETE OR TRUNCATE ON {table} "
        f"EXECUTE FUNCTION refuse_any('{table} is append-only')",
    )


_BEFORE: dict[str, tuple[str, ...]] = {
    "sqlite": ("DROP TRIGGER revision_never_updated",),
    "postgresql": ("DROP TRIGGER revision_never_updated ON revision",),
}
_AFTER: dict[str, tuple[str, ...]] = {
    "sqlite": (
        """CREATE TRIGGER revision_numbered_once BEFORE UPDATE ON revision
        WHEN OLD.number IS NOT NULL OR NEW.id <> OLD.id OR NEW.at <> OLD.at
            OR NEW.actor <> OLD.actor OR NEW.source_commit IS NOT OLD.source_commit
            OR NEW.attempt IS NOT OLD.attempt
        BEGIN SELECT RAISE(ABORT, 'revision is append-only, but for its number'); END""",
        *_sqlite_append_only("switch"),
        *_sqlite_append_only("switched"),
    ),
    "postgresql": (
        "CREATE SEQUENCE revision_id MINVALUE 0 START 0",
        "SELECT setval('revision_id', max(id)) FROM revision HAVING max(id) IS NOT NULL",
        """CREATE FUNCTION check_revision() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF OLD.number IS NOT NULL OR NEW.id <> OLD.id OR NEW.at <> OLD.at
                OR NEW.actor <> OLD.actor
                OR NEW.source_commit IS DISTINCT FROM OLD.source_commit
                OR NEW.attempt IS DISTINCT FROM OLD.attempt
            THEN RAISE EXCEPTION 'revision is append-only, but for its number'
                USING ERRCODE = 'integrity_constraint_violation'; END IF;
            RETURN NEW; END $$""",
        "CREATE TRIGGER revision_numbered_once BEFORE UPDATE ON revision"
        " FOR EACH ROW EXECUTE FUNCTION check_revision()",
        *_postgresql_append_only("switch"),
        *_postgresql_append_only("switched"),
    ),
}
