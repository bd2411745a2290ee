"""Let an account that was deleted, created again and restored take over its apply-alls.

A domain that an apply-all shadows refers to it by the account's row, and an account that was
created again has a new row. So the reference of an apply-all to its account's row may change;
nothing else of an apply-all ever does.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_REWRITTEN = """NEW.namespace <> OLD.namespace OR NEW.account <> OLD.account OR NEW.id <> OLD.id
    OR NEW.kind <> OLD.kind OR coalesce(NEW.profile, '') <> coalesce(OLD.profile, '')
    OR NEW.domains <> OLD.domains OR NEW.revision <> OLD.revision
    OR NOT EXISTS (SELECT 1 FROM account WHERE account.id = NEW.account_id
        AND account.namespace = NEW.namespace AND account.name = NEW.account)"""


def upgrade() -> None:
    for statement in _TRIGGERS[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))


_TRIGGERS = {
    "sqlite": (
        "DROP TRIGGER apply_all_never_updated",
        f"""CREATE TRIGGER apply_all_never_rewritten BEFORE UPDATE ON apply_all
        WHEN {_REWRITTEN}
        BEGIN SELECT RAISE(ABORT, 'apply_all is append-only, but for whose row it is'); END""",
    ),
    "postgresql": (
        "DROP TRIGGER apply_all_never_updated ON apply_all",
        f"""CREATE FUNCTION check_adoption() RETURNS trigger LANGUAGE plpgsql
        SET search_path FROM CURRENT AS $$ BEGIN
            IF {_REWRITTEN}
            THEN RAISE EXCEPTION 'apply_all is append-only, but for whose row it is'
                USING ERRCODE = 'integrity_constraint_violation'; END IF;
            RETURN NEW; END $$""",
        "CREATE TRIGGER apply_all_never_rewritten BEFORE UPDATE ON apply_all"
        " FOR EACH ROW EXECUTE FUNCTION check_adoption()",
    ),
}
