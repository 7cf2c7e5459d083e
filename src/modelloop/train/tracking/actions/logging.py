"""Writing what runs log: many batches in one transaction, each whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

from sqlalchemy.engine import Connection
from sqlalchemy.pool import PoolProxiedConnection

from ....ground.core.errors import InvalidInput, ModelloopError, NotFound
from ....ground.store.context import Context
from .. import checks
from ..folding import Rows
from ..records import Batch, Lifecycle, Metric, Param, Tag
from ..tables import logged
from ..tables import runs as tables


def log_batch(
    ctx: Context,
    run_id: str,
    metrics: Sequence[Metric] = (),
    params: Sequence[Param] = (),
    tags: Sequence[Tag] = (),
) -> None:
    """Write to one run, whole or not at all; raises InvalidInput or NotFound."""
    (answer,) = apply(ctx, [Batch(run_id, metrics, params, tags)])
    if answer is not None:
        raise answer


def apply(ctx: Context, batches: Sequence[Batch], *, limits: bool = True) -> list[ModelloopError | None]:
    """Write many batches in one transaction; return for each None, or why nothing of it was written.

    A bad batch does not spoil the others. A later batch sees what an earlier one wrote. Without `limits` a batch may
    have any length. Raises StoreUnavailable where nothing at all could be written.
    """
    answers = [_checked(batch, limits=limits) for batch in batches]
    if all(answer is not None for answer in answers):
        return answers
    with ctx.db.transaction() as connection:
        rows = Rows()
        places = [place for place, answer in enumerate(answers) if answer is None]
        known = _Known(connection, [batches[place] for place in places])
        for place in places:
            answers[place] = known.objection(batches[place], rows)
            if answers[place] is None:
                rows.add(batches[place])
        logged.write(connection, rows.parts())
    return answers


def apply_points(ctx: Context, driver: PoolProxiedConnection, batches: Sequence[Batch]) -> bool:
    """Write the shortest way what is logged most, metrics of one run; return whether that was possible.

    Where it was not, nothing is written, and `apply` does it or says why not. Raises what the driver raises.
    """
    run_id = batches[0].run_id
    if not all(batch.run_id == run_id and _only_points(batch) for batch in batches):
        return False
    if any(_checked(batch, limits=True) for batch in batches):
        return False
    rows = Rows()
    for batch in batches:
        rows.add(batch)
    with closing(driver.cursor()) as cursor:
        return logged.write_points(cursor, run_id, rows.parts(), sqlite=ctx.db.is_sqlite)


def _only_points(batch: Batch) -> bool:
    more = batch.params or batch.tags or batch.dropped_tags or batch.status or batch.end_ms is not None or batch.name
    return bool(batch.metrics) and not more and all(metric.model_id is None for metric in batch.metrics)


def refusal(run_id: str, lifecycles: Mapping[str, str]) -> ModelloopError | None:
    """Return why nothing can be written to a run, or None."""
    found = lifecycles.get(run_id)
    if found is None:
        return NotFound(f"There is no run with id {run_id}.", hint="Was it made on this server?")
    if found != Lifecycle.ACTIVE:
        return InvalidInput(
            f"The run {run_id} must be in the 'active' state; it was deleted.", hint="Restore it, or log to another."
        )
    return None


def _checked(batch: Batch, *, limits: bool) -> ModelloopError | None:
    try:
        checks.batch(batch, limits=limits)
    except InvalidInput as error:
        return error
    return None


class _Known:
    """What the facts say of the runs that are written to, as far as it decides whether a batch may be written."""

    def __init__(self, connection: Connection, batches: Sequence[Batch]) -> None:
        runs = sorted({batch.run_id for batch in batches})
        self._lifecycles = tables.lifecycles(connection, runs)
        params = sorted({param.name for batch in batches for param in batch.params})
        self._params = logged.params(connection, runs, params) if params else {}
        dropped = sorted({name for batch in batches for name in batch.dropped_tags if "\x00" not in name})
        self._tags = logged.tag_names(connection, runs, dropped) if dropped else set()
        models = sorted({metric.model_id for batch in batches for metric in batch.metrics if metric.model_id})
        self._models = logged.models(connection, models) if models else set()

    def objection(self, batch: Batch, rows: Rows) -> ModelloopError | None:
        """Return why a batch cannot be written after `rows`, or None."""
        refused = refusal(batch.run_id, self._lifecycles)
        if refused is not None:
            return refused
        for param in batch.params:
            key = (batch.run_id, param.name)
            there = rows.params.get(key, self._params.get(key))
            if there is not None and there != param.value:
                return _changed(batch.run_id, param, there)
        for name in batch.dropped_tags:
            key = (batch.run_id, name)
            if rows.tags[key] is None if key in rows.tags else key not in self._tags:
                return NotFound(f"The run {batch.run_id} has no tag {checks.shown(name)}.")
        for metric in batch.metrics:
            if metric.model_id is not None and metric.model_id not in self._models:
                return NotFound(f"There is no logged model with id {metric.model_id}.")
        return None


def _changed(run_id: str, param: Param, there: str) -> InvalidInput:
    return InvalidInput(
        f"Changing param values is not allowed. Param with key={param.name!r} was already logged with"
        f" value={checks.shown(there)} for run ID={run_id!r}. Attempted logging new value {checks.shown(param.value)}.",
        hint="Log to a new (or nested) run, or keep what changes as a tag or a metric.",
    )
