"""Remember which versions of the objects the leader had seen when it wrote, so that the next one
does not reconcile older ones.

Revision ID: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("epoch", sa.Column("object_versions", sa.Text))
