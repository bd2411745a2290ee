"""Take profile ids from a sequence, and fix the destination of an alias forever.

In PostgreSQL a profile's id comes from a sequence, and ``last_profile`` is updated when the
transaction ends. Before, it was updated at once, and other writers waited for the transaction.
SQLite has one writer, and its trigger stays.

The destination of an endpoint never changes, because mail in a queue depends on it. An endpoint may
be retired, once, and its credential re-encrypted.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in _STATEMENTS[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))


def _function(name: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
        f" SET search_path FROM CURRENT AS $$ BEGIN {body} END $$"
    )


_ELSEWHERE = """NEW.profile <> OLD.profile OR NEW.version <> OLD.version
    OR NEW.namespace <> OLD.namespace OR NEW.account <> OLD.account OR NEW.name <> OLD.name
    OR NEW.host <> OLD.host OR NEW.port <> OLD.port OR NEW.encryption <> OLD.encryption
    OR NEW.made <> OLD.made
    OR (OLD.retired IS NOT NULL AND coalesce(NEW.retired, -1) <> OLD.retired)"""

_SQLITE = (
    f"""CREATE TRIGGER endpoint_stays BEFORE UPDATE ON endpoint WHEN {_ELSEWHERE}
    BEGIN SELECT RAISE(ABORT, 'an alias leads to one destination'); END""",
    "CREATE TRIGGER endpoint_never_deleted BEFORE DELETE ON endpoint"
    " BEGIN SELECT RAISE(ABORT, 'endpoint is append-only'); END",
)

_POSTGRESQL = (
    _function(
        "check_endpoint",
        f"""IF {_ELSEWHERE} THEN RAISE EXCEPTION 'an alias leads to one destination'
            USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW;""",
    ),
    "CREATE TRIGGER endpoint_stays BEFORE UPDATE ON endpoint"
    " FOR EACH ROW EXECUTE FUNCTION check_endpoint()",
    "CREATE TRIGGER endpoint_never_deleted BEFORE DELETE OR TRUNCATE ON endpoint"
    " EXECUTE FUNCTION refuse_any('endpoint is append-only')",
    "CREATE SEQUENCE profile_id",
    "SELECT setval('profile_id', last_profile) FROM store WHERE last_profile > 0",
    _function(
        "check_new_profile",
        """IF NEW.id <= (SELECT last_profile FROM store)
        THEN RAISE EXCEPTION 'a profile id is never used again'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'profile_id_is_new';
        END IF; RETURN NEW;""",
    ),
    _function(
        "keep_last_profile",
        "UPDATE store SET last_profile = NEW.id WHERE last_profile < NEW.id; RETURN NULL;",
    ),
    # Of those that a transaction made, the program notes the highest itself just before.
    "CREATE CONSTRAINT TRIGGER profile_id_is_kept AFTER INSERT ON profile"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keep_last_profile()",
)

_STATEMENTS = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}
