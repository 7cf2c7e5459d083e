"""The run of an MLflow project: a pipeline with one step, and a tracked run under the same id.

The step has a process of its own, so that its time, memory and cost are those of the command and all it starts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ... import app
from ...ground.core.errors import Conflict, StepFailed
from ...ground.core.settings import Settings
from ...ground.flow.step import current, pipeline, step
from ...ground.pool import local
from ...ground.store.context import Context
from ...train.tracking import actions as tracking
from ...train.tracking.records import Batch, Param, Tag, TrackedState
from .answering import control_of

FUNCTION = f"{__name__}:run_mlproject"
TIME_LIMIT = timedelta(days=14)
"""More than three weeks is more than the kernel counts in milliseconds."""
LOOK_EVERY = 0.05
TAIL = 4000
"""Of what a command printed, so much is told with its failure."""
_GRACE = 5.0


@pipeline
def run_mlproject(mlproject: dict[str, Any]) -> dict[str, Any]:
    """Run the command of an entry point; `mlproject` says which: see `what_to_run`."""
    return command(mlproject)


@step(cache=False, seeded=False, timeout=TIME_LIMIT)
def command(mlproject: dict[str, Any]) -> dict[str, Any]:
    """Run the command with what it logs going to this project; raises StepFailed with the end of what it printed."""
    run_id = str(getattr(current.get(), "run_id", ""))
    settings = app.settings_for(Path(mlproject["project"]))
    ctx = app.open_context(Path(mlproject["project"]), settings=settings)
    try:
        experiment = _begin(ctx, run_id, mlproject)
        with control_of(settings) as address:
            environ = _environ(mlproject, settings, {"address": address, "run": run_id, "experiment": str(experiment)})
            code, tail = _carried_out(mlproject, environ, settings.home / "runs" / f"{run_id}.command.log")
        _end(ctx, run_id, TrackedState.FINISHED if code == 0 else TrackedState.FAILED)
    finally:
        ctx.db.close()
    if code:
        raise StepFailed(f"The command ended with exit code {code}: {mlproject['command'][:200]}\n{tail}")
    return {"exit_code": code, "tracked_run": run_id, "experiment": mlproject["name"]}


def _begin(ctx: Context, run_id: str, mlproject: Mapping[str, Any]) -> int:
    """Make the tracked run, or take it up again; return its experiment."""
    experiment = tracking.ensure_experiment(ctx, mlproject["name"])
    tags = {
        "mlflow.source.type": "PROJECT",
        "mlflow.source.name": mlproject["folder"],
        "mlflow.project.entryPoint": mlproject["entry"],
        "mlflow.project.env": mlproject["env"],
        "mlflow.user": ctx.actor.name,
        "modelloop.run": run_id,
    }
    try:
        tracking.create_run(ctx, experiment, user=ctx.actor.name, tags=tags, run_id=run_id)
    except Conflict:
        tracking.update_run(ctx, run_id, status=TrackedState.RUNNING)
    params = [Param(name, value[:6000]) for name, value in mlproject["params"].items()]
    # a parameter that tracking has no name for is still given to the command
    tracking.apply(ctx, [Batch(run_id, params=[one]) for one in params])
    note = Tag("modelloop.command", mlproject["command"][:8000])
    tracking.apply(ctx, [Batch(run_id, tags=[note])])
    return tracking.get_run(ctx, run_id).experiment


def _end(ctx: Context, run_id: str, state: TrackedState) -> None:
    """End the tracked run unless the command has: who opens it by its id ends it too."""
    found = tracking.get_run(ctx, run_id)
    if found.status is not state or found.end_ms is None:
        tracking.update_run(ctx, run_id, status=state, end_ms=int(ctx.now().timestamp() * 1000))


def _environ(mlproject: Mapping[str, Any], settings: Settings, ids: Mapping[str, str]) -> dict[str, str]:
    """Return the command's environment: its own Python first, and where to log."""
    environ = dict(os.environ)
    bin_folder = mlproject["bin"]
    environ["PATH"] = f"{bin_folder}{os.pathsep}{environ.get('PATH', '')}"
    if mlproject["env"] == "own":
        environ["VIRTUAL_ENV"] = str(Path(bin_folder).parent)
        for name in ("PYTHONHOME", "PYTHONPATH"):
            environ.pop(name, None)
    environ |= {
        "MLFLOW_TRACKING_URI": ids["address"],
        "MLFLOW_TRACKING_TOKEN": app.secret_token(settings),
        "MLFLOW_RUN_ID": ids["run"],
        "MLFLOW_EXPERIMENT_ID": ids["experiment"],
    }
    return environ


def _carried_out(mlproject: Mapping[str, Any], environ: Mapping[str, str], log: Path) -> tuple[int, str]:
    """Run the command, passing on what it prints; return its exit code and the end of that."""
    log.unlink(missing_ok=True)
    child = local.start(["bash", "-c", mlproject["command"]], log, env=environ, cwd=Path(mlproject["folder"]))
    tail = bytearray()
    try:
        with log.open("rb") as printed:
            while (status := child.poll()) is None:
                _pass_on(printed.read(), tail)
                time.sleep(LOOK_EVERY)
            _pass_on(printed.read(), tail)
    finally:
        child.stop(grace=_GRACE)
        log.unlink(missing_ok=True)
    code = status.code if status.code is not None else 128 + (status.signal or 0)
    return code, tail.decode(errors="replace").strip()


def _pass_on(text: bytes, tail: bytearray) -> None:
    if text:
        sys.stdout.write(text.decode(errors="replace"))
        sys.stdout.flush()
        tail += text
        del tail[:-TAIL]


def what_to_run(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the argument of the pipeline, its words checked to be there and plain."""
    wanted = ("project", "folder", "name", "entry", "command", "params", "env", "bin")
    found: dict[str, Any] = json.loads(json.dumps({word: facts[word] for word in wanted}))
    return found
