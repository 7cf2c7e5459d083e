"""Rows of the facts to records and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from ..core.hashing import hash_json
from .journal import Finished
from .metrics import Logged
from .records import CodeVersion, InputRef, Run, RunError, RunState, StepKey, StepRun, StepState, Usage

_LONGEST_REASON = 1000


def run(row: Any, params: Mapping[str, Any], metrics: Mapping[str, float], artifacts: Mapping[str, str]) -> Run:
    """Return the run of a row of `flow_run`."""
    return Run(
        id=row.id,
        pipeline=row.pipeline,
        function=row.function,
        project_dir=row.project_dir,
        state=RunState(row.state),
        params=params,
        inputs={name: InputRef(**ref) for name, ref in row.inputs.items()},
        seed=row.seed,
        time_limit=timedelta(seconds=row.time_limit),
        episode=row.episode,
        queued_at=row.queued_at,
        attempt=row.attempt,
        worker=row.worker,
        started_at=row.started_at,
        finished_at=row.finished_at,
        cancel_asked=row.cancel_asked,
        code=CodeVersion(**row.code) if row.code else CodeVersion(),
        environment=row.environment,
        metrics=metrics,
        artifacts=artifacts,
        stdout=row.stdout,
        usage=Usage(row.cpu_seconds, row.peak_bytes, row.wall_seconds),
        error=RunError(**row.error) if row.error else None,
    )


def step_run(row: Any) -> StepRun:
    """Return the call of a row of `flow_step`."""
    return StepRun(
        number=row.number,
        name=row.name,
        key=StepKey(row.key, **row.key_parts),
        nth=row.nth,
        state=StepState(row.state),
        reason=row.reason,
        seconds=row.seconds,
        finished_at=row.finished_at,
        output=row.output_digest,
        error=RunError(**row.error) if row.error else None,
    )


def step_values(run_id: str, finished: Finished, now: datetime) -> dict[str, Any]:
    """Return the row of a call that ended."""
    call, kept = finished.call, finished.kept
    return {
        "run_id": run_id,
        "number": call.number,
        "name": call.name[-300:],
        "key": call.key.digest,
        "key_parts": call.key.as_json(),
        "nth": call.nth,
        "state": finished.state,
        "reason": finished.reason[:_LONGEST_REASON],
        "seconds": finished.seconds,
        "finished_at": now,
        "output": kept.text if kept else None,
        "output_digest": kept.digest if kept else None,
        "error": asdict(finished.error) if finished.error else None,
    }


def cache_values(run_id: str, finished: Finished, now: datetime) -> dict[str, Any] | None:
    """Return the row that keeps the result for other runs, or None where it is not to be kept."""
    call, kept = finished.call, finished.kept
    if kept is None or finished.state is not StepState.DONE or not call.step.cache:
        return None
    return {
        "key": call.key.digest,
        "run_id": run_id,
        "number": call.number,
        "output": kept.text,
        "output_digest": kept.digest,
        "metrics": [list(point) for point in kept.metrics],
        "made_at": now,
    }


def metric_values(run_id: str, logged: Sequence[Logged]) -> list[dict[str, Any]]:
    """Return the rows of metrics."""
    return [
        {
            "run_id": run_id,
            "name": one.point.name[:200],
            "value": one.point.value,
            "step": one.point.step,
            "at": one.point.at,
            "call": one.call,
        }
        for one in logged
    ]


def digest_of_code(code: Mapping[str, str]) -> str:
    """Return one digest for all the code that a pipeline reaches."""
    return hash_json(dict(code))
