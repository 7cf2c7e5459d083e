"""What runs were given and what they made: datasets and logged models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....ground.core.errors import InvalidInput
from ....ground.store.context import Context
from .. import checks, records
from ..records import DatasetInput, ModelOutput
from ..tables import experiments as upserts
from ..tables import runs as tables
from ..tables import schema
from .runs import standing

CONTEXT = "mlflow.data.context"
"""The tag that says what a dataset was for."""


def log_inputs(ctx: Context, run_id: str, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()) -> None:
    """Note which datasets and logged models a run was given; twice is once, and tags add up."""
    for given in datasets:
        _check(given)
    for model_id in models:
        checks.run_id(model_id)
    with ctx.db.transaction() as connection:
        standing(connection, run_id)
        experiment = tables.by_ids(connection, [run_id])[0][1]
        for given in datasets:
            number = tables.dataset_id(connection, {"experiment_id": experiment, **_values(given)})
            tags = {**tables.input_tags(connection, run_id, number), **given.tags}
            row = {"run_id": run_id, "dataset_id": number, "context": tags.get(CONTEXT), "tags": tags}
            upserts.upsert(connection, schema.run_input, [row])
        tables.add_models(connection, [_model(run_id, "in", model_id, 0) for model_id in models])
        tables.touch(connection, run_id)


def log_outputs(ctx: Context, run_id: str, models: Sequence[ModelOutput]) -> None:
    """Note which logged models a run made; twice is once."""
    for made in models:
        checks.run_id(made.model_id)
        checks.whole(made.step, "The step of a model")
    with ctx.db.transaction() as connection:
        standing(connection, run_id)
        tables.add_models(connection, [_model(run_id, "out", made.model_id, made.step) for made in models])
        tables.touch(connection, run_id)


def datasets_of(ctx: Context, experiments: Sequence[int]) -> list[tuple[int, str, str, str | None]]:
    """Return (experiment, name, digest, context) of the datasets that runs of these experiments were given."""
    known = [number for number in experiments if 0 <= number < records.INT64]
    if not known:
        return []
    with ctx.db.reading() as connection:
        return tables.datasets_of(connection, known)


def _model(run_id: str, direction: str, model_id: str, step: int) -> dict[str, Any]:
    return {"run_id": run_id, "direction": direction, "model_id": model_id, "step": step}


def _values(given: DatasetInput) -> dict[str, Any]:
    return {key: getattr(given, key) for key in ("name", "digest", "source_type", "source", "schema", "profile")}


def _check(given: DatasetInput) -> None:
    if not given.name or not given.digest:
        raise InvalidInput("A dataset has no name or no digest.", hint="Give both.")
    checks.line(given.name, "name of a dataset", records.MAX_DATASET_NAME)
    checks.line(given.digest, "digest of a dataset", records.MAX_DATASET_DIGEST)
    checks.line(given.source_type, "source type of a dataset", 36)
    checks.value(given.source, "The source of a dataset", records.MAX_DATASET_SOURCE)
    checks.value(given.schema or "", "The schema of a dataset", records.MAX_DATASET_SCHEMA)
    checks.value(given.profile or "", "The profile of a dataset", records.MAX_DATASET_PROFILE)
    for name, value in given.tags.items():
        checks.line(name, "name of a tag of a dataset", 255)
        checks.value(value, f"Tag {name!r} of a dataset", 500)
