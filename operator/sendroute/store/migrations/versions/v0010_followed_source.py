"""Remember which tree each loop serves, and why it does not serve the newest one.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "followed_source",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("served_commit", sa.Text),
        sa.Column("served_since", sa.DateTime(timezone=True)),
        sa.Column("faults", sa.Text, nullable=False),
        sa.Column("faulty_since", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_followed_source")),
    )
