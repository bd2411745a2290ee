"""The record: platform, accounts, profiles, domains, apply-alls and the history.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_WHEN = sa.DateTime(timezone=True)


def _route_checks(table: str, prefix: str = "") -> tuple[sa.CheckConstraint, ...]:
    kind, profile = f"{prefix}kind", f"{prefix}profile"
    return (
        sa.CheckConstraint(
            f"{kind} IN ('managed', 'profile', 'unconfigured')", name=op.f(f"ck_{table}_{kind}")
        ),
        sa.CheckConstraint(
            f"(coalesce({kind}, '') = 'profile') = ({profile} IS NOT NULL)",
            name=op.f(f"ck_{table}_{profile}"),
        ),
    )


def _single(table: str, *columns: sa.Column) -> None:  # type: ignore[type-arg]
    op.create_table(
        table,
        sa.Column("id", sa.SmallInteger, nullable=False),
        *columns,
        sa.CheckConstraint("id = 1", name=op.f(f"ck_{table}_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def _revision_key(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["revision"], ["revision.number"], name=op.f(f"fk_{table}_revision")
    )


def upgrade() -> None:
    _single(
        "store",
        sa.Column("lineage", sa.String(36), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("last_profile", sa.BigInteger, nullable=False),
        sa.Column("created_at", _WHEN, nullable=False),
    )
    _single(
        "platform",
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "revision",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at", _WHEN, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("source_commit", sa.Text),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_revision")),
    )
    _accounts()
    _domains()
    _history()
    for statement in _TRIGGERS[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))


def _accounts() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("default_kind", sa.Text),
        sa.Column("default_profile", _NAME),
        sa.Column("revision", sa.BigInteger, nullable=False),
        _revision_key("account"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("namespace", "name", name=op.f("uq_account_namespace_name")),
        *_route_checks("account", "default_"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "profile",
        sa.Column("id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_profile_version")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_profile_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profile")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_profile_account_id_name")),
    )
    op.create_table(
        "apply_all",
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("account", _NAME, nullable=False),
        sa.Column("id", _NAME, nullable=False),
        sa.Column("account_id", sa.Integer),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("profile", _NAME),
        sa.Column("domains", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        _revision_key("apply_all"),
        sa.PrimaryKeyConstraint("namespace", "account", "id", name=op.f("pk_apply_all")),
        sa.UniqueConstraint("account_id", "id", name=op.f("uq_apply_all_account_id_id")),
        *_route_checks("apply_all"),
    )


def _domains() -> None:
    op.create_table(
        "domain",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("account_id", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("profile", _NAME),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("declared_kind", sa.Text),
        sa.Column("declared_profile", _NAME),
        sa.Column("shadow", _NAME),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "origin IN ('declared', 'default', 'apply-all', 'reassigned')",
            name=op.f("ck_domain_origin"),
        ),
        sa.CheckConstraint("shadow IS NULL OR origin = 'apply-all'", name=op.f("ck_domain_shadow")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_domain_account_id")),
        sa.ForeignKeyConstraint(
            ["account_id", "profile"],
            ["profile.account_id", "profile.name"],
            name=op.f("fk_domain_account_id_profile"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id", "shadow"],
            ["apply_all.account_id", "apply_all.id"],
            name=op.f("fk_domain_account_id_shadow"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_domain")),
        *_route_checks("domain"),
        *_route_checks("domain", "declared_"),
        postgresql_with={"fillfactor": 45},
    )
    op.create_index(op.f("ix_domain_account_id"), "domain", ["account_id"])


def _history() -> None:
    op.create_table(
        "history",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("account", _NAME, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        _revision_key("history"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_history")),
    )
    op.create_index(op.f("ix_history_name"), "history", ["name"])
    op.create_index(op.f("ix_history_namespace_account"), "history", ["namespace", "account"])


def _sqlite_append_only(table: str) -> tuple[str, str]:
    """REPLACE deletes without this trigger unless `PRAGMA recursive_triggers` is on: every
    connection of ours sets it."""
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


def _postgresql_function(name: str, body: str, *, reads_tables: bool = False) -> str:
    """If it reads tables, it finds them for every session, whatever its search path."""
    path = "SET search_path FROM CURRENT " if reads_tables else ""
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {path}AS $$ BEGIN {body} END $$"
    )


def _refuses(condition: str, message: str) -> str:
    return (
        f"IF {condition} THEN RAISE EXCEPTION '{message}'"
        " USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW;"
    )


# What keys and checks cannot say, in each database's own words.
_TRIGGERS = {
    "sqlite": (
        *_sqlite_append_only("history"),
        *_sqlite_append_only("revision"),
        *_sqlite_append_only("apply_all"),
        """CREATE TRIGGER apply_all_of_its_account BEFORE INSERT ON apply_all
        WHEN NEW.account_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM account WHERE
            id = NEW.account_id AND namespace = NEW.namespace AND name = NEW.account)
        BEGIN SELECT RAISE(ABORT, 'an apply-all is recorded under its own account'); END""",
        """CREATE TRIGGER store_never_deleted BEFORE DELETE ON store
        BEGIN SELECT RAISE(ABORT, 'the store row stays'); END""",
        """CREATE TRIGGER store_only_rises BEFORE UPDATE ON store
        WHEN NEW.revision < OLD.revision OR NEW.lineage <> OLD.lineage
            OR NEW.last_profile < OLD.last_profile
        BEGIN SELECT RAISE(ABORT, 'the revision only rises, the lineage never changes'); END""",
        """CREATE TRIGGER platform_version_rises BEFORE UPDATE ON platform
        WHEN NEW.version < OLD.version OR (NEW.spec <> OLD.spec AND NEW.version = OLD.version)
        BEGIN SELECT RAISE(ABORT, 'a changed platform has a higher version'); END""",
        """CREATE TRIGGER account_keeps_its_name BEFORE UPDATE ON account
        WHEN NEW.id <> OLD.id OR NEW.namespace <> OLD.namespace OR NEW.name <> OLD.name
            OR NEW.revision < OLD.revision
        BEGIN SELECT RAISE(ABORT, 'an account keeps its name, its revision only rises'); END""",
        """CREATE TRIGGER profile_id_is_new AFTER INSERT ON profile
        BEGIN
            SELECT RAISE(ABORT, 'a profile id is never used again')
                WHERE NEW.id <= (SELECT last_profile FROM store);
            UPDATE store SET last_profile = NEW.id;
        END""",
        """CREATE TRIGGER profile_version_rises BEFORE UPDATE ON profile
        WHEN NEW.id <> OLD.id OR NEW.account_id <> OLD.account_id OR NEW.name <> OLD.name
            OR NEW.version < OLD.version OR (NEW.spec <> OLD.spec AND NEW.version = OLD.version)
        BEGIN SELECT RAISE(ABORT, 'a changed profile has a higher version'); END""",
    ),
    "postgresql": (
        _postgresql_function(
            "refuse_any",
            "RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';",
        ),
        *_postgresql_append_only("history"),
        *_postgresql_append_only("revision"),
        *_postgresql_append_only("apply_all"),
        _postgresql_function(
            "check_apply_all",
            _refuses(
                "NEW.account_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM account WHERE"
                " id = NEW.account_id AND namespace = NEW.namespace AND name = NEW.account)",
                "an apply-all is recorded under its own account",
            ),
            reads_tables=True,
        ),
        "CREATE TRIGGER apply_all_of_its_account BEFORE INSERT ON apply_all"
        " FOR EACH ROW EXECUTE FUNCTION check_apply_all()",
        "CREATE TRIGGER store_never_deleted BEFORE DELETE OR TRUNCATE ON store"
        " EXECUTE FUNCTION refuse_any('the store row stays')",
        _postgresql_function(
            "check_store",
            _refuses(
                "NEW.revision < OLD.revision OR NEW.lineage <> OLD.lineage"
                " OR NEW.last_profile < OLD.last_profile",
                "the revision only rises, the lineage never changes",
            ),
        ),
        "CREATE TRIGGER store_only_rises BEFORE UPDATE ON store"
        " FOR EACH ROW EXECUTE FUNCTION check_store()",
        _postgresql_function(
            "tell_revision",
            "PERFORM pg_notify('sendroute', NEW.revision::text); RETURN NULL;",
        ),
        "CREATE TRIGGER store_tells AFTER UPDATE ON store FOR EACH ROW"
        " WHEN (NEW.revision > OLD.revision) EXECUTE FUNCTION tell_revision()",
        _postgresql_function(
            "check_platform",
            _refuses(
                "NEW.version < OLD.version OR (NEW.spec <> OLD.spec AND NEW.version = OLD.version)",
                "a changed platform has a higher version",
            ),
        ),
        "CREATE TRIGGER platform_version_rises BEFORE UPDATE ON platform"
        " FOR EACH ROW EXECUTE FUNCTION check_platform()",
        _postgresql_function(
            "check_account",
            _refuses(
                "NEW.id <> OLD.id OR NEW.namespace <> OLD.namespace OR NEW.name <> OLD.name"
                " OR NEW.revision < OLD.revision",
                "an account keeps its name, its revision only rises",
            ),
        ),
        "CREATE TRIGGER account_keeps_its_name BEFORE UPDATE ON account"
        " FOR EACH ROW EXECUTE FUNCTION check_account()",
        _postgresql_function(
            "check_new_profile",
            _refuses(
                "NEW.id <= (SELECT last_profile FROM store)", "a profile id is never used again"
            ).replace("RETURN NEW;", "UPDATE store SET last_profile = NEW.id; RETURN NEW;"),
            reads_tables=True,
        ),
        "CREATE TRIGGER profile_id_is_new AFTER INSERT ON profile"
        " FOR EACH ROW EXECUTE FUNCTION check_new_profile()",
        _postgresql_function(
            "check_profile",
            _refuses(
                "NEW.id <> OLD.id OR NEW.account_id <> OLD.account_id OR NEW.name <> OLD.name"
                " OR NEW.version < OLD.version"
                " OR (NEW.spec <> OLD.spec AND NEW.version = OLD.version)",
                "a changed profile has a higher version",
            ),
        ),
        "CREATE TRIGGER profile_version_rises BEFORE UPDATE ON profile"
        " FOR EACH ROW EXECUTE FUNCTION check_profile()",
    ),
}
