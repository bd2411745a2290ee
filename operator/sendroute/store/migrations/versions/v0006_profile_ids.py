"""A commit that makes a profile holds the store's row no longer than any other.

In PostgreSQL a profile's id comes from a sequence, and `last_profile` is raised when the
transaction ends: until now it was raised at once, and whoever else wrote waited for the whole of
it. SQLite's writer is alone, and its trigger stays.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in _POSTGRESQL:
            op.execute(sa.text(statement))


def _function(name: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
        f" SET search_path FROM CURRENT AS $$ BEGIN {body} END $$"
    )


_POSTGRESQL = (
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
