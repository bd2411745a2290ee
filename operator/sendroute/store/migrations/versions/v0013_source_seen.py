"""Remember when a loop was last seen, and store the position of a finding under its name.

Revision ID: 0013
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("followed_source", sa.Column("seen_at", sa.DateTime(timezone=True)))
    status = sa.table(
        "account_status", sa.column("namespace"), sa.column("account"), sa.column("report")
    )
    source = sa.table("followed_source", sa.column("name"), sa.column("faults"))
    connection = op.get_bind()
    for namespace, account, text in connection.execute(sa.select(status)).all():
        report = json.loads(text)
        report["findings"] = list(map(_renamed, report.get("findings", ())))
        connection.execute(
            sa.update(status)
            .where(status.c.namespace == namespace, status.c.account == account)
            .values(report=json.dumps(report))
        )
    for name, text in connection.execute(sa.select(source)).all():
        faults = json.dumps(list(map(_renamed, json.loads(text))))
        connection.execute(sa.update(source).where(source.c.name == name).values(faults=faults))


def _renamed(finding: dict[str, Any]) -> dict[str, Any]:
    return {"position" if key == "place" else key: value for key, value in finding.items()}
