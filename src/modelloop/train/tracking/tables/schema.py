"""The tables of tracking.

Text is compared by its bytes on both engines (collation "C"): the same order everywhere, and prefixes use the index.
Metrics have no foreign key: the one row of the run that every writing transaction changes stands for all of them.
"""

from __future__ import annotations

import sqlalchemy as sa

from ....ground.store.db import JSON, BigId, metadata


def word(length: int) -> sa.types.TypeEngine[str]:
    """Return a column type for at most `length` characters, compared byte by byte."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

experiment = sa.Table(
    "track_experiment",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("name", word(500), nullable=False, unique=True),
    sa.Column("lifecycle", sa.String(8), nullable=False),
    sa.Column("made_ms", sa.BigInteger, nullable=False),
    sa.Column("changed_ms", sa.BigInteger, nullable=False),
)

experiment_tag = sa.Table(
    "track_experiment_tag",
    metadata,
    sa.Column("experiment_id", BigId, sa.ForeignKey("track_experiment.id"), primary_key=True, autoincrement=False),
    sa.Column("name", word(250), primary_key=True),
    sa.Column("value", TEXT, nullable=False),
)

run = sa.Table(
    "track_run",
    metadata,
    sa.Column("id", word(64), primary_key=True),
    sa.Column("experiment_id", BigId, sa.ForeignKey("track_experiment.id"), nullable=False),
    sa.Column("name", word(1000), nullable=False),
    sa.Column("user", word(256), nullable=False),
    sa.Column("status", word(16), nullable=False),
    sa.Column("lifecycle", sa.String(8), nullable=False),
    sa.Column("start_ms", sa.BigInteger, nullable=False),
    sa.Column("end_ms", sa.BigInteger),
    sa.Column("deleted_ms", sa.BigInteger),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index("ix_track_run_experiment", "experiment_id", "lifecycle", "start_ms", "id"),
)

metric = sa.Table(
    "track_metric",
    metadata,
    sa.Column("run_id", word(64), primary_key=True),
    sa.Column("name", word(250), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("value", sa.Double, primary_key=True),
    sa.Column("nan", sa.Boolean, primary_key=True),
    sqlite_with_rowid=False,
)
"""All values, in the order of their history. The same point twice is one point, so that a client may repeat what it had
no answer for."""

latest = sa.Table(
    "track_latest",
    metadata,
    sa.Column("run_id", word(64), primary_key=True),
    sa.Column("name", word(250), primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("nan", sa.Boolean, nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

param = sa.Table(
    "track_param",
    metadata,
    sa.Column("run_id", word(64), primary_key=True),
    sa.Column("name", word(250), primary_key=True),
    sa.Column("value", TEXT, nullable=False),
    sqlite_with_rowid=False,
)

tag = sa.Table(
    "track_tag",
    metadata,
    sa.Column("run_id", word(64), primary_key=True),
    sa.Column("name", word(250), primary_key=True),
    sa.Column("value", TEXT, nullable=False),
    sqlite_with_rowid=False,
)

dataset = sa.Table(
    "track_dataset",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("experiment_id", BigId, sa.ForeignKey("track_experiment.id"), nullable=False),
    sa.Column("name", word(500), nullable=False),
    sa.Column("digest", word(64), nullable=False),
    sa.Column("source_type", sa.String(36), nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("schema", sa.Text),
    sa.Column("profile", sa.Text),
    sa.UniqueConstraint("experiment_id", "name", "digest"),
)

run_input = sa.Table(
    "track_run_input",
    metadata,
    sa.Column("run_id", word(64), sa.ForeignKey("track_run.id"), primary_key=True),
    sa.Column("dataset_id", BigId, sa.ForeignKey("track_dataset.id"), primary_key=True, autoincrement=False),
    sa.Column("context", word(500)),
    sa.Column("tags", JSON, nullable=False),
)

run_model = sa.Table(
    "track_run_model",
    metadata,
    sa.Column("run_id", word(64), sa.ForeignKey("track_run.id"), primary_key=True),
    sa.Column("direction", sa.String(3), primary_key=True),
    sa.Column("model_id", word(64), primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
)
"""Logged models that a run was given ("in") or made ("out")."""

model = sa.Table(
    "track_model",
    metadata,
    sa.Column("id", word(64), primary_key=True),
    sa.Column("experiment_id", BigId, sa.ForeignKey("track_experiment.id"), nullable=False),
    sa.Column("name", word(500), nullable=False),
    sa.Column("status", word(32), nullable=False),
    sa.Column("status_message", sa.Text, nullable=False),
    sa.Column("kind", word(500), nullable=False),
    sa.Column("source_run", word(64)),
    sa.Column("made_ms", sa.BigInteger, nullable=False),
    sa.Column("changed_ms", sa.BigInteger, nullable=False),
    sa.Column("lifecycle", sa.String(8), nullable=False),
    sa.Index("ix_track_model_experiment", "experiment_id", "lifecycle", "made_ms", "id"),
)

model_param = sa.Table(
    "track_model_param",
    metadata,
    sa.Column("model_id", word(64), primary_key=True),
    sa.Column("name", word(250), primary_key=True),
    sa.Column("value", TEXT, nullable=False),
)

model_tag = sa.Table(
    "track_model_tag",
    metadata,
    sa.Column("model_id", word(64), primary_key=True),
    sa.Column("name", word(250), primary_key=True),
    sa.Column("value", TEXT, nullable=False),
)

model_metric = sa.Table(
    "track_model_metric",
    metadata,
    sa.Column("model_id", word(64), primary_key=True),
    sa.Column("name", word(250), primary_key=True),
    sa.Column("run_id", word(64), primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("dataset_name", word(500), primary_key=True),
    sa.Column("dataset_digest", word(64), primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("nan", sa.Boolean, nullable=False),
)
"""Metrics of logged models; without a dataset its name and digest are empty."""

artifact = sa.Table(
    "track_artifact",
    metadata,
    sa.Column("owner_kind", sa.String(8), primary_key=True),
    sa.Column("owner", word(64), primary_key=True),
    sa.Column("path", word(1000), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64)),
    sa.Column("parts", JSON, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
)
"""Files. `parts`: [digest, size] of each chunk, in order; the row is what makes them visible."""
