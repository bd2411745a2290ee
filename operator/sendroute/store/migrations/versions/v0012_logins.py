"""Remember which authenticated clients may send as the domains of an account (``logins``).

It is a JSON list of login names; NULL if any authenticated client may.

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("logins", sa.Text))
