"""What runs and their steps took, added up by the database.

The processor time of a run's process includes that of the child processes that it waited for, but not that of other
machines: calls there are added. Memory is priced for each process by itself, by its peak.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ...store.context import Context
from ..records import StepState
from ..tables import flow_run, flow_step
from ..taken import Taken

_ELSEWHERE = "ray %"


def taken_by_runs(ctx: Context, *, since: datetime | None = None, run: str | None = None) -> list[Taken]:
    """Return what each run took, newest first."""
    step = flow_step.c
    is_far = step.place.like(_ELSEWHERE)
    near_cpu = sa.func.sum(sa.case((is_far, 0.0), else_=step.cpu_seconds))
    far_cpu = sa.func.sum(sa.case((is_far, step.cpu_seconds), else_=0.0))
    apart = sa.func.sum(sa.case((step.place != "", _bytes_of(step)), else_=0.0))
    sums = (
        sa.select(
            step.run_id,
            near_cpu.label("near"),
            far_cpu.label("far"),
            apart.label("apart"),
            sa.func.sum(step.gpu_seconds).label("gpu"),
            sa.func.sum(step.seconds).label("seconds"),
        )
        .where(step.state != StepState.CACHED)
        .group_by(step.run_id)
        .subquery()
    )
    query = sa.select(flow_run, sums).outerjoin(sums, sums.c.run_id == flow_run.c.id)
    with ctx.db.reading() as connection:
        found = connection.execute(_narrowed(query, since, run)).all()
    return [_of_run(row) for row in found]


def taken_by_steps(ctx: Context, *, since: datetime | None = None, run: str | None = None) -> list[Taken]:
    """Return what the calls of each step took in each run, newest run first."""
    step, r = flow_step.c, flow_run.c
    query = (
        sa.select(
            r.project,
            r.pipeline,
            r.id,
            r.queued_at,
            step.name,
            sa.func.sum(step.seconds).label("seconds"),
            sa.func.sum(step.cpu_seconds).label("cpu"),
            sa.func.sum(_bytes_of(step)).label("bytes"),
            sa.func.sum(step.gpu_seconds).label("gpu"),
        )
        .join(flow_run, r.id == step.run_id)
        .where(step.state != StepState.CACHED)
        .group_by(r.project, r.pipeline, r.id, r.queued_at, step.name)
    )
    with ctx.db.reading() as connection:
        found = connection.execute(_narrowed(query, since, run)).all()
    return [
        Taken(row.project, row.pipeline, row.id, row.name, row.queued_at, row.seconds, row.cpu, row.bytes, row.gpu)
        for row in found
    ]


def _of_run(row: Any) -> Taken:
    wall = row.wall_seconds or row.seconds or 0.0  # one that runs is accounted for when its process ends
    cpu = max(row.cpu_seconds, row.near or 0.0) + (row.far or 0.0)
    memory = row.peak_bytes * row.wall_seconds + (row.apart or 0.0)
    return Taken(row.project, row.pipeline, row.id, "", row.queued_at, wall, cpu, memory, row.gpu or 0.0)


def _bytes_of(step: Any) -> Any:
    return step.peak_bytes * step.seconds


def _narrowed(query: sa.Select[Any], since: datetime | None, run: str | None) -> sa.Select[Any]:
    query = query if since is None else query.where(flow_run.c.queued_at >= since)
    query = query if run is None else query.where(flow_run.c.id == run)
    return query.order_by(flow_run.c.queued_at.desc(), flow_run.c.id.desc())
