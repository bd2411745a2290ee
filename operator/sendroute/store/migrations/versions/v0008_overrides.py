"""Remember the apply-all after which a domain's declared route was confirmed (``overrides``).

It belongs to the declared route last seen. A new one ends the shadow of an apply-all.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("domain", sa.Column("overrides", _NAME))
