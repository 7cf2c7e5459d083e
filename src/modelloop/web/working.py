"""Pages of runs: all, one with its steps, and the bytes that it kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..ground.core.errors import BlobMissing, NotFound
from ..ground.core.ids import check_id
from ..ground.flow import actions as flow
from ..ground.flow.records import Change, Run, RunError, StepRun, StepState, Wait, Why
from ..ground.http import Call
from ..ground.pool.cost import Line
from ..ground.pool.spending import spent
from ..ground.store.context import Context
from .download import Download, can_be_shown
from .lengths import clip, more, pairs

STEPS = 200
"""Calls that a page tells of; failed ones come first where there are more."""
TAIL = 20_000
_IN_MEMORY = 32_000_000
_RUN_ID = re.compile(r"run_[0-9A-HJKMNP-TV-Z]{26}")
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def runs(call: Call) -> dict[str, Any]:
    """Show runs, newest first (pipeline, limit), and what runs wait for."""
    limit, pipeline = call.limit(50), call.query.get("pipeline") or None
    found = flow.list_runs(call.ctx, pipeline=pipeline, limit=limit)
    return {
        "runs": [_listed(one) for one in found],
        "pipeline": pipeline,
        "pipelines": sorted(call.project.pipelines),
        "limit": limit,
        "full": len(found) == limit,
        "waiting": [_question(one) for one in flow.waiting(call.ctx)[:limit]],
    }


def run(call: Call) -> dict[str, Any]:
    """Show a run: what it was given, its steps and why they were carried out, what it kept, printed, took, and asks."""
    ctx, found = call.ctx, flow.get_run(call.ctx, check_id(call.path["id"], "run"))
    steps = flow.steps_of(ctx, found.id)
    reasons = {one.number: one for one in flow.why(ctx, found.id)} if len(steps) <= STEPS else {}
    told = _printed(ctx, found)
    costs = spent(ctx, call.project.pool.prices, run=found.id).total
    return {
        **_listed(found),
        "function": found.function,
        "attempt": found.attempt,
        "worker": found.worker,
        "seed": found.seed,
        "time_limit": found.time_limit,
        "started_at": found.started_at,
        "finished_at": found.finished_at,
        "cancel_asked": found.cancel_asked,
        "params": pairs(found.params, 50),
        "commit": found.code.commit[:40],
        "dirty": found.code.dirty,
        "metrics": sorted(found.metrics.items())[:200],
        "more_metrics": more(found.metrics, 200),
        "artifacts": [{"name": name, "shown": can_be_shown(name)} for name in sorted(found.artifacts)[:200]],
        "more_artifacts": more(found.artifacts, 200),
        "steps": [_step(one, reasons.get(one.number)) for one in _first(steps)],
        "step_count": len(steps),
        "explained": bool(reasons) or not steps,
        "questions": [_question(one) for one in flow.questions(ctx, found.id)[-100:]],
        "usage": found.usage,
        "cost": _cost(costs),
        "failure": _failure(found.error) if found.error else None,
        "printed": told[-TAIL:],
        "cut": len(told) > TAIL,
    }


def artifact(call: Call) -> Download:
    """Return the bytes that a run kept under `name`, to be saved, or with show=1 to be looked at in a sandbox."""
    found = flow.get_run(call.ctx, check_id(call.path["id"], "run"))
    name = call.query.get("name", "")
    digest = found.artifacts.get(name)
    if digest is None:
        raise NotFound(
            f"{found.id} kept nothing under the name {name[:80]!r}.",
            hint=f"There are: {', '.join(sorted(found.artifacts)[:20]) or 'none'}.",
        )
    return Download(name, _content(call.ctx, digest), shown=call.query.get("show") == "1")


def _content(ctx: Context, digest: str) -> bytes | Path:
    path = ctx.blobs.path(digest)
    if path is not None and path.is_file() and path.stat().st_size > _IN_MEMORY:
        return path
    return ctx.blobs.get(digest)


def _listed(one: Run) -> dict[str, Any]:
    return {
        "id": one.id,
        "pipeline": one.pipeline,
        "state": str(one.state),
        "ended": one.state.ended,
        "episode": one.episode,
        "queued_at": one.queued_at,
        "seconds": one.usage.wall_seconds or _seconds(one),
        "inputs": [
            {"argument": name, "dataset": ref.dataset, "version": ref.version}
            for name, ref in list(one.inputs.items())[:50]
        ],
        "headline": sorted(one.metrics.items())[:3],
        "trouble": clip(f"{one.error.kind}: {one.error.message}", 200) if one.error else "",
    }


def _seconds(one: Run) -> float:
    return (one.finished_at - one.started_at).total_seconds() if one.started_at and one.finished_at else 0.0


def _first(steps: Sequence[StepRun]) -> list[StepRun]:
    if len(steps) <= STEPS:
        return list(steps)
    failed = [one for one in steps if one.state is StepState.FAILED]
    rest = [one for one in steps if one.state is not StepState.FAILED]
    return [*failed, *rest][:STEPS]


def _step(one: StepRun, why: Why | None) -> dict[str, Any]:
    origin = _RUN_ID.search(one.reason) if one.state is StepState.CACHED else None
    return {
        "number": one.number,
        "name": clip(one.name, 120),
        "state": str(one.state),
        "seconds": one.seconds,
        "attempts": one.attempts,
        "cpu_seconds": one.usage.cpu_seconds,
        "peak_bytes": one.usage.peak_bytes,
        "gpu_seconds": one.usage.gpu_seconds,
        "place": clip(one.place, 120),
        "reason": clip(one.reason),
        "origin": origin[0] if origin else None,
        "arguments": pairs(one.key.shown, 12),
        "compared": why.compared if why and why.changes else None,
        "changes": [_change(change) for change in (why.changes if why else ())[:20]],
        "failure": _failure(one.error) if one.error else None,
    }


def _change(one: Change) -> dict[str, Any]:
    return {
        "what": one.what,
        "name": clip(one.name, 200),
        "before": clip(one.before, 200),
        "now": clip(one.now, 200),
        "diff": [line for line in clip(one.diff, 4000).splitlines() if not line.startswith(("--- ", "+++ "))],
    }


def _failure(error: RunError) -> dict[str, Any]:
    """Return an error; of a long traceback the end, where it says what happened."""
    lines = _CONTROLS.sub("", error.traceback).strip()
    return {
        "kind": clip(error.kind, 120),
        "message": clip(error.message, 2000),
        "traceback": lines if len(lines) <= TAIL else f"…{lines[-TAIL:]}",
        "step": error.step,
    }


def _question(one: Wait) -> dict[str, Any]:
    return {
        "run": one.run,
        "name": one.name,
        "question": clip(one.question, 4000),
        "choices": list(one.choices[:50]),
        "asked_at": one.asked_at,
        "answer": one.answer,
        "comment": clip(one.comment, 2000),
        "answered_at": one.answered_at,
        "answered_by": one.answered_by,
    }


def _printed(ctx: Context, found: Run) -> str:
    """Return what the process printed: of a running one, what there is so far; at most a little over TAIL letters."""
    live = ctx.home / "runs" / f"{found.id}.log"
    data = b""
    if found.stdout is not None:
        try:
            data = ctx.blobs.get(found.stdout)
        except BlobMissing:  # forgotten with what the run kept
            data = b""
    elif live.is_file():
        with live.open("rb") as file:
            file.seek(max(0, live.stat().st_size - 4 * TAIL))
            data = file.read(4 * TAIL)
    return _CONTROLS.sub("", data[-4 * TAIL :].decode(errors="replace"))


def _cost(line: Line) -> dict[str, Any]:
    return {
        "wall_seconds": line.wall_seconds,
        "cpu_hours": line.cpu_hours,
        "memory_gb_hours": line.memory_gb_hours,
        "gpu_hours": line.gpu_hours,
        "text": str(line.cost) if line.cost else "",
    }
