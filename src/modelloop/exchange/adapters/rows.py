"""Rows of MLflow's tables, and what is made of several of them: inputs, logged models, registered models."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from ...train.tracking.records import DatasetInput, Lifecycle, LoggedModel, Metric, ModelOutput, ModelState
from ..records import ForeignModel, ForeignRegistered, ForeignVersion

STATES = {1: ModelState.PENDING, 2: ModelState.READY, 3: ModelState.FAILED}
GONE = "Deleted_Internal"
"""The stage of a version that was deleted: MLflow keeps the row."""
STAGE_TAG, STATUS_TAG = "mlflow.current_stage", "mlflow.status"
"""What MLflow keeps in columns and Modelloop has no word for becomes a tag."""
_IN_ONE = 400
_MEASURED = (
    *("metric_name", "metric_value", "metric_step", "metric_timestamp_ms"),
    *("dataset_name", "dataset_digest", "run_id"),
)


class Tables:
    """The tables as they are in this database, of whatever version."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        inspector = sa.inspect(connection)
        self._known = {
            table: tuple(column["name"] for column in inspector.get_columns(table))
            for table in inspector.get_table_names()
        }

    def has(self, table: str, column: str | None = None) -> bool:
        """Say whether there is such a table or column."""
        return table in self._known and (column is None or column in self._known[table])

    def bytewise(self, table: str, column: str) -> Any:
        """Return a column to order by that compares bytes on both engines."""
        made: Any = self._table(table).c[column]
        return made.collate("C") if self._connection.dialect.name == "postgresql" else made

    def rows(
        self, table: str, *, order: str = "", among: tuple[str, Collection[Any]] | None = None, **where: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield rows as mappings; none where there is no such table."""
        if not self.has(table):
            return
        for part in _parts(among):
            found = self._query(table, part, where)
            if order:
                found = found.order_by(self._table(table).c[order])
            for row in self._connection.execute(found).mappings().all():
                yield dict(row)

    def stream(self, table: str, at_once: int, *, order: Sequence[Any], **where: Any) -> Iterator[dict[str, Any]]:
        """Yield rows in an order, however many: some are in memory."""
        query = self._query(table, None, where).order_by(*(sa.text(o) if isinstance(o, str) else o for o in order))
        result = self._connection.execution_options(yield_per=at_once).execute(query)
        for row in result.mappings():
            yield dict(row)

    def column(self, table: str, column: str, **where: Any) -> list[Any]:
        """Return one column, sorted."""
        made = self._table(table)
        query = sa.select(made.c[column]).where(*(made.c[key] == value for key, value in where.items()))
        return sorted(self._connection.execute(query).scalars())

    def grouped(
        self, table: str, key: str, columns: Sequence[str], *, among: Collection[Any] | None = None
    ) -> dict[Any, list[tuple[Any, ...]]]:
        """Return key -> rows of some columns."""
        found: dict[Any, list[tuple[Any, ...]]] = {}
        for row in self.rows(table, among=None if among is None else (key, among)):
            found.setdefault(row[key], []).append(tuple(row[column] for column in columns))
        return found

    def count(self, table: str) -> int:
        """Return how many rows a table has; 0 where it is not there."""
        if not self.has(table):
            return 0
        return self._connection.execute(sa.select(sa.func.count()).select_from(self._table(table))).scalar_one()

    def _table(self, name: str) -> sa.TableClause:
        return sa.table(name, *(sa.column(column) for column in self._known[name]))

    def _query(self, table: str, part: tuple[str, Collection[Any]] | None, where: Mapping[str, Any]) -> sa.Select[Any]:
        made = self._table(table)
        query = sa.select(made).where(*(made.c[key] == value for key, value in where.items()))
        return query if part is None else query.where(made.c[part[0]].in_(part[1]))


def _parts(among: tuple[str, Collection[Any]] | None) -> Iterator[tuple[str, Collection[Any]] | None]:
    """Cut a long list of keys: a statement takes only so many values."""
    if among is None:
        yield None
        return
    key, values = among[0], list(among[1])
    for start in range(0, len(values), _IN_ONE):
        yield key, values[start : start + _IN_ONE]


@dataclass(slots=True)
class Given:
    """What one run was given and made."""

    datasets: list[DatasetInput] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    outputs: list[ModelOutput] = field(default_factory=list)


@dataclass(slots=True)
class Inputs:
    """What many runs were given and made."""

    runs: dict[str, Given] = field(default_factory=dict)

    def of(self, run_id: str) -> Given:
        """Return what one run was given."""
        return self.runs.setdefault(run_id, Given())


def inputs_of(tables: Tables, ids: Sequence[str]) -> Inputs:
    """Return datasets, model inputs and model outputs of runs."""
    found = Inputs()
    rows = [row for row in tables.rows("inputs", among=("destination_id", ids)) if row["destination_type"] == "RUN"]
    datasets = {
        row["dataset_uuid"]: row
        for row in tables.rows("datasets", among=("dataset_uuid", sorted({row["source_id"] for row in rows})))
    }
    tags = tables.grouped("input_tags", "input_uuid", ("name", "value"), among=[row["input_uuid"] for row in rows])
    for row in sorted(rows, key=lambda one: (one["destination_id"], one["source_id"])):
        given = found.of(row["destination_id"])
        if row["source_type"] == "DATASET" and row["source_id"] in datasets:
            given.datasets.append(_dataset(datasets[row["source_id"]], dict(tags.get(row["input_uuid"], ()))))
        elif row["source_type"] in ("RUN_INPUT", "MODEL_INPUT", "MODEL"):
            given.models.append(row["source_id"])
    _add_links(tables, ids, found)
    return found


def _add_links(tables: Tables, ids: Sequence[str], found: Inputs) -> None:
    """Add models: their rows have the run as source."""
    for row in tables.rows("inputs", among=("source_id", ids)):
        given = found.of(row["source_id"])
        if row["source_type"] == "RUN_OUTPUT":
            given.outputs.append(ModelOutput(row["destination_id"], int(row.get("step") or 0)))
        elif row["source_type"] == "RUN_INPUT":
            given.models.append(row["destination_id"])


def _dataset(row: Mapping[str, Any], tags: Mapping[str, str]) -> DatasetInput:
    return DatasetInput(
        name=row["name"],
        digest=row["digest"],
        source_type=row["dataset_source_type"] or "",
        source=row["dataset_source"] or "",
        schema=row["dataset_schema"],
        profile=row["dataset_profile"],
        tags=tags,
    )


def models_of(tables: Tables, experiment: int) -> Iterator[ForeignModel]:
    """Yield the logged models of an experiment."""
    rows = list(tables.rows("logged_models", experiment_id=experiment, order="model_id"))
    ids = [row["model_id"] for row in rows]
    params = tables.grouped("logged_model_params", "model_id", ("param_key", "param_value"), among=ids)
    tags = tables.grouped("logged_model_tags", "model_id", ("tag_key", "tag_value"), among=ids)
    metrics = tables.grouped("logged_model_metrics", "model_id", _MEASURED, among=ids)
    for row in rows:
        key = row["model_id"]
        model = LoggedModel(
            id=key,
            experiment=experiment,
            name=row["name"],
            status=STATES.get(int(row["status"]), ModelState.FAILED),
            kind=row["model_type"] or "",
            source_run=row["source_run_id"] or None,
            made_ms=row["creation_timestamp_ms"],
            changed_ms=row["last_updated_timestamp_ms"],
            lifecycle=Lifecycle(row["lifecycle_stage"] or "active"),
            status_message=row["status_message"] or "",
            tags={name: value or "" for name, value in tags.get(key, ())},
            params={name: value or "" for name, value in params.get(key, ())},
            metrics=[
                Metric(one[0], math.nan if one[1] is None else one[1], one[2], one[3], key, *_empty(one[4:]))
                for one in metrics.get(key, ())
            ],
        )
        yield ForeignModel(model, row["artifact_location"] or "")


def _empty(values: Sequence[str | None]) -> tuple[str | None, ...]:
    return tuple(value or None for value in values)


def registered_of(tables: Tables) -> Iterator[ForeignRegistered]:
    """Yield the registered models with their versions."""
    tags = _keyed(tables, "registered_model_tags", ("key", "value"))
    aliases = _keyed(tables, "registered_model_aliases", ("alias", "version"))
    noted: dict[Any, dict[str, str]] = {}
    for row in tables.rows("model_version_tags"):
        noted.setdefault((_space(row), row["name"], row["version"]), {})[row["key"]] = row["value"] or ""
    versions: dict[Any, list[ForeignVersion]] = {}
    for row in tables.rows("model_versions", order="version"):
        if row["current_stage"] != GONE:
            key = (_space(row), row["name"])
            versions.setdefault(key, []).append(_version(row, noted.get((*key, row["version"]), {})))
    for row in tables.rows("registered_models", order="name"):
        key = (_space(row), row["name"])
        yield ForeignRegistered(
            name=_in_space(row),
            description=row["description"] or "",
            made_ms=row["creation_time"] or 0,
            tags={name: value or "" for name, value in tags.get(key, ())},
            aliases={name: int(number) for name, number in aliases.get(key, ())},
            versions=versions.get(key, []),
        )


def _keyed(tables: Tables, table: str, columns: Sequence[str]) -> dict[Any, list[tuple[Any, ...]]]:
    found: dict[Any, list[tuple[Any, ...]]] = {}
    for row in tables.rows(table):
        found.setdefault((_space(row), row["name"]), []).append(tuple(row[column] for column in columns))
    return found


def _version(row: Mapping[str, Any], tags: Mapping[str, str]) -> ForeignVersion:
    source = row["source"] or ""
    return ForeignVersion(
        model=_in_space(row),
        number=int(row["version"]),
        source=source,
        place=row.get("storage_location") or "",
        run_id=row["run_id"] or None,
        model_id=None,
        description=row["description"] or "",
        made_ms=row["creation_time"] or 0,
        tags=with_columns(tags, row["current_stage"], row["status"]),
    )


def with_columns(tags: Mapping[str, str], stage: str | None, status: str | None) -> dict[str, str]:
    """Return tags with the stage and status in which a version was, where they say anything."""
    found = dict(tags)
    if stage and stage != "None":
        found[STAGE_TAG] = stage
    if status and status != "READY":
        found[STATUS_TAG] = status
    return found


def _space(row: Mapping[str, Any]) -> str:
    return row.get("workspace") or "default"


def _in_space(row: Mapping[str, Any]) -> str:
    name: str = row["name"]
    return name if _space(row) == "default" else f"{_space(row)}.{name}"
