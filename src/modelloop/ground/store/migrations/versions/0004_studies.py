"""studies and their trials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from modelloop.ground.store.db import JSON, Time

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "study_search",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("claimed", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("made_at", Time(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_search")),
        sa.UniqueConstraint("name", name=op.f("uq_study_search_name")),
    )
    op.create_table(
        "study_trial",
        sa.Column("study", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("nth", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=True),
        sa.Column("params", JSON, nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("lease_until", Time(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("began_at", Time(), nullable=False),
        sa.Column("ended_at", Time(), nullable=True),
        sa.ForeignKeyConstraint(["study"], ["study_search.id"], name=op.f("fk_study_trial_study"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study", "number", "nth", name=op.f("pk_study_trial")),
    )
    with op.batch_alter_table("study_trial", schema=None) as batch_op:
        batch_op.create_index("ix_study_trial_ended", ["study", "ended"], unique=False)
