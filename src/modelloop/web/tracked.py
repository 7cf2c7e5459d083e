"""The page of one tracked run: what it was set to, what it logged, and the files that it kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..evaluate.experiments.headline import BOUNDS
from ..ground.core.errors import NotFound
from ..ground.http import Call
from ..train.tracking.actions import artifacts, experiments, runs
from ..train.tracking.records import Owner
from .download import Download, can_be_shown
from .lengths import clip, more, pairs

SHOWN = 300
_IN_MEMORY = 64_000_000


def run(call: Call) -> dict[str, Any]:
    """Show a tracked run: state, metrics, parameters, tags, datasets, files."""
    found = runs.get_run(call.ctx, call.path["id"])
    files = artifacts.list_artifacts(call.ctx, Owner("run", found.id), call.query.get("folder", ""))
    metrics = {name: one for name, one in sorted(found.metrics.items()) if not name.endswith(BOUNDS)}
    experiment = experiments.get_experiment(call.ctx, found.experiment)
    return {
        "id": found.id,
        "name": clip(found.name, 120),
        "experiment": {"id": experiment.id, "name": clip(experiment.name, 120)},
        "status": str(found.status).lower(),
        "user": clip(found.user, 60),
        "start": _moment(found.start_ms),
        "seconds": None
        if None in (found.start_ms, found.end_ms)
        else ((found.end_ms or 0) - (found.start_ms or 0)) / 1e3,
        "pipeline_run": found.tags.get("modelloop.run"),
        "metrics": [
            {"name": name, "value": one.value, "step": one.step} for name, one in list(metrics.items())[:SHOWN]
        ],
        "more_metrics": more(metrics, SHOWN),
        "params": pairs(found.params, SHOWN),
        "more_params": more(found.params, SHOWN),
        "tags": pairs(found.tags, SHOWN),
        "inputs": [{"name": clip(one.name, 80), "digest": one.digest} for one in found.inputs[:50]],
        "models": [one.model_id for one in found.model_outputs[:50]],
        "folder": call.query.get("folder", ""),
        "files": [
            {"path": one.path, "size": one.size, "folder": one.is_dir, "shown": can_be_shown(one.path)}
            for one in files[:SHOWN]
        ],
        "more_files": more(files, SHOWN),
    }


def file(call: Call) -> Download:
    """Return a file that a tracked run kept (path), to be saved, or with show=1 to be looked at in a sandbox."""
    found = runs.get_run(call.ctx, call.path["id"])
    path = call.query.get("path", "")
    if not path:
        raise NotFound("The query names no file.", hint="For instance ?path=model/MLmodel.")
    size, chunks = artifacts.read(call.ctx, Owner("run", found.id), path)
    small = size <= _IN_MEMORY
    return Download(path, b"".join(chunks) if small else chunks, shown=small and call.query.get("show") == "1")


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)
