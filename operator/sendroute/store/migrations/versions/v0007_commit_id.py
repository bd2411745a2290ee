"""Rename ``attempt`` to ``commit_id`` and ``standing`` to ``account_status``.

By its ``commit_id`` a program finds out whether a commit succeeded, and a lock file recognises it.
No value changes.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    _run(_BEFORE[dialect])
    op.drop_index(op.f("ix_revision_attempt"), "revision")
    op.execute(sa.text("ALTER TABLE revision RENAME COLUMN attempt TO commit_id"))
    op.create_index(op.f("ix_revision_commit_id"), "revision", ["commit_id"], unique=True)
    _run(_AFTER[dialect])
    _account_status()


def _run(statements: tuple[str, ...]) -> None:
    for statement in statements:
        op.execute(sa.text(statement))


def _account_status() -> None:
    """A new table and not a renamed one: SQLite cannot rename constraints."""
    op.create_table(
        "account_status",
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("account", _NAME, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("source_commit", sa.Text),
        sa.Column("since", _WHEN, nullable=False),
        sa.Column("approved", sa.Text),
        sa.Column("approved_by", sa.Text),
        sa.Column("approved_at", _WHEN),
        sa.CheckConstraint(
            "(approved IS NULL) = (approved_by IS NULL)"
            " AND (approved IS NULL) = (approved_at IS NULL)",
            name=op.f("ck_account_status_approved"),
        ),
        sa.PrimaryKeyConstraint("namespace", "account", name=op.f("pk_account_status")),
    )
    op.execute(
        sa.text(
            "INSERT INTO account_status (namespace, account, reason, digest, report,"
            " source_commit, since, approved, approved_by, approved_at)"
            " SELECT namespace, account, outcome, digest, shown,"
            " source_commit, since, approved, approved_by, approved_at FROM standing"
        )
    )
    op.drop_table("standing")


_BEFORE: dict[str, tuple[str, ...]] = {
    "sqlite": ("DROP TRIGGER revision_numbered_once",),
    "postgresql": ("DROP TRIGGER revision_numbered_once ON revision",),
}
_AFTER: dict[str, tuple[str, ...]] = {
    "sqlite": (
        """CREATE TRIGGER revision_numbered_once BEFORE UPDATE ON revision
        WHEN OLD.number IS NOT NULL OR NEW.id <> OLD.id OR NEW.at <> OLD.at
            OR NEW.actor <> OLD.actor OR NEW.source_commit IS NOT OLD.source_commit
            OR NEW.commit_id IS NOT OLD.commit_id
        BEGIN SELECT RAISE(ABORT, 'revision is append-only, except for its number'); END""",
    ),
    "postgresql": (
        """CREATE OR REPLACE FUNCTION check_revision() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF OLD.number IS NOT NULL OR NEW.id <> OLD.id OR NEW.at <> OLD.at
                OR NEW.actor <> OLD.actor
                OR NEW.source_commit IS DISTINCT FROM OLD.source_commit
                OR NEW.commit_id IS DISTINCT FROM OLD.commit_id
            THEN RAISE EXCEPTION 'revision is append-only, except for its number'
                USING ERRCODE = 'integrity_constraint_violation'; END IF;
            RETURN NEW; END $$""",
        "CREATE TRIGGER revision_numbered_once BEFORE UPDATE ON revision"
        " FOR EACH ROW EXECUTE FUNCTION check_revision()",
    ),
}
