"""Verbs of tracked runs: make, change, put away, bring back, look at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from ....ground.core.errors import Conflict, InvalidInput, NotFound
from ....ground.core.records import Event
from ....ground.store import audit
from ....ground.store.context import Context
from .. import checks, paging
from ..names import name_for
from ..records import (
    INT64,
    MAX_HISTORY_PAGE,
    MAX_RUN_NAME,
    MAX_USER,
    RUN_NAME_TAG,
    Batch,
    DatasetInput,
    Lifecycle,
    Metric,
    ModelOutput,
    Page,
    Tag,
    TrackedRun,
    TrackedState,
)
from ..tables import logged
from ..tables import runs as tables
from .experiments import active_experiment, now_ms
from .logging import apply, refusal

_STATES = {state.value: state for state in TrackedState}


def create_run(
    ctx: Context,
    experiment: int,
    *,
    name: str = "",
    user: str = "",
    start_ms: int | None = None,
    tags: Iterable[Tag] | Mapping[str, str] = (),
    run_id: str | None = None,
) -> TrackedRun:
    """Begin a run; it is RUNNING. Raises Conflict where `run_id` is given and taken.

    Its name is `name`, else that of the tag mlflow.runName, else one that is made up; it is kept in both places.
    """
    fresh = ctx.id("run") if run_id is None else checks.run_id(run_id)
    noted = {tag.name: tag.value for tag in _as_tags(tags)}
    noted[RUN_NAME_TAG] = name or noted.get(RUN_NAME_TAG) or name_for(fresh)
    checks.tags(_as_tags(noted))
    made = TrackedRun(
        id=fresh,
        experiment=experiment,
        name=checks.line(noted[RUN_NAME_TAG], "name of a run", MAX_RUN_NAME),
        user=checks.line(user, "name of a user", MAX_USER),
        status=TrackedState.RUNNING,
        lifecycle=Lifecycle.ACTIVE,
        start_ms=now_ms(ctx) if start_ms is None else checks.whole(start_ms, "The start of a run", least=0),
        end_ms=None,
        revision=1,
        tags=noted,
    )
    with ctx.db.transaction() as connection:
        active_experiment(connection, experiment)
        if not tables.add(connection, _values(made)):
            raise Conflict(f"There is a run {made.id} already.", hint="Leave `run_id` out to get a fresh one.")
        logged.write(connection, {"tags": [(made.id, key, value) for key, value in noted.items()]})
    return made


def _values(made: TrackedRun) -> dict[str, Any]:
    values: dict[str, Any] = {
        key: getattr(made, key) for key in ("id", "name", "user", "start_ms", "end_ms", "revision")
    }
    values |= {"experiment_id": made.experiment, "status": made.status.value, "lifecycle": made.lifecycle.value}
    return values


def update_run(
    ctx: Context,
    run_id: str,
    *,
    status: TrackedState | None = None,
    end_ms: int | None = None,
    name: str | None = None,
) -> TrackedRun:
    """Change what is given; raises InvalidInput for a deleted run."""
    _raise(apply(ctx, [Batch(run_id, status=status, end_ms=end_ms, name=name)]))
    return get_run(ctx, run_id)


def set_tags(ctx: Context, run_id: str, tags: Iterable[Tag] | Mapping[str, str]) -> None:
    """Set tags; the last value of a name holds."""
    _raise(apply(ctx, [Batch(run_id, tags=_as_tags(tags))]))


def delete_tag(ctx: Context, run_id: str, name: str) -> None:
    """Remove a tag; raises NotFound where the run has none of that name."""
    _raise(apply(ctx, [Batch(run_id, dropped_tags=(name,))]))


def delete_run(ctx: Context, run_id: str) -> None:
    """Put a run away: it is found no more and refuses what is logged to it. It can be restored."""
    with ctx.db.transaction() as connection:
        if _rows(connection, [run_id])[run_id][5] != Lifecycle.ACTIVE:
            return  # as MLflow has it: deleting twice is deleting once
        tables.put_away(connection, run_id, now_ms(ctx))
        audit.append(connection, ctx, Event("tracking.delete_run", run_id))


def restore_run(ctx: Context, run_id: str) -> None:
    """Bring a deleted run back; raises InvalidInput where its experiment is deleted."""
    with ctx.db.transaction() as connection:
        found = _rows(connection, [run_id])[run_id]
        if found[5] == Lifecycle.ACTIVE:
            raise InvalidInput(f"The run {run_id} must be in the 'deleted' state; it is active.")
        active_experiment(connection, found[1])
        tables.bring_back(connection, run_id)
        audit.append(connection, ctx, Event("tracking.restore_run", run_id))


def get_run(ctx: Context, run_id: str) -> TrackedRun:
    """Return a run with the latest value of each metric; deleted ones too. Raises NotFound."""
    with ctx.db.reading() as connection:
        return _assembled(connection, [run_id], _rows(connection, [run_id]))[0]


def get_runs(ctx: Context, ids: Sequence[str]) -> list[TrackedRun]:
    """Return runs in the order of `ids`; raises NotFound for the first that is not there."""
    if not ids:
        return []
    with ctx.db.reading() as connection:
        return _assembled(connection, ids, _rows(connection, ids))


def revision_of(ctx: Context, run_id: str) -> int:
    """Return a run's revision, the cheapest thing to ask; raises NotFound."""
    with ctx.db.reading() as connection:
        found = tables.revision_of(connection, checks.run_id(run_id))
    if found is None:
        raise _missing(run_id)
    return found


def history(ctx: Context, run_id: str, name: str, limit: int | None = None, token: str | None = None) -> Page[Metric]:
    """Return a page of the values of a metric by time, then step, then value. Raises NotFound for an unknown run."""
    most = paging.limit(MAX_HISTORY_PAGE if limit is None else limit, MAX_HISTORY_PAGE)
    after = paging.read(token, (int, int, float, bool))
    with ctx.db.reading() as connection:
        _rows(connection, [run_id])
        if not _may_be_there(name):
            return Page(())
        found = tables.history(connection, run_id, name, limit=most + 1, after=after)
    items = [Metric(name, math.nan if nan else value, step, at_ms) for value, nan, step, at_ms in found[:most]]
    if len(found) <= most:
        return Page(items)
    value, nan, step, at_ms = found[most - 1]
    return Page(items, paging.write((at_ms, step, value, bool(nan))))


def history_of_many(
    ctx: Context,
    ids: Sequence[str],
    name: str,
    limit: int = MAX_HISTORY_PAGE,
    *,
    first: int | None = None,
    last: int | None = None,
) -> list[Metric]:
    """Return the values of a metric of many runs between two steps, by run id and step; `run_id` says whose each is.

    Where there are more than `limit` they are thinned out evenly; the first and last of each run stay.
    """
    most = paging.limit(limit, MAX_HISTORY_PAGE)
    for run_id in ids:
        checks.run_id(run_id)
    if not ids or not _may_be_there(name):
        return []
    steps = (
        -INT64 if first is None else checks.whole(first, "The first step"),
        INT64 - 1 if last is None else checks.whole(last, "The last step"),
    )
    with ctx.db.reading() as connection:
        total = sum(tables.points(connection, ids, name, *steps).values())
        stride = max(1, math.ceil(total / most))
        found = tables.history_of_many(connection, ids, name, steps=steps, stride=stride)
    return [Metric(name, math.nan if nan else value, step, at_ms, run_id=run) for run, value, nan, step, at_ms in found]


def standing(connection: Connection, run_id: str, *, lock: bool = True) -> None:
    """Lock a run for this transaction; raises NotFound, and InvalidInput where it is deleted."""
    refused = refusal(run_id, tables.lifecycles(connection, [checks.run_id(run_id)], lock=lock))
    if refused is not None:
        raise refused


def _rows(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    for run_id in ids:
        checks.run_id(run_id)
    found = {row[0]: row for row in tables.by_ids(connection, ids)}
    for run_id in ids:
        if run_id not in found:
            raise _missing(run_id)
    return found


def _assembled(connection: Connection, ids: Sequence[str], found: dict[str, tuple[Any, ...]]) -> list[TrackedRun]:
    """Read what the runs logged. Their rows were read before: whatever has a revision is at least as new as it says."""
    keys = list(found)
    metrics: dict[str, dict[str, Metric]] = {key: {} for key in keys}
    params: dict[str, dict[str, str]] = {key: {} for key in keys}
    tags: dict[str, dict[str, str]] = {key: {} for key in keys}
    for run_id, name, value, nan, step, at_ms in tables.metrics(connection, keys):
        metrics[run_id][name] = Metric(name, math.nan if nan else value, step, at_ms)
    for run_id, name, text in tables.params(connection, keys):
        params[run_id][name] = text
    for run_id, name, text in tables.tags(connection, keys):
        tags[run_id][name] = text
    inputs, models = _inputs(connection, keys), _models(connection, keys)
    return [
        TrackedRun(
            *(run_id, row[1], row[2], row[3], _STATES[row[4]], Lifecycle(row[5]), row[6], row[7], row[8]),
            metrics=metrics[run_id],
            params=params[run_id],
            tags=tags[run_id],
            inputs=inputs.get(run_id, ()),
            model_inputs=tuple(model for model, direction, _ in models.get(run_id, ()) if direction == "in"),
            model_outputs=tuple(
                ModelOutput(model, step) for model, direction, step in models.get(run_id, ()) if direction == "out"
            ),
        )
        for run_id in ids
        for row in (found[run_id],)
    ]


def _inputs(connection: Connection, ids: Sequence[str]) -> dict[str, list[DatasetInput]]:
    found: dict[str, list[DatasetInput]] = {}
    for run_id, *values in tables.inputs(connection, ids):
        found.setdefault(run_id, []).append(DatasetInput(*values))
    return found


def _models(connection: Connection, ids: Sequence[str]) -> dict[str, list[tuple[str, str, int]]]:
    found: dict[str, list[tuple[str, str, int]]] = {}
    for run_id, direction, model_id, step in tables.models(connection, ids):
        found.setdefault(run_id, []).append((model_id, direction, step))
    return found


def _missing(run_id: str) -> NotFound:
    return NotFound(f"There is no run with id {run_id}.", hint="Was it logged to this server?")


def _may_be_there(name: str) -> bool:
    """Say whether a metric may have this name; the driver of PostgreSQL takes no NUL, not even in a question."""
    return bool(name) and "\x00" not in name


def _as_tags(tags: Iterable[Tag] | Mapping[str, str]) -> list[Tag]:
    return [Tag(*item) for item in tags.items()] if isinstance(tags, Mapping) else list(tags)


def _raise(answers: Sequence[Exception | None]) -> None:
    for answer in answers:
        if answer is not None:
            raise answer
