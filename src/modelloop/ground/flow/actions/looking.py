"""Runs as they are: nothing here changes anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from ...core.errors import Conflict, NotFound
from ...core.ids import check_id
from ...store.context import Context
from .. import rows, tables
from ..codecs import Decoder, Remembered, from_text
from ..records import MetricPoint, Run, RunState, StepRun


def result(ctx: Context, run_id: str) -> object:
    """Return what the pipeline returned; raises Conflict where the run is not done."""
    with ctx.db.reading() as connection:
        row = run_row(connection, run_id)
    if row.state != RunState.DONE:
        raise Conflict(f"{run_id} has no result: it is {row.state}.", hint="Look at its error, or wait for it.")
    if row.result is None and row.result_digest is None:
        raise Conflict(f"The result of {run_id} was forgotten.", hint="Run the pipeline again.")
    text = row.result if row.result is not None else ctx.blobs.get(row.result_digest)
    return Decoder(ctx.blobs.get, Remembered()).decode(from_text(text))


def get_run(ctx: Context, run_id: str) -> Run:
    """Return a run; raises NotFound."""
    with ctx.db.reading() as connection:
        return assembled(ctx, connection, [run_row(connection, run_id)])[0]


def list_runs(
    ctx: Context, *, pipeline: str | None = None, states: Sequence[RunState] = (), limit: int = 50
) -> list[Run]:
    """Return runs, newest first."""
    with ctx.db.reading() as connection:
        found = tables.run_rows(connection, pipeline=pipeline, states=[str(s) for s in states], limit=limit)
        return assembled(ctx, connection, found)


def queued(ctx: Context) -> list[str]:
    """Return the ids of the runs that wait to be begun, oldest first."""
    with ctx.db.reading() as connection:
        return tables.queued_ids(connection)


def steps_of(ctx: Context, run_id: str) -> list[StepRun]:
    """Return the calls of steps of a run, in order."""
    with ctx.db.reading() as connection:
        run_row(connection, run_id)
        found = tables.step_rows(connection, run_id)
        parts = tables.parts_of(connection, rows.references(row.key_parts for row in found))
    return [rows.step_run(row, parts) for row in found]


def metric(ctx: Context, run_id: str, name: str) -> list[MetricPoint]:
    """Return all values that a run logged under a name, in order."""
    with ctx.db.reading() as connection:
        found = tables.metric_rows(connection, run_id, name)
        return [MetricPoint(row.name, row.value, row.step, row.at) for row in found]


def run_row(connection: Connection, run_id: str) -> Any:
    """Return the row of a run; raises NotFound."""
    check_id(run_id, "run")
    row = tables.run_row(connection, run_id)
    if row is None:
        raise NotFound(f"There is no run {run_id}.")
    return row


def assembled(ctx: Context, connection: Connection, found: Sequence[Any]) -> list[Run]:
    """Return rows as records, with their last metrics and their artifacts."""
    ids = [row.id for row in found if row is not None]
    metrics: dict[str, dict[str, float]] = {run_id: {} for run_id in ids}
    artifacts: dict[str, dict[str, str]] = {run_id: {} for run_id in ids}
    for row in tables.last_metrics(connection, ids):
        metrics[row.run_id][row.name] = row.value
    for row in tables.artifact_rows(connection, ids):
        artifacts[row.run_id][row.name] = row.digest
    decoder = Decoder(ctx.blobs.get, Remembered())
    return [
        rows.run(row, decoder.decode(from_text(row.params)), metrics[row.id], artifacts[row.id])
        for row in found
        if row is not None
    ]
