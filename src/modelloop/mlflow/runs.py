"""Runs: made, looked up, found, and ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ..ground.core.errors import InvalidInput
from ..ground.core.rights import Right
from ..ground.store.context import Context
from ..train.tracking.actions import inputs, searching
from ..train.tracking.actions import runs as actions
from ..train.tracking.records import (
    DEFAULT_EXPERIMENT,
    MAX_SEARCH_PAGE,
    MAX_TAG_VALUE,
    Batch,
    DatasetInput,
    FoundRun,
    ModelOutput,
    TrackedState,
    View,
)
from . import documents
from . import messages as m
from .bodies import needs
from .desk import Desk
from .documents import experiment_id
from .experiments import VIEWS, limit, tags_of
from .naming import some_name
from .replies import EMPTY, encode
from .routing import Call, Route, one_of

STATES: Mapping[str | int, TrackedState] = {
    **{str(state): state for state in TrackedState},
    **dict(enumerate(TrackedState, start=1)),
}
NAME = "mlflow.runName"
USER = "mlflow.user"
LOGGED = "mlflow.log-model.history"
_MODEL_FIELDS = frozenset({"artifact_path", "flavors", "utc_time_created", "run_id"})


def run_id(asked: m.RunId | m.UpdateRun | m.LogMetric | m.LogPair | m.History) -> str:
    """Return which run is meant: old clients say run_uuid."""
    return needs(asked.run_id or asked.run_uuid, "run_id")


def create(call: Call) -> bytes:
    """Begin a run."""
    asked: m.CreateRun = call.message
    tags = tags_of(asked.tags)
    if asked.run_name and tags.get(NAME, asked.run_name) != asked.run_name:
        raise InvalidInput(
            f"run_name is {asked.run_name!r}, but the tag {NAME} is {tags[NAME]!r}.", hint="Give one of them."
        )
    # in the writer's turn: a thread that waited for SQLite's writer by itself would sleep too long
    made = call.desk.writer.run(
        actions.create_run,
        experiment_id(asked.experiment_id) if asked.experiment_id not in (None, "") else DEFAULT_EXPERIMENT,
        name=asked.run_name or tags.get(NAME) or some_name(),
        user=asked.user_id or tags.get(USER, ""),
        start_ms=asked.start_time,
        tags=tags,
    ).result()
    document = documents.run(made)
    call.desk.documents.put(made.id, made.revision, document)
    return b'{"run":' + document + b"}"


def get(call: Call) -> bytes:
    """Look a run up."""
    found = actions.get_run(call.ctx, run_id(call.message))
    document = call.desk.documents.get(found.id, found.revision)
    if document is None:
        document = documents.run(found)
        call.desk.documents.put(found.id, found.revision, document)
    return b'{"run":' + document + b"}"


def search(call: Call) -> bytes:
    """Find runs."""
    asked: m.SearchRuns = call.message
    found = searching.find_runs(
        call.ctx,
        [experiment_id(one, "experiment_ids") for one in asked.experiment_ids or ()],
        filter=asked.filter or "",
        view=one_of(asked.run_view_type, VIEWS, "run_view_type", View.ACTIVE),
        limit=limit(asked.max_results, 1000, MAX_SEARCH_PAGE),
        order_by=asked.order_by or (),
        token=asked.page_token or None,
    )
    runs = b'{"runs":[' + b",".join(_documents(call.ctx, call.desk, found.items)) + b"]"
    if found.next_token:
        runs += b',"next_page_token":' + encode(found.next_token)
    return runs + b"}"


def update(call: Call) -> bytes:
    """Change a run's state, end or name."""
    asked: m.UpdateRun = call.message
    status = one_of(asked.status, STATES, "status")
    change = Batch(run_id(asked), status=status, end_ms=asked.end_time, name=asked.run_name or None)
    call.desk.writer.submit(change).result()
    return encode({"run_info": documents.run_info(actions.get_run(call.ctx, change.run_id))})


def delete(call: Call) -> bytes:
    """Put a run away."""
    actions.delete_run(call.ctx, run_id(call.message))
    return EMPTY


def restore(call: Call) -> bytes:
    """Bring a run back."""
    actions.restore_run(call.ctx, run_id(call.message))
    return EMPTY


def log_inputs(call: Call) -> bytes:
    """Tell which datasets and models a run was given."""
    asked: m.LogInputs = call.message
    datasets = [
        DatasetInput(
            name=needs(given.dataset.name, "dataset.name"),
            digest=needs(given.dataset.digest, "dataset.digest"),
            source_type=needs(given.dataset.source_type, "dataset.source_type"),
            source=needs(given.dataset.source, "dataset.source"),
            schema=given.dataset.schema,
            profile=given.dataset.profile,
            tags=tags_of(given.tags),
        )
        for given in asked.datasets or ()
    ]
    models = [given.model_id for given in asked.models or ()]
    inputs.log_inputs(call.ctx, needs(asked.run_id, "run_id"), datasets=datasets, models=models)
    return EMPTY


def log_outputs(call: Call) -> bytes:
    """Tell which models a run made."""
    asked: m.LogOutputs = call.message
    made = [ModelOutput(one.model_id, one.step or 0) for one in asked.models or ()]
    inputs.log_outputs(call.ctx, needs(asked.run_id, "run_id"), made)
    return EMPTY


def log_model(call: Call) -> bytes:
    """Note on a run what a model's MLmodel file says of it, as clients before MLflow 3 do."""
    asked: m.LogModelText = call.message
    wanted = needs(asked.run_id, "run_id")
    try:
        said = json.loads(needs(asked.model_json, "model_json"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput("model_json is not JSON.", hint="Expected what MLmodel says, as an object.") from error
    lacking = sorted(_MODEL_FIELDS - set(said)) if isinstance(said, dict) else sorted(_MODEL_FIELDS)
    if lacking:
        raise InvalidInput(f"model_json lacks {', '.join(lacking)}.", hint="Expected what MLmodel says, as an object.")
    run = actions.get_run(call.ctx, wanted)
    told = [*_told_models(run.tags.get(LOGGED)), said]
    while len(told) > 1 and len(json.dumps(told)) > MAX_TAG_VALUE:  # the oldest go: the files themselves stay
        del told[0]
    actions.set_tags(call.ctx, wanted, {LOGGED: json.dumps(told)})
    return EMPTY


def _told_models(text: str | None) -> list[object]:
    try:
        told = json.loads(text or "[]")
    except ValueError:
        return []
    return told if isinstance(told, list) else []


def _documents(ctx: Context, desk: Desk, found: Sequence[FoundRun]) -> list[bytes]:
    """Return documents of just these revisions or newer ones; only those that changed are made anew."""
    kept = {one.id: desk.documents.get(one.id, one.revision) for one in found}
    changed = [run_id for run_id, document in kept.items() if document is None]
    for run in actions.get_runs(ctx, changed) if changed else ():
        made = kept[run.id] = documents.run(run)
        desk.documents.put(run.id, run.revision, made)
    return [document for one in found if (document := kept[one.id]) is not None]


ROUTES = (
    Route("POST", "runs/create", Right.RUN, m.CreateRun, answer=create),
    Route("GET", "runs/get", Right.READ, m.RunId, answer=get),
    Route("POST", "runs/search", Right.READ, m.SearchRuns, answer=search),
    Route("POST", "runs/update", Right.RUN, m.UpdateRun, answer=update),
    Route("POST", "runs/delete", Right.RUN, m.RunId, answer=delete),
    Route("POST", "runs/restore", Right.RUN, m.RunId, answer=restore),
    Route("POST", "runs/log-inputs", Right.RUN, m.LogInputs, answer=log_inputs),
    Route("POST", "runs/outputs", Right.RUN, m.LogOutputs, answer=log_outputs),
    Route("POST", "runs/log-model", Right.RUN, m.LogModelText, answer=log_model),
)
