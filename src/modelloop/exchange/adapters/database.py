"""MLflow's database, read without MLflow: SQLite opened read-only, or PostgreSQL in a read-only transaction.

Columns that came in later versions of MLflow may lack; what cannot be done without is asked for by name.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from ...ground.core.errors import InvalidInput, NotFound
from ...train.tracking.records import Experiment, Lifecycle, Metric, TrackedRun, TrackedState
from ..records import Files, ForeignModel, ForeignRegistered, ForeignRun
from .folders import folder_of
from .rows import Tables, inputs_of, models_of, registered_of

NEEDED: Mapping[str, tuple[str, ...]] = {
    "experiments": ("experiment_id", "name", "artifact_location", "lifecycle_stage"),
    "runs": ("run_uuid", "experiment_id", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri"),
    "metrics": ("run_uuid", "key", "value", "timestamp", "step", "is_nan"),
    "latest_metrics": ("run_uuid", "key", "value", "timestamp", "step", "is_nan"),
    "params": ("run_uuid", "key", "value"),
    "tags": ("run_uuid", "key", "value"),
}
NO_PLACE = {
    "traces": "trace_info",
    "evaluation datasets": "evaluation_datasets",
    "scorers": "scorers",
    "gateway endpoints": "endpoints",
    "webhooks": "webhooks",
}
"""What has no place here, by table."""
COUNTED = {"experiments": "experiments", "runs": "runs", "metric values": "metrics", "params": "params"}
_AT_ONCE = 5_000
_MANY = 500


class Database:
    """A store in a database. Not thread-safe."""

    def __init__(self, engine: sa.Engine, name: str, artifacts: Path | None) -> None:
        self.name = name
        self._engine = engine
        self._artifacts = artifacts
        with _told(name):
            self._connection = engine.connect()
            self._tables = Tables(self._connection)
        self._check()

    def experiments(self) -> Iterable[Experiment]:
        """Yield all experiments."""
        with _told(self.name):
            tags = self._tables.grouped("experiment_tags", "experiment_id", ("key", "value"))
            for row in self._tables.rows("experiments", order="experiment_id"):
                number = int(row["experiment_id"])
                yield Experiment(
                    id=number,
                    name=_named(row),
                    lifecycle=Lifecycle(row["lifecycle_stage"]),
                    made_ms=row.get("creation_time") or 0,
                    changed_ms=row.get("last_update_time") or row.get("creation_time") or 0,
                    tags={key: value or "" for key, value in tags.get(number, ())},
                )

    def runs(self, experiment: int) -> Iterable[ForeignRun]:
        """Yield all runs of an experiment, some hundred read at a time."""
        with _told(self.name):
            ids = self._tables.column("runs", "run_uuid", experiment_id=experiment)
            for start in range(0, len(ids), _MANY):
                yield from self._some(experiment, ids[start : start + _MANY])

    def metrics(self, run: TrackedRun) -> Iterator[Metric]:
        """Yield the history of a run's metrics."""
        order = [self._tables.bytewise("metrics", "key"), "timestamp", "step", "value", "is_nan"]
        with _told(self.name):
            for row in self._tables.stream("metrics", _AT_ONCE, order=order, run_uuid=run.id):
                value = math.nan if row["is_nan"] else float(row["value"])
                yield Metric(row["key"], value, int(row["step"]), int(row["timestamp"]))

    def models(self, experiment: int) -> Iterable[ForeignModel]:
        """Yield the logged models of an experiment."""
        with _told(self.name):
            yield from models_of(self._tables, experiment)

    def registered(self) -> Iterable[ForeignRegistered]:
        """Yield the registered models."""
        with _told(self.name):
            yield from registered_of(self._tables)

    def files(self, kind: str, owner: str, place: str, experiment: int) -> Files:
        """Return the folder of a run or model."""
        return folder_of(kind, owner, place, artifacts=self._artifacts, experiment=experiment)

    def totals(self) -> Mapping[str, int]:
        """Return counts of whole tables."""
        with _told(self.name):
            return {what: self._tables.count(table) for what, table in COUNTED.items()}

    def not_taken(self) -> Mapping[str, int]:
        """Return how many rows there are of what has no place here."""
        with _told(self.name):
            counts = {what: self._tables.count(table) for what, table in NO_PLACE.items()}
        return {what: count for what, count in counts.items() if count}

    def close(self) -> None:
        """Let the database go."""
        self._connection.close()
        self._engine.dispose()

    def _check(self) -> None:
        for table, columns in NEEDED.items():
            lacking = [column for column in columns if not self._tables.has(table, column)]
            if lacking:
                what = f"table {table!r}" if not self._tables.has(table) else f"{table}.{', '.join(lacking)}"
                self.close()
                raise InvalidInput(
                    f"{self.name} is no store of MLflow 1.7 or later: it has no {what}.",
                    hint="An older one is brought up by MLflow itself: `mlflow db upgrade sqlite:///FILE`.",
                )

    def _some(self, experiment: int, ids: list[str]) -> Iterator[ForeignRun]:
        params = self._tables.grouped("params", "run_uuid", ("key", "value"), among=ids)
        tags = self._tables.grouped("tags", "run_uuid", ("key", "value"), among=ids)
        latest = self._tables.grouped(
            "latest_metrics", "run_uuid", ("key", "value", "step", "timestamp", "is_nan"), among=ids
        )
        inputs = inputs_of(self._tables, ids)
        for row in self._tables.rows("runs", among=("run_uuid", ids), order="run_uuid"):
            run_id = row["run_uuid"]
            noted = {key: value or "" for key, value in tags.get(run_id, ())}
            given = inputs.of(run_id)
            run = TrackedRun(
                id=run_id,
                experiment=experiment,
                name=row.get("name") or noted.get("mlflow.runName", ""),
                user=row.get("user_id") or "",
                status=TrackedState(row["status"]),
                lifecycle=Lifecycle(row["lifecycle_stage"]),
                start_ms=row["start_time"] or 0,
                end_ms=row["end_time"],
                revision=0,
                metrics={
                    key: Metric(key, math.nan if nan else float(value), step, at_ms)
                    for key, value, step, at_ms, nan in latest.get(run_id, ())
                },
                params=dict(params.get(run_id, ())),
                tags=noted,
                inputs=given.datasets,
                model_inputs=given.models,
                model_outputs=given.outputs,
            )
            yield ForeignRun(run, row.get("deleted_time"), row["artifact_uri"] or "")


def open_sqlite(path: Path, artifacts: Path | None) -> Database:
    """Open a file; raises NotFound or InvalidInput. It is never written to, nor made."""
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", hint="Give the path of MLflow's SQLite file (mlflow.db).")
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    engine = sa.create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(address, uri=True, timeout=30), poolclass=sa.pool.StaticPool
    )
    return Database(engine, str(path), artifacts)


def open_postgres(url: str, artifacts: Path | None) -> Database:
    """Open a PostgreSQL database by its URL, for reading only."""
    try:
        made = sa.make_url(url).set(drivername="postgresql+psycopg")
    except (SQLAlchemyError, ValueError) as error:
        raise InvalidInput(
            "This is no URL of a database.", hint="For instance postgresql://user:secret@host/mlflow."
        ) from error
    engine = sa.create_engine(made, execution_options={"postgresql_readonly": True})
    return Database(engine, made.render_as_string(hide_password=True), artifacts)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what the database, or its content, objects to into one sentence."""
    try:
        yield
    except SQLAlchemyError as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        raise InvalidInput(
            f"{name} cannot be read as a database of MLflow: {said}.",
            hint="Is it whole? `sqlite3 FILE 'PRAGMA integrity_check'` says so of a SQLite file.",
        ) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInput(f"{name} holds a value of the wrong kind: {str(error)[:200]}.") from error


def _named(row: Mapping[str, Any]) -> str:
    """Return an experiment's name; those of other workspaces than the default one carry that before theirs."""
    space = row.get("workspace") or "default"
    name: str = row["name"]
    return name if space == "default" else f"{space}/{name}"
