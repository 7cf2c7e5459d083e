"""Taking in what another store holds, exactly as it was there: ids, times, states, deleted ones too.

Each verb may be called again at any moment: what is here already stays, what is missing comes. A run is filled while
it is active (`take_run`, then `apply`) and put into its own state at the end (`settle_run`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from ....ground.core.errors import Conflict
from ....ground.core.records import Event
from ....ground.store import audit
from ....ground.store.context import Context
from .. import checks
from ..records import Experiment, Lifecycle, LoggedModel, Metric, ModelOutput, TrackedRun
from ..tables import experiments as experiment_tables
from ..tables import logged, schema
from ..tables import models as model_tables
from ..tables import runs as tables
from .experiments import experiment_name
from .inputs import log_inputs, log_outputs
from .runs import history


def take_experiment(ctx: Context, found: Experiment, *, came_from: str) -> tuple[int, bool]:
    """Return the number of the experiment of that name, and whether it was made now (with its own times and state).

    One that is here keeps its number, times and state; tags come to it.
    """
    name = experiment_name(found.name)
    values = {
        "name": name,
        "lifecycle": found.lifecycle.value,
        "made_ms": found.made_ms,
        "changed_ms": found.changed_ms,
    }
    with ctx.db.transaction() as connection:
        number = experiment_tables.add(connection, values)
        made = number is not None
        if number is None:
            row = experiment_tables.by_name(connection, name)
            if row is None:
                raise Conflict(f"The experiment {checks.shown(name)} went away meanwhile.", hint="Import once more.")
            number = int(row[0])
        there = {key: value for _, key, value in experiment_tables.tags(connection, [number])}
        new = {key: value for key, value in found.tags.items() if there.get(key) != value}
        experiment_tables.set_tags(connection, number, new)
        if made:
            detail = {"name": name, "from": came_from}
            audit.append(connection, ctx, Event("tracking.take_experiment", f"experiment:{number}", detail))
    return number, made


def take_run(ctx: Context, found: TrackedRun) -> TrackedRun | None:
    """Make a run under its own id, active so that it can be filled; return what was here under it, if anything.

    Raises Conflict where the id belongs to a run of another experiment.
    """
    values: dict[str, Any] = {key: getattr(found, key) for key in ("id", "name", "user", "end_ms")}
    values |= {"experiment_id": found.experiment, "status": found.status.value, "lifecycle": Lifecycle.ACTIVE.value}
    values |= {"start_ms": found.start_ms or 0, "revision": 1}
    checks.run_id(found.id)
    checks.line(found.name, "name of a run", 1000)
    checks.line(found.user, "name of a user", 256)
    with ctx.db.transaction() as connection:
        if tables.add(connection, values):
            return None
        row = tables.by_ids(connection, [found.id])[0]
        if row[1] != found.experiment:
            raise Conflict(
                f"The run {found.id} is here already, in experiment {row[1]} instead of {found.experiment}.",
                hint="An id names one run. Import into a project of its own to keep both.",
            )
        tables.bring_back(connection, found.id)
    return replace(found, lifecycle=Lifecycle(row[5]))


def settle_run(ctx: Context, found: TrackedRun, deleted_ms: int | None) -> None:
    """Put a run that was filled into the state that it was in."""
    values: dict[str, Any] = {
        "name": found.name,
        "user": found.user,
        "status": found.status.value,
        "start_ms": found.start_ms or 0,
        "end_ms": found.end_ms,
        "lifecycle": found.lifecycle.value,
        "deleted_ms": deleted_ms if found.lifecycle is Lifecycle.DELETED else None,
    }
    table = schema.run
    with ctx.db.transaction() as connection:
        tables.touch(connection, found.id)
        connection.execute(table.update().where(table.c.id == found.id).values(**values))


def take_links(ctx: Context, found: TrackedRun) -> None:
    """Note the datasets and logged models of a run."""
    if found.inputs or found.model_inputs:
        log_inputs(ctx, found.id, found.inputs, found.model_inputs)
    if found.model_outputs:
        log_outputs(ctx, found.id, [ModelOutput(one.model_id, one.step) for one in found.model_outputs])


def take_model(ctx: Context, found: LoggedModel) -> None:
    """Make a logged model under its own id with all that belongs to it; its files may come before `settle_model`."""
    values: dict[str, Any] = {
        key: getattr(found, key) for key in ("id", "name", "kind", "source_run", "made_ms", "changed_ms")
    }
    values |= {"experiment_id": found.experiment, "status": found.status.value, "lifecycle": Lifecycle.ACTIVE.value}
    checks.run_id(found.id)
    checks.line(found.name, "name of a model", 500)
    rows = [_measured(found, one) for one in found.metrics]
    with ctx.db.transaction() as connection:
        model_tables.add(connection, values | {"status_message": found.status_message})
        model_tables.set_params(connection, found.id, found.params)
        model_tables.set_tags(connection, found.id, found.tags)
        model_tables.change(connection, found.id, {"lifecycle": Lifecycle.ACTIVE.value})
        logged.write(connection, {"model_metrics": rows})


def settle_model(ctx: Context, found: LoggedModel) -> None:
    """Put a logged model into the state that it was in."""
    values = {
        "status": found.status.value,
        "status_message": found.status_message,
        "changed_ms": found.changed_ms,
        "lifecycle": found.lifecycle.value,
    }
    with ctx.db.transaction() as connection:
        model_tables.change(connection, found.id, values)


def all_metrics(ctx: Context, run_id: str, names: Sequence[str]) -> Iterator[Metric]:
    """Yield the whole history of the metrics of a run: by name, then time, step, value; a page in memory."""
    for name in sorted(names):
        token: str | None = None
        while True:
            page = history(ctx, run_id, name, token=token)
            yield from page.items
            token = page.next_token
            if token is None:
                break


def _measured(model: LoggedModel, one: Metric) -> tuple[Any, ...]:
    nan = math.isnan(one.value)
    where = (one.dataset_name or "", one.dataset_digest or "")
    return (model.id, one.name, one.run_id or "", one.step, one.at_ms, *where, 0.0 if nan else one.value, nan)


def model_ids(ctx: Context, experiment: int) -> list[str]:
    """Return the ids of all logged models of an experiment, deleted ones too."""
    column = schema.model.c
    with ctx.db.reading() as connection:
        query = sa.select(column.id).where(column.experiment_id == experiment).order_by(column.made_ms, column.id)
        return list(connection.execute(query).scalars())
