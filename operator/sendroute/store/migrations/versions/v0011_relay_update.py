"""Find what changed since a revision without reading the whole history: relays ask for it after
each commit.

Revision ID: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_history_revision"), "history", ["revision"])
    op.create_index(op.f("ix_endpoint_made"), "endpoint", ["made"])
    op.create_index(op.f("ix_endpoint_retired"), "endpoint", ["retired"])
