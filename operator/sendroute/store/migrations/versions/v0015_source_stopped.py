"""Remember when a loop was stopped, so that it is not taken for one that died.

Revision ID: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("followed_source", sa.Column("stopped_at", sa.DateTime(timezone=True)))
