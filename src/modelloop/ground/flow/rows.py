"""Rows of the facts to records and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from ..core.errors import StaleState
from ..core.records import Event
from .journal import Finished
from .metrics import Logged
from .records import CodeVersion, InputRef, Run, RunError, RunState, StepKey, StepRun, StepState, Usage, Wait

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
        usage=Usage(row.cpu_seconds, row.peak_bytes, row.wall_seconds, row.gpu_seconds),
        error=RunError(**row.error) if row.error else None,
        project=row.project,
    )


def wait(row: Any) -> Wait:
    """Return the question of a row of `flow_wait`."""
    return Wait(
        id=row.id,
        run=row.run_id,
        name=row.name,
        question=row.question,
        choices=tuple(row.choices),
        asked_at=row.asked_at,
        answer=row.answer,
        comment=row.comment or "",
        answered_at=row.answered_at,
        answered_by=row.answered_by or "",
    )


def step_run(row: Any, parts: Mapping[str, Mapping[str, Any]]) -> StepRun:
    """Return the call of a row of `flow_step`; `parts`: digest -> what the key refers to."""
    return StepRun(
        number=row.number,
        name=row.name,
        key=StepKey(row.key, **with_code(row.key_parts, parts)),
        nth=row.nth,
        state=StepState(row.state),
        reason=row.reason,
        seconds=row.seconds,
        finished_at=row.finished_at,
        output=row.output_digest,
        error=RunError(**row.error) if row.error else None,
        attempts=row.attempts,
        usage=Usage(row.cpu_seconds, row.peak_bytes, row.seconds, row.gpu_seconds),
        place=row.place,
    )


def with_code(key_parts: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return key parts with all the code in them, where they hold its digest."""
    code = key_parts["code"]
    return {**key_parts, "code": parts.get(code, {}).get("code", {}) if isinstance(code, str) else code}


def references(found: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the digests that key parts refer to."""
    return {parts["code"] for parts in found if isinstance(parts["code"], str)}


def step_values(run_id: str, finished: Finished, now: datetime) -> dict[str, Any]:
    """Return the row of a call that ended."""
    call, kept = finished.call, finished.kept
    return {
        "run_id": run_id,
        "number": call.number,
        "name": call.name[-300:],
        "key": call.key.digest,
        "key_parts": {
            "code": call.code,
            "arguments": dict(call.key.arguments),
            "seed": call.key.seed,
            "environment": call.key.environment,
            "shown": dict(call.key.shown),
        },
        "nth": call.nth,
        "state": finished.state,
        "reason": finished.reason[:_LONGEST_REASON],
        "seconds": finished.seconds,
        "finished_at": now,
        "output": kept.text if kept else None,
        "output_digest": kept.digest if kept else None,
        "error": asdict(finished.error) if finished.error else None,
        "attempts": finished.attempts,
        "cpu_seconds": finished.usage.cpu_seconds,
        "peak_bytes": finished.usage.peak_bytes,
        "gpu_seconds": max(finished.usage.gpu_seconds, call.step.care.gpus * finished.seconds),
        "place": finished.where[:120],
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


def end_event(run_id: str, values: Mapping[str, Any]) -> Event:
    """Return what the audit log says of the end of an attempt."""
    error = (values.get("error") or {}).get("message", "")[:500]
    return Event(f"run.{values['state']}", run_id, {"result": values.get("result_digest"), "error": error})


def origin(number: int, run_id: str) -> str:
    """Return where a kept result came from, in words."""
    return f"same code, arguments, seed and environment as call {number} of {run_id}"


def taken_over(begun: Run, attempt: int) -> StaleState:
    """Return the error of an attempt that is not the run's last."""
    return StaleState(f"{begun.id} was taken over by attempt {attempt}; this was attempt {begun.attempt}.")
