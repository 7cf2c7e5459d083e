"""rollouts that pause and bake; how an endpoint serves, and what it returns to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from modelloop.ground.store.db import JSON, Time

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deploy_endpoint", sa.Column("serving", JSON, nullable=False, server_default=sa.text("'{}'")))
    op.add_column("deploy_rollout", sa.Column("paused_by", sa.String(length=200), nullable=True))
    op.add_column("deploy_rollout", sa.Column("paused_at", Time, nullable=True))
    op.add_column("deploy_rollout", sa.Column("held_seconds", sa.Float, nullable=False, server_default=sa.text("0")))
    op.add_column("deploy_endpoint", sa.Column("standby", sa.String(length=100), nullable=True))
    op.add_column("deploy_endpoint", sa.Column("standby_digest", sa.String(length=64), nullable=True))
