"""A run of a pipeline in the words of tracking: its params and tags as text, names that MLflow's clients take. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ...ground.flow.records import MetricPoint, Run, RunState
from .records import MAX_KEY, MAX_PARAM_VALUE, MAX_TAG_VALUE, DatasetInput, Metric, Param, Tag, TrackedState

RUN_TAG = "modelloop.run"
_STATES = {
    RunState.QUEUED: TrackedState.SCHEDULED,
    RunState.RUNNING: TrackedState.RUNNING,
    RunState.WAITING: TrackedState.RUNNING,
    RunState.DONE: TrackedState.FINISHED,
    RunState.FAILED: TrackedState.FAILED,
    RunState.CANCELLED: TrackedState.KILLED,
}


def state(run: Run) -> TrackedState:
    """Return where a run stands, in MLflow's words."""
    return _STATES[run.state]


def milliseconds(moment: datetime) -> int:
    """Return a time as tracking has it."""
    return int(moment.timestamp() * 1000)


def params(run: Run) -> list[Param]:
    """Return the parameters of a run: texts as they are, everything else as JSON."""
    return [Param(key(name), cut(shown(value), MAX_PARAM_VALUE)) for name, value in run.params.items()]


def metrics(points: Iterable[MetricPoint]) -> list[Metric]:
    """Return logged values; those without a step have step 0, as MLflow has it."""
    return [Metric(key(point.name), point.value, point.step or 0, milliseconds(point.at)) for point in points]


def tags(run: Run) -> list[Tag]:
    """Return what else is known of a run."""
    found = {
        RUN_TAG: run.id,
        "modelloop.pipeline": run.pipeline,
        "modelloop.project": run.project,
        "modelloop.seed": str(run.seed),
        "modelloop.code": run.code.digest,
        "modelloop.git.dirty": "true" if run.code.dirty else "",
        "modelloop.episode": run.episode or "",
        "modelloop.error": f"{run.error.kind}: {run.error.message}" if run.error else "",
        "mlflow.source.name": run.function,
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": run.code.commit,
        **{f"modelloop.data.{name}": f"{ref.dataset}:{ref.version}" for name, ref in run.inputs.items()},
    }
    return [Tag(key(name), cut(value, MAX_TAG_VALUE)) for name, value in found.items() if value]


def datasets(run: Run) -> list[DatasetInput]:
    """Return the versions of datasets that a run was given."""
    return [
        DatasetInput(
            name=ref.dataset,
            digest=ref.digest[:36],
            source_type="modelloop",
            source=json.dumps({"dataset": ref.dataset, "version": ref.version, "digest": ref.digest}),
            tags={"mlflow.data.context": name},
        )
        for name, ref in run.inputs.items()
    ]


def files(run: Run) -> dict[str, str]:
    """Return the files of a run: path -> digest."""
    found = {path(name): digest for name, digest in run.artifacts.items()}
    own = {"environment.json": run.environment, "code.diff": run.code.diff, "output.txt": run.stdout}
    return found | {f"modelloop/{name}": digest for name, digest in own.items() if digest}


def key(name: str) -> str:
    """Return a name that tracking takes: characters that it does not become '_'."""
    plain = re.sub(r"[^/\w.\- :]", "_", name)[:MAX_KEY]
    parts = [part if part.strip(".") else "_" * (len(part) or 1) for part in plain.split("/")]
    joined = "/".join(parts)
    return f"_{joined[1:]}" if joined.startswith("..") else joined


def path(name: str) -> str:
    """Return a path that tracking takes for an artifact."""
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\%:]", "_", name)
    return "/".join(part if part.strip(".") else "_" * (len(part) or 1) for part in plain.split("/"))


def shown(value: Any) -> str:
    """Return a value as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | list | tuple | bool | int | float) or value is None:
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def cut(text: str, most: int) -> str:
    """Return text of at most so many characters that can be kept; it says where something is left out."""
    kept = re.sub("[\x00\ud800-\udfff]", "\ufffd", text)
    if len(kept) <= most:
        return kept
    note = f"... ({len(kept)} characters in all)"
    return kept[: most - len(note)] + note
