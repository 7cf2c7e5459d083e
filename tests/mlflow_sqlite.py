"""A small store in MLflow's schema, written by hand: what the reading of it rests on stands here in SQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT, artifact_location TEXT, lifecycle_stage TEXT,
  creation_time BIGINT, last_update_time BIGINT);
CREATE TABLE experiment_tags (key TEXT, value TEXT, experiment_id INTEGER);
CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, user_id TEXT, status TEXT, start_time BIGINT, end_time BIGINT,
  deleted_time BIGINT, lifecycle_stage TEXT, artifact_uri TEXT, experiment_id INTEGER);
CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN);
CREATE TABLE latest_metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE registered_models (name TEXT, creation_time BIGINT, last_updated_time BIGINT, description TEXT);
CREATE TABLE registered_model_tags (name TEXT, key TEXT, value TEXT);
CREATE TABLE registered_model_aliases (name TEXT, alias TEXT, version INTEGER);
CREATE TABLE model_versions (name TEXT, version INTEGER, creation_time BIGINT, description TEXT, current_stage TEXT,
  source TEXT, run_id TEXT, status TEXT, storage_location TEXT);
CREATE TABLE model_version_tags (name TEXT, version INTEGER, key TEXT, value TEXT);
CREATE TABLE trace_info (request_id TEXT);
"""


def make(folder: Path, *, runs: int = 3) -> Path:
    """Return the file of a store with some runs, files, and a registered model."""
    file = folder / "mlflow.db"
    root = folder / "mlruns"
    with sqlite3.connect(file) as db:
        db.executescript(SCHEMA)
        place = f"{root}/1"
        db.execute("INSERT INTO experiments VALUES (0, 'Default', ?, 'active', 1, 1)", (f"{root}/0",))
        db.execute("INSERT INTO experiments VALUES (1, 'flights', ?, 'active', 11, 12)", (place,))
        db.execute("INSERT INTO experiments VALUES (2, 'gone', ?, 'deleted', 21, 22)", (f"file://{root}/2",))
        db.execute("INSERT INTO experiment_tags VALUES ('owner', 'me', 1)")
        for number in range(runs):
            add_run(db, f"{number:032x}", place, number)
        db.execute("INSERT INTO registered_models VALUES ('delay', 5, 6, 'how late')")
        db.execute("INSERT INTO registered_model_aliases VALUES ('delay', 'best', 2)")
        source = f"{place}/{0:032x}/artifacts/plots"
        for version, stage in ((1, "None"), (2, "Production"), (3, "Deleted_Internal")):
            db.execute(
                "INSERT INTO model_versions VALUES ('delay', ?, 7, '', ?, ?, ?, 'READY', NULL)",
                (version, stage, source, f"{0:032x}"),
            )
        db.execute("INSERT INTO trace_info VALUES ('t')")
    return file


def add_run(db: sqlite3.Connection, run_id: str, place: str, number: int = 0) -> Path:
    """Add a run with metrics, a param, a tag and a file; return its folder of artifacts."""
    artifacts = Path(place) / run_id / "artifacts"
    lifecycle = "deleted" if number == 1 else "active"
    db.execute(
        "INSERT INTO runs VALUES (?, ?, 'eve', 'FINISHED', 100, 200, ?, ?, ?, 1)",
        (run_id, f"try {number}", 300 if number == 1 else None, lifecycle, str(artifacts)),
    )
    points = [("auc", 0.1 + 0.2, 1000, 0, 0), ("auc", 0.0, 1001, 1, 1), ("loss", 1.7976931348623157e308, 1000, -3, 0)]
    for key, value, at_ms, step, nan in points:
        db.execute("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", (key, value, at_ms, run_id, step, nan))
    for key, value, at_ms, step, nan in points[1:]:
        db.execute("INSERT INTO latest_metrics VALUES (?, ?, ?, ?, ?, ?)", (key, value, at_ms, run_id, step, nan))
    db.execute("INSERT INTO params VALUES ('alpha', ?, ?)", (str(number), run_id))
    db.execute("INSERT INTO tags VALUES ('note', 'Zürich', ?)", (run_id,))
    (artifacts / "plots").mkdir(parents=True)
    (artifacts / "plots" / "loss é.txt").write_text(run_id)
    return artifacts
