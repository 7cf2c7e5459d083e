"""erasures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from modelloop.ground.store.db import JSON, Time

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deploy_erasure",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("asked_at", Time(), nullable=False),
        sa.Column("finished_at", Time(), nullable=True),
        sa.Column("files", JSON, nullable=False),
        sa.Column("writers", JSON, nullable=False),
        sa.Column("dropped", JSON, nullable=False),
        sa.Column("predictions", sa.BigInteger(), nullable=False),
        sa.Column("outcomes", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("rewritten", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deploy_erasure")),
    )
    op.create_index("ix_deploy_erasure_finished", "deploy_erasure", ["finished_at"])
