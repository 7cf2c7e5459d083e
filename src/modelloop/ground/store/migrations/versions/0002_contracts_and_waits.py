"""data under contract, runs that wait."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from modelloop.ground.store.db import JSON, Time

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_cursor",
        sa.Column("source", sa.String(length=63), nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_data_cursor")),
    )
    op.create_table(
        "data_erasure",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("dataset", sa.String(length=63), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_erasure")),
    )
    with op.batch_alter_table("data_erasure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_data_erasure_dataset"), ["dataset"], unique=False)

    op.create_table(
        "data_ref",
        sa.Column("dataset", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(length=1000), nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "kind", "name", name=op.f("pk_data_ref")),
    )
    op.create_table(
        "data_settled",
        sa.Column("arrival", sa.String(length=40), nullable=False),
        sa.Column("file", sa.String(length=255), nullable=False),
        sa.Column("row", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("at", Time(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("arrival", "file", "row", name=op.f("pk_data_settled")),
    )
    op.create_table(
        "data_unused",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("since", Time(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_data_unused")),
    )
    op.create_table(
        "catalogue_component",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("at", Time(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_catalogue_component")),
    )
    op.create_table(
        "retrain_fire",
        sa.Column("trigger", sa.String(length=63), nullable=False),
        sa.Column("mark", sa.String(length=120), nullable=False),
        sa.Column("decided_at", Time(), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run", sa.String(length=40), nullable=True),
        sa.Column("episode", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("trigger", "mark", name=op.f("pk_retrain_fire")),
    )
    op.create_table(
        "flow_part",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_flow_part")),
    )
    op.create_table(
        "flow_wait",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("nth", sa.Integer(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("choices", JSON, nullable=False),
        sa.Column("asked_at", Time(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("answered_at", Time(), nullable=True),
        sa.Column("answered_by", sa.String(length=120), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["flow_run.id"], name=op.f("fk_flow_wait_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_wait")),
        sa.UniqueConstraint("run_id", "name", "nth", name=op.f("uq_flow_wait_run_id")),
    )
    with op.batch_alter_table("data_version", schema=None) as batch_op:
        batch_op.add_column(sa.Column("branch", sa.String(length=63), server_default="main", nullable=False))

    with op.batch_alter_table("flow_run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("gpu_seconds", sa.Float(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("project", sa.String(length=64), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("once", sa.String(length=200), nullable=True))
        batch_op.create_unique_constraint(batch_op.f("uq_flow_run_once"), ["once"])

    with op.batch_alter_table("flow_step", schema=None) as batch_op:
        batch_op.add_column(sa.Column("attempts", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("cpu_seconds", sa.Float(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("peak_bytes", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("gpu_seconds", sa.Float(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("place", sa.String(length=120), server_default=sa.text("''"), nullable=False))
    _parts_have_cells()


def _parts_have_cells() -> None:
    """A part was one file; it is now a row of cells, each a file."""
    table = sa.table("data_version", sa.column("dataset"), sa.column("number"), sa.column("body", JSON))
    connection = op.get_bind()
    for row in connection.execute(sa.select(table)).all():
        parts = [_with_cells(part) for part in row.body["parts"]]
        this = (table.c.dataset == row.dataset) & (table.c.number == row.number)
        connection.execute(table.update().where(this).values(body={**row.body, "parts": parts}))


def _with_cells(part: dict[str, Any]) -> dict[str, Any]:
    if "cells" in part:
        return part
    cell = {"columns": [name for name, _ in part["schema"]], "digest": part["digest"]}
    return {"rows": part["rows"], "schema": part["schema"], "cells": [cell]}
