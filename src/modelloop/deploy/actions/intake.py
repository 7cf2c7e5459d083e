"""Take in what gateways logged and what turned out true. Exactly once: a file's offset moves with its rows or not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ...ground.core.clock import utc
from ...ground.core.errors import NotFound, OutcomeInvalid, StaleState, UnknownPrediction
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..collect import Batch, read
from ..log import read_frames
from ..records import Accepted, Outcome

CHUNK = 8_000_000
"""Bytes of a log file that are taken in at once."""


def collect(ctx: Context) -> int:
    """Take in what gateways have logged since the last time; return how many rows. Any number of callers may try."""
    with ctx.db.reading() as connection:
        offsets = tables.offsets(connection)
    taken = 0
    for gateway, path in _files(ctx.home / "predictions"):
        offset, rows = offsets.get((gateway, path.name), (0, 0))
        while path.stat().st_size > offset:
            records, end = read_frames(path, offset, limit=CHUNK)
            if end == offset:
                break
            batch = read(records, gateway)
            try:
                _take(ctx, batch, gateway, path.name, offset=offset, end=end, rows=rows)
            except (StaleState, IntegrityError):  # another process was faster with this file: its rows are in
                break
            taken, rows, offset = taken + len(batch.predictions), rows + len(batch.predictions), end
    return taken


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield gateway and file, a gateway's oldest first: a shadow's answer never stands before its prediction."""
    if folder.is_dir():
        for gateway in sorted(path for path in folder.iterdir() if path.is_dir()):
            for path in sorted(gateway.glob("*.log")):
                yield gateway.name, path


def _take(ctx: Context, batch: Batch, gateway: str, file: str, *, offset: int, end: int, rows: int) -> None:
    parts = _put_parts(ctx, batch)
    after = {"offset": end, "rows": rows + len(batch.predictions)}
    with ctx.db.transaction() as connection:
        if offset == 0:
            tables.insert(connection, tables.log, [{"gateway": gateway, "file": file, **after}])
        elif not tables.change(connection, tables.log, {"gateway": gateway, "file": file, "offset": offset}, after):
            raise StaleState(f"{gateway}/{file} was taken in by another process.")
        tables.insert_new(connection, tables.prediction, batch.predictions)
        if batch.shadows:
            tables.set_shadows(connection, batch.shadows)
        tables.insert(connection, tables.part, parts)


def _put_parts(ctx: Context, batch: Batch) -> list[dict[str, Any]]:
    from ..parts import by_endpoint, to_parquet  # noqa: PLC0415 - polars is heavy: only who takes something in loads it

    parts = []
    for endpoint, frame in by_endpoint(batch.answers).items():
        times = frame.get_column("_event_time")
        described = {"digest": ctx.blobs.put(to_parquet(frame)), "rows": frame.height}
        parts.append({"endpoint": endpoint, **described, "first": times.min(), "last": times.max()})
    return parts


def record_outcomes(ctx: Context, endpoint: str, outcomes: Sequence[Outcome]) -> Accepted:
    """Join outcomes to predictions by id and row. All are kept; the last one for a row is its label.

    The same outcome sent twice counts once. Ids that nobody answered are returned; where there is no other,
    UnknownPrediction is raised. A label that is no number (binary: not 0 or 1) refuses the whole call, OutcomeInvalid.
    """
    collect(ctx)
    with ctx.db.reading() as connection:
        place = tables.find(connection, tables.endpoint, name=endpoint)
        if place is None:
            known = ", ".join(row["name"] for row in tables.endpoints(connection)) or "none yet"
            raise NotFound(f"Nothing ever answered at the endpoint {endpoint[:80]!r}.", hint=f"There are: {known}.")
        _check_labels(outcomes, place["task"])
        ids = sorted({outcome.prediction for outcome in outcomes})
        answered = tables.known(connection, endpoint, ids)
    fitting = [outcome for outcome in outcomes if (outcome.prediction, outcome.row) in answered]
    unknown = dict.fromkeys(o.prediction for o in outcomes if (o.prediction, o.row) not in answered)
    if unknown and not fitting:
        raise UnknownPrediction(
            f"None of {len(unknown)} prediction ids was answered at {endpoint!r}, as {next(iter(unknown))[:60]!r}.",
            hint="Send the prediction_id that came with the answer, and the row where a request had several.",
            detail={"unknown": list(unknown)},
        )
    if fitting:
        with ctx.db.transaction() as connection:
            new = _write(connection, ctx, endpoint, fitting)
            if new:
                counted = {"new": new, "sent": len(outcomes), "unknown": len(unknown)}
                audit.append(connection, ctx, Event("outcomes.recorded", f"endpoint:{endpoint}", counted))
    return Accepted(len(fitting), tuple(unknown))


def _check_labels(outcomes: Sequence[Outcome], task: str) -> None:
    wrong = [
        outcome
        for outcome in outcomes
        if not math.isfinite(outcome.label) or (task == "binary" and outcome.label not in (0, 1))
    ]
    if wrong:
        raise OutcomeInvalid(
            f"{len(wrong)} of {len(outcomes)} labels cannot be used, for instance {wrong[0].label!r} for "
            f"{wrong[0].prediction[:60]!r}.",
            hint="Expected 0 or 1." if task == "binary" else "Expected a finite number.",
            detail={"predictions": [outcome.prediction for outcome in wrong]},
        )


def _write(connection: Connection, ctx: Context, endpoint: str, outcomes: Sequence[Outcome]) -> int:
    sequence = tables.next_outcome(connection)
    told = tables.told(connection, sorted({outcome.prediction for outcome in outcomes}))
    rows: list[Mapping[str, Any]] = []
    labels: list[Mapping[str, Any]] = []
    for outcome in outcomes:
        known = (outcome.prediction, outcome.row, float(outcome.label), utc(outcome.event_time))
        if known in told:
            continue
        told.add(known)
        number = sequence + len(rows)
        names = ("prediction", "row", "label", "event_time")
        rows.append(
            {"seq": number, "endpoint": endpoint, "at": ctx.now(), "actor": ctx.actor.name}
            | dict(zip(names, known, strict=True))
        )
        labels.append({"of_id": known[0], "of_row": known[1], "new_label": known[2], "new_seq": number})
    if rows:
        tables.insert(connection, tables.outcome, rows)
        tables.set_labels(connection, labels)
    return len(rows)
