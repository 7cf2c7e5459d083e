"""What clients send, as MLflow's messages have it: unknown fields are ignored, null is the same as left out.

Numbers may come as text: MLflow's protocol is Protocol Buffers in JSON, where 64-bit numbers and NaN are written so.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Named: TypeAlias = str | int
"""A value of an enumeration, by name or by number; an id that is a number, as text or not."""


class Nothing(Struct):
    """A request that says nothing beyond its address."""


class Pair(Struct):
    """A tag or a parameter."""

    key: str
    value: str | None = None


class Value(Struct):
    """A metric's value."""

    key: str
    value: float
    timestamp: Int64
    step: Int64 | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


class CreateExperiment(Struct):
    """experiments/create."""

    name: str | None = None
    artifact_location: str | None = None
    tags: list[Pair] | None = None


class ExperimentId(Struct):
    """experiments/get, delete, restore."""

    experiment_id: Named | None = None


class ExperimentName(Struct):
    """experiments/get-by-name."""

    experiment_name: str | None = None


class UpdateExperiment(Struct):
    """experiments/update."""

    experiment_id: Named | None = None
    new_name: str | None = None


class ExperimentTag(Struct):
    """experiments/set-experiment-tag, delete-experiment-tag."""

    experiment_id: Named | None = None
    key: str | None = None
    value: str | None = None


class SearchExperiments(Struct):
    """experiments/search."""

    max_results: Int64 | None = None
    page_token: str | None = None
    filter: str | None = None
    order_by: list[str] | None = None
    view_type: Named | None = None


class ExperimentIds(Struct):
    """experiments/search-datasets."""

    experiment_ids: list[Named] | None = None


class CreateRun(Struct):
    """runs/create."""

    experiment_id: Named | None = None
    user_id: str | None = None
    run_name: str | None = None
    start_time: Int64 | None = None
    tags: list[Pair] | None = None


class RunId(Struct):
    """runs/get, delete, restore."""

    run_id: str | None = None
    run_uuid: str | None = None


class UpdateRun(Struct):
    """runs/update."""

    run_id: str | None = None
    run_uuid: str | None = None
    status: Named | None = None
    end_time: Int64 | None = None
    run_name: str | None = None


class SearchRuns(Struct):
    """runs/search."""

    experiment_ids: list[Named] | None = None
    filter: str | None = None
    run_view_type: Named | None = None
    max_results: Int64 | None = None
    order_by: list[str] | None = None
    page_token: str | None = None


class LogMetric(Struct):
    """runs/log-metric."""

    key: str | None = None
    value: float | None = None
    timestamp: Int64 | None = None
    step: Int64 | None = None
    run_id: str | None = None
    run_uuid: str | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LogPair(Struct):
    """runs/log-parameter, set-tag, delete-tag."""

    key: str | None = None
    value: str | None = None
    run_id: str | None = None
    run_uuid: str | None = None


class LogBatch(Struct):
    """runs/log-batch."""

    run_id: str | None = None
    metrics: list[Value] | None = None
    params: list[Pair] | None = None
    tags: list[Pair] | None = None


class LogModelText(Struct):
    """runs/log-model."""

    run_id: str | None = None
    model_json: str | None = None


class Dataset(Struct):
    """A dataset as a run's input."""

    name: str | None = None
    digest: str | None = None
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None


class DatasetInput(Struct):
    """A dataset and what it was used for."""

    dataset: Dataset
    tags: list[Pair] | None = None


class ModelOfRun(Struct):
    """A logged model as a run's input or output."""

    model_id: str
    step: Int64 | None = None


class LogInputs(Struct):
    """runs/log-inputs."""

    run_id: str | None = None
    datasets: list[DatasetInput] | None = None
    models: list[ModelOfRun] | None = None


class LogOutputs(Struct):
    """runs/outputs."""

    run_id: str | None = None
    models: list[ModelOfRun] | None = None


class History(Struct):
    """metrics/get-history."""

    run_id: str | None = None
    run_uuid: str | None = None
    metric_key: str | None = None
    max_results: Int64 | None = None
    page_token: str | None = None


class HistoryOfMany(Struct):
    """metrics/get-history-bulk and get-history-bulk-interval."""

    run_id: list[str] | None = None
    run_ids: list[str] | None = None
    metric_key: str | None = None
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Int64 | None = None


class CreateLoggedModel(Struct):
    """logged-models."""

    experiment_id: Named | None = None
    name: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    params: list[Pair] | None = None
    tags: list[Pair] | None = None


class GetLoggedModel(Struct):
    """logged-models/ID."""

    allow_deleted: bool | None = None


class FinalizeLoggedModel(Struct):
    """logged-models/ID (PATCH)."""

    status: Named | None = None


class LoggedModelParams(Struct):
    """logged-models/ID/params."""

    params: list[Pair] | None = None


class LoggedModelTags(Struct):
    """logged-models/ID/tags."""

    tags: list[Pair] | None = None


class ModelOrder(Struct):
    """A criterion of order of logged models."""

    field_name: str
    ascending: bool | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class ModelDataset(Struct):
    """A dataset that metrics of logged models are looked at for."""

    dataset_name: str
    dataset_digest: str | None = None


class SearchLoggedModels(Struct):
    """logged-models/search."""

    experiment_ids: list[Named] | None = None
    filter: str | None = None
    datasets: list[ModelDataset] | None = None
    max_results: Int64 | None = None
    order_by: list[ModelOrder] | None = None
    page_token: str | None = None


class ListArtifacts(Struct):
    """artifacts/list, mlflow-artifacts/artifacts, and the folders of a logged model."""

    run_id: str | None = None
    run_uuid: str | None = None
    path: str | None = None
    artifact_directory_path: str | None = None
    page_token: str | None = None


class CreateRegisteredModel(Struct):
    """registered-models/create."""

    name: str | None = None
    tags: list[Pair] | None = None
    description: str | None = None


class ModelName(Struct):
    """registered-models/get, delete, get-latest-versions."""

    name: str | None = None
    stages: list[str] | None = None


class RenameRegisteredModel(Struct):
    """registered-models/rename."""

    name: str | None = None
    new_name: str | None = None


class UpdateRegisteredModel(Struct):
    """registered-models/update."""

    name: str | None = None
    description: str | None = None


class Search(Struct):
    """registered-models/search and model-versions/search."""

    filter: str | None = None
    max_results: Int64 | None = None
    order_by: list[str] | None = None
    page_token: str | None = None


class RegisteredTag(Struct):
    """registered-models/set-tag, delete-tag; model-versions/set-tag, delete-tag."""

    name: str | None = None
    version: Named | None = None
    key: str | None = None
    value: str | None = None


class Alias(Struct):
    """registered-models/alias."""

    name: str | None = None
    alias: str | None = None
    version: Named | None = None


class CreateVersion(Struct):
    """model-versions/create."""

    name: str | None = None
    source: str | None = None
    run_id: str | None = None
    tags: list[Pair] | None = None
    run_link: str | None = None
    description: str | None = None
    model_id: str | None = None


class Version(Struct):
    """model-versions/get, update, delete, get-download-uri, transition-stage."""

    name: str | None = None
    version: Named | None = None
    description: str | None = None
    stage: str | None = None
    archive_existing_versions: bool | None = None


class OneFile(Struct):
    """get-artifact, model-versions/get-artifact, logged-models/ID/artifacts/files."""

    run_id: str | None = None
    run_uuid: str | None = None
    name: str | None = None
    version: Named | None = None
    path: str | None = None
    artifact_file_path: str | None = None
