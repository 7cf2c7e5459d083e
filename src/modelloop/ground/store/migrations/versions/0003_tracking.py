"""tracking: experiments, tracked runs, what they logged."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

from modelloop.ground.store.db import JSON, BigId

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def word(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "track_artifact",
        sa.Column("owner_kind", sa.String(length=8), nullable=False),
        sa.Column("owner", word(64), nullable=False),
        sa.Column("path", word(1000), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("parts", JSON, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_kind", "owner", "path", name=op.f("pk_track_artifact")),
    )
    op.create_table(
        "track_experiment",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name", word(500), nullable=False),
        sa.Column("lifecycle", sa.String(length=8), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_track_experiment")),
        sa.UniqueConstraint("name", name=op.f("uq_track_experiment_name")),
    )
    op.create_table(
        "track_latest",
        sa.Column("run_id", word(64), nullable=False),
        sa.Column("name", word(250), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("nan", sa.Boolean(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_track_latest")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "track_metric",
        sa.Column("run_id", word(64), nullable=False),
        sa.Column("name", word(250), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("nan", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", "at_ms", "step", "value", "nan", name=op.f("pk_track_metric")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "track_model_metric",
        sa.Column("model_id", word(64), nullable=False),
        sa.Column("name", word(250), nullable=False),
        sa.Column("run_id", word(64), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("dataset_name", word(500), nullable=False),
        sa.Column("dataset_digest", word(64), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("nan", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "model_id",
            "name",
            "run_id",
            "step",
            "at_ms",
            "dataset_name",
            "dataset_digest",
            name=op.f("pk_track_model_metric"),
        ),
    )
    op.create_table(
        "track_model_param",
        sa.Column("model_id", word(64), nullable=False),
        sa.Column("name", word(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("model_id", "name", name=op.f("pk_track_model_param")),
    )
    op.create_table(
        "track_model_tag",
        sa.Column("model_id", word(64), nullable=False),
        sa.Column("name", word(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("model_id", "name", name=op.f("pk_track_model_tag")),
    )
    op.create_table(
        "track_param",
        sa.Column("run_id", word(64), nullable=False),
        sa.Column("name", word(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_track_param")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "track_tag",
        sa.Column("run_id", word(64), nullable=False),
        sa.Column("name", word(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_track_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "track_dataset",
        sa.Column("id", BigId, nullable=False),
        sa.Column("experiment_id", BigId, nullable=False),
        sa.Column("name", word(500), nullable=False),
        sa.Column("digest", word(64), nullable=False),
        sa.Column("source_type", sa.String(length=36), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["track_experiment.id"], name=op.f("fk_track_dataset_experiment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_track_dataset")),
        sa.UniqueConstraint("experiment_id", "name", "digest", name=op.f("uq_track_dataset_experiment_id")),
    )
    op.create_table(
        "track_experiment_tag",
        sa.Column("experiment_id", BigId, autoincrement=False, nullable=False),
        sa.Column("name", word(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["track_experiment.id"], name=op.f("fk_track_experiment_tag_experiment_id")
        ),
        sa.PrimaryKeyConstraint("experiment_id", "name", name=op.f("pk_track_experiment_tag")),
    )
    op.create_table(
        "track_model",
        sa.Column("id", word(64), nullable=False),
        sa.Column("experiment_id", BigId, nullable=False),
        sa.Column("name", word(500), nullable=False),
        sa.Column("status", word(32), nullable=False),
        sa.Column("status_message", sa.Text(), nullable=False),
        sa.Column("kind", word(500), nullable=False),
        sa.Column("source_run", word(64), nullable=True),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("lifecycle", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["track_experiment.id"], name=op.f("fk_track_model_experiment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_track_model")),
    )
    op.create_index(
        "ix_track_model_experiment", "track_model", ["experiment_id", "lifecycle", "made_ms", "id"], unique=False
    )
    op.create_table(
        "track_run",
        sa.Column("id", word(64), nullable=False),
        sa.Column("experiment_id", BigId, nullable=False),
        sa.Column("name", word(1000), nullable=False),
        sa.Column("user", word(256), nullable=False),
        sa.Column("status", word(16), nullable=False),
        sa.Column("lifecycle", sa.String(length=8), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["track_experiment.id"], name=op.f("fk_track_run_experiment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_track_run")),
    )
    op.create_index(
        "ix_track_run_experiment", "track_run", ["experiment_id", "lifecycle", "start_ms", "id"], unique=False
    )
    op.create_table(
        "track_run_input",
        sa.Column("run_id", word(64), nullable=False),
        sa.Column("dataset_id", BigId, autoincrement=False, nullable=False),
        sa.Column("context", word(500), nullable=True),
        sa.Column("tags", JSON, nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["track_dataset.id"], name=op.f("fk_track_run_input_dataset_id")),
        sa.ForeignKeyConstraint(["run_id"], ["track_run.id"], name=op.f("fk_track_run_input_run_id")),
        sa.PrimaryKeyConstraint("run_id", "dataset_id", name=op.f("pk_track_run_input")),
    )
    op.create_table(
        "track_run_model",
        sa.Column("run_id", word(64), nullable=False),
        sa.Column("direction", sa.String(length=3), nullable=False),
        sa.Column("model_id", word(64), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["track_run.id"], name=op.f("fk_track_run_model_run_id")),
        sa.PrimaryKeyConstraint("run_id", "direction", "model_id", "step", name=op.f("pk_track_run_model")),
    )
    _add_default_experiment()


def _add_default_experiment() -> None:
    """MLflow's clients log to experiment 0 unless they are told another."""
    columns = ("id", "name", "lifecycle", "made_ms", "changed_ms")
    table = sa.table("track_experiment", *(sa.column(name) for name in columns))
    now = int(time.time() * 1000)
    op.bulk_insert(table, [{"id": 0, "name": "Default", "lifecycle": "active", "made_ms": now, "changed_ms": now}])
