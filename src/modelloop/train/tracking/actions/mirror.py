"""Runs of pipelines among the tracked runs, under the same id: found, compared and plotted like any other."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from ....ground.core.errors import Conflict
from ....ground.flow import actions as flow
from ....ground.flow.records import Run
from ....ground.store.context import Context
from .. import projection
from ..records import Artifact, Batch, Lifecycle, Owner, TrackedRun, TrackedState
from ..tables import artifacts as tables
from ..tables import runs as run_tables
from . import artifacts, experiments, inputs, runs
from .logging import apply

_GOING = (TrackedState.RUNNING.value, TrackedState.SCHEDULED.value)


def project(ctx: Context, flow_run_id: str) -> TrackedRun:
    """Bring the tracked run of a pipeline's run up to date, and return it; any number of times, at any moment.

    Its experiment is the pipeline. Bytes are not copied: artifacts are the same content.
    """
    run = flow.get_run(ctx, flow_run_id)
    tracked = _begun(ctx, run)
    if tracked.lifecycle is not Lifecycle.ACTIVE:
        return tracked
    points = [point for name in run.metrics for point in flow.metric(ctx, run.id, name)]
    end = projection.milliseconds(run.finished_at) if run.finished_at else None
    batch = Batch(
        run.id,
        metrics=projection.metrics(points),
        params=projection.params(run),
        tags=projection.tags(run),
        status=projection.state(run),
        end_ms=end,
    )
    for answer in apply(ctx, [batch], limits=False):
        if answer is not None:
            raise answer
    if run.inputs:
        inputs.log_inputs(ctx, run.id, projection.datasets(run))
    _files(ctx, run)
    return runs.get_run(ctx, run.id)


def catch_up(ctx: Context, *, limit: int = 100) -> int:
    """Project those of the newest `limit` pipeline runs that ended and are not tracked so; return how many."""
    ended = [run for run in flow.list_runs(ctx, limit=limit) if run.state.ended]
    with ctx.db.reading() as connection:
        known = {row[0]: row for row in run_tables.by_ids(connection, [run.id for run in ended])} if ended else {}
    late = [run for run in ended if run.id not in known or known[run.id][4] in _GOING]
    for run in late:
        project(ctx, run.id)
    return len(late)


def _begun(ctx: Context, run: Run) -> TrackedRun:
    experiment = experiments.ensure_experiment(ctx, run.pipeline)
    start = run.started_at or run.queued_at
    name = f"{run.pipeline}-{run.id[-6:].lower()}"
    try:
        return runs.create_run(
            ctx,
            experiment,
            name=name,
            user=ctx.actor.name,
            start_ms=projection.milliseconds(start),
            run_id=run.id,
        )
    except Conflict:
        return runs.get_run(ctx, run.id)


def _files(ctx: Context, run: Run) -> None:
    """Add the files that are new; one whose bytes were let go of, or whose name is taken by a folder, is left out."""
    owner = Owner("run", run.id)
    sized = [(path, digest, ctx.blobs.size(digest)) for path, digest in projection.files(run).items()]
    with ctx.db.transaction() as connection:
        for path, digest, size in sized:
            if size is not None and _is_new(connection, owner, path, digest):
                file = Artifact(path, size, digest=digest)
                artifacts.put_file(connection, ctx, owner, file, [(digest, size)])


def _is_new(connection: Connection, owner: Owner, path: str, digest: str) -> bool:
    known = tables.find(connection, owner.kind, owner.id, path)
    if known is not None:
        return bool(known[1] != digest)
    return not tables.is_folder(connection, owner.kind, owner.id, path)
