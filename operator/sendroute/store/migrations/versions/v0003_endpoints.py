"""Create endpoints: the destination of each alias, with its sealed credential, also replaced ones.

Revision ID: 0003
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    made = op.create_table(
        "endpoint",
        sa.Column("profile", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("account", _NAME, nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("encryption", sa.Text, nullable=False),
        sa.Column("credential", sa.Text),
        sa.Column("made", sa.BigInteger, nullable=False),
        sa.Column("retired", sa.BigInteger),
        sa.CheckConstraint("version > 0", name=op.f("ck_endpoint_version")),
        sa.CheckConstraint("retired IS NULL OR retired > made", name=op.f("ck_endpoint_retired")),
        sa.ForeignKeyConstraint(["made"], ["revision.number"], name=op.f("fk_endpoint_made")),
        sa.ForeignKeyConstraint(["retired"], ["revision.number"], name=op.f("fk_endpoint_retired")),
        sa.PrimaryKeyConstraint("profile", "version", name=op.f("pk_endpoint")),
    )
    rows = [*_profiles(), *_relay()]
    if rows:
        op.bulk_insert(made, rows)


def _profiles() -> list[dict[str, object]]:
    rows = op.get_bind().execute(
        sa.text(
            "SELECT profile.id, profile.version, account.namespace, account.name AS owner,"
            " profile.name, profile.spec, account.revision"
            " FROM profile JOIN account ON profile.account_id = account.id"
        )
    )
    return [
        {
            "profile": row.id,
            "version": row.version,
            "namespace": row.namespace,
            "account": row.owner,
            "name": row.name,
            "made": row.revision,
            **_destination(json.loads(row.spec)),
        }
        for row in rows
    ]


def _relay() -> list[dict[str, object]]:
    relays = op.get_bind().execute(
        sa.text("SELECT platform.spec, platform.version, store.revision FROM platform, store")
    )
    rows = []
    for row in relays:
        managed = json.loads(row.spec)["managed"]
        if managed is not None:
            key = {"namespace": "", "account": "", "name": "relay"}
            numbers = {"profile": 0, "version": row.version, "made": row.revision}
            rows.append(numbers | key | _destination(managed["relay"]))
    return rows


def _destination(spec: dict[str, object]) -> dict[str, object]:
    return {name: spec[name] for name in ("host", "port", "encryption")} | {"credential": None}
