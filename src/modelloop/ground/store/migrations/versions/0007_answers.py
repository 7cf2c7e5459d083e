"""answers of several outputs, outcomes by business key, outcomes that come before their prediction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from modelloop.ground.store.db import MaybeJSON

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
