"""answers of several outputs, outcomes by business key, outcomes before their prediction, failures, losses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from modelloop.ground.store.db import BigId, MaybeJSON, Time

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deploy_prediction", sa.Column("shadow_milliseconds", sa.Float(), nullable=True))
    op.add_column("deploy_prediction", sa.Column("business_key", sa.String(length=200), nullable=True))
    op.add_column("deploy_prediction", sa.Column("answer", MaybeJSON, nullable=True))
    op.add_column("deploy_prediction", sa.Column("shadow_answer", MaybeJSON, nullable=True))
    op.add_column("deploy_prediction", sa.Column("slices", MaybeJSON, nullable=True))
    op.add_column("deploy_prediction", sa.Column("missing", MaybeJSON, nullable=True))
    op.create_index("ix_deploy_prediction_key", "deploy_prediction", ["endpoint", "business_key"])
    op.add_column("deploy_prediction", sa.Column("latency", sa.Float(), nullable=True))
    op.create_index("ix_deploy_prediction_at", "deploy_prediction", ["endpoint", "at"])
    op.add_column("deploy_part", sa.Column("until", Time(), nullable=True))
    op.add_column("deploy_log", sa.Column("unreadable", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.create_table(
        "deploy_log_writer",
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("started", sa.String(length=20), nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.Column("alive", sa.Boolean(), nullable=False),
        sa.Column("killed", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("gateway", "started", name=op.f("pk_deploy_log_writer")),
    )
    op.create_table(
        "deploy_failure",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("event_time", Time(), nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("arm", sa.String(length=20), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deploy_failure")),
    )
    op.create_index("ix_deploy_failure_at", "deploy_failure", ["endpoint", "at"])
    op.create_table(
        "deploy_waiting",
        sa.Column("seq", BigId, autoincrement=True, nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("prediction", sa.String(length=64), nullable=True),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("label", sa.Float(), nullable=False),
        sa.Column("event_time", Time(), nullable=False),
        sa.Column("until", Time(), nullable=True),
        sa.Column("at", Time(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_deploy_waiting")),
    )
    op.create_index("ix_deploy_waiting_prediction", "deploy_waiting", ["prediction"])
    op.create_index("ix_deploy_waiting_key", "deploy_waiting", ["endpoint", "key"])
