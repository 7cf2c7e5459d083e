"""Facts as MLflow's documents. Pure: from records to what JSON is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ground.core.errors import InvalidInput
from ..train.tracking.records import (
    Artifact,
    DatasetInput,
    Experiment,
    LoggedModel,
    Metric,
    TrackedRun,
)
from .replies import encode, number

SCHEME = "mlflow-artifacts:/"
"""Clients turn it into the address of the server they talk to."""
VERSIONS = "versions"
MODELS = "models"
ARTIFACTS = "artifacts"


def experiment_uri(experiment: int) -> str:
    """Return where an experiment's artifacts are."""
    return f"{SCHEME}{experiment}"


def run_uri(experiment: int, run_id: str) -> str:
    """Return where a run's artifacts are."""
    return f"{SCHEME}{experiment}/{run_id}/{ARTIFACTS}"


def model_uri(experiment: int, model_id: str) -> str:
    """Return where a logged model's files are."""
    return f"{SCHEME}{experiment}/{MODELS}/{model_id}/{ARTIFACTS}"


def pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags or parameters as MLflow lists them."""
    return [{"key": key, "value": value} for key, value in values.items()]


def metric(value: Metric) -> dict[str, Any]:
    """Return one value of a metric."""
    told: dict[str, Any] = {
        "key": value.name,
        "value": number(value.value),
        "timestamp": value.at_ms,
        "step": value.step,
    }
    if value.model_id:
        told["model_id"] = value.model_id
    if value.dataset_name:
        told["dataset_name"] = value.dataset_name
    if value.dataset_digest:
        told["dataset_digest"] = value.dataset_digest
    if value.run_id:
        told["run_id"] = value.run_id
    return told


def experiment(found: Experiment) -> dict[str, Any]:
    """Return an experiment."""
    return {
        "experiment_id": str(found.id),
        "name": found.name,
        "artifact_location": experiment_uri(found.id),
        "lifecycle_stage": str(found.lifecycle),
        "creation_time": found.made_ms,
        "last_update_time": found.changed_ms,
        "tags": pairs(found.tags),
    }


def run_info(run: TrackedRun) -> dict[str, Any]:
    """Return what a run is, without what it logged."""
    told: dict[str, Any] = {
        "run_uuid": run.id,
        "run_id": run.id,
        "run_name": run.name,
        "experiment_id": str(run.experiment),
        "user_id": run.user,
        "status": str(run.status),
        "start_time": run.start_ms or 0,
        "artifact_uri": run_uri(run.experiment, run.id),
        "lifecycle_stage": str(run.lifecycle),
    }
    if run.end_ms is not None:
        told["end_time"] = run.end_ms
    return told


def run(found: TrackedRun) -> bytes:
    """Return a run with all it logged, encoded."""
    data = {
        "metrics": [metric(value) for value in found.metrics.values()],
        "params": pairs(found.params),
        "tags": pairs(found.tags),
    }
    inputs = {
        "dataset_inputs": [dataset_input(given) for given in found.inputs],
        "model_inputs": [{"model_id": model_id} for model_id in found.model_inputs],
    }
    outputs = {"model_outputs": [{"model_id": made.model_id, "step": made.step} for made in found.model_outputs]}
    return encode({"info": run_info(found), "data": data, "inputs": inputs, "outputs": outputs})


def dataset_input(given: DatasetInput) -> dict[str, Any]:
    """Return a dataset that a run was given."""
    dataset = {
        "name": given.name,
        "digest": given.digest,
        "source_type": given.source_type,
        "source": given.source,
    }
    if given.schema is not None:
        dataset["schema"] = given.schema
    if given.profile is not None:
        dataset["profile"] = given.profile
    return {"dataset": dataset, "tags": pairs(given.tags)}


def logged_model(found: LoggedModel) -> dict[str, Any]:
    """Return a logged model."""
    info: dict[str, Any] = {
        "model_id": found.id,
        "experiment_id": str(found.experiment),
        "name": found.name,
        "creation_timestamp_ms": found.made_ms,
        "last_updated_timestamp_ms": found.changed_ms,
        "artifact_uri": model_uri(found.experiment, found.id),
        "status": str(found.status),
        "model_type": found.kind,
        "source_run_id": found.source_run or "",
        "tags": pairs(found.tags),
    }
    if found.status_message:
        info["status_message"] = found.status_message
    metrics = [metric(value) for value in found.metrics]
    return {"info": info, "data": {"params": pairs(found.params), "metrics": metrics}}


def files(found: Sequence[Artifact], *, below: str | None = None) -> list[dict[str, Any]]:
    """Return a folder's content; `below`: paths are told as seen from this folder, not from the root."""
    start = f"{below}/" if below else ""
    told: list[dict[str, Any]] = []
    for artifact in found:
        path = artifact.path if below is None else artifact.path.removeprefix(start)
        entry: dict[str, Any] = {"path": path, "is_dir": artifact.is_dir}
        if not artifact.is_dir:
            entry["file_size"] = artifact.size
        told.append(entry)
    return told


def page(name: str, items: Sequence[Any], next_token: str | None) -> bytes:
    """Return a page of a list."""
    told: dict[str, Any] = {name: items}
    if next_token:
        told["next_page_token"] = next_token
    return encode(told)


def experiment_id(text: str | int | None, name: str = "experiment_id") -> int:
    """Return the number that an experiment's id is; raises InvalidInput."""
    word = "" if text is None else str(text)
    if not word:
        raise InvalidInput(f"Missing value for required parameter '{name}'.")
    if not (word.isascii() and word.isdecimal() and len(word) <= 18):
        raise InvalidInput(f"{word[:60]!r} is not the id of an experiment.", hint="Ids are numbers, 0 is Default.")
    return int(word)
