"""Number the leaders among several operators, so that a replaced one writes nothing more.

Revision ID: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "epoch",
        sa.Column("id", sa.SmallInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("leader", sa.Text, nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epoch")),
        sa.CheckConstraint("id = 1", name=op.f("ck_epoch_one_row")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_epoch_number")),
    )
