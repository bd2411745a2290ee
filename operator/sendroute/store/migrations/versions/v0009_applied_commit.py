"""Remember the commits that manifests were applied from last, to recognise an older tree.

The commits of earlier revisions are not taken over, because their repositories are unknown.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "applied_commit",
        sa.Column("source_commit", sa.Text, nullable=False),
        sa.Column("repository", sa.Text),
        sa.PrimaryKeyConstraint("source_commit", name=op.f("pk_applied_commit")),
    )
