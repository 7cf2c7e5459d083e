"""Take in what gateways logged. Exactly once: a file's offset moves with its rows or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ...ground.core.errors import StaleState
from ...ground.store.context import Context
from .. import tables
from ..collect import Batch, read
from ..log import finished, read_counts, read_frames, unmark
from ..log.frames import damaged
from ..tables import late
from .joining import join_waiting

CHUNK = 8_000_000
"""Bytes of a log file that are taken in at once."""


def collect(ctx: Context) -> int:
    """Take in what gateways have logged since the last time; return how many rows. Any number of callers may try.

    Files that are closed and wholly taken in are removed: what they held is in facts and parts.
    """
    folder = ctx.home / "predictions"
    with ctx.db.reading() as connection:
        offsets = tables.offsets(connection)
    taken = 0
    for gateway, path, over in _files(folder):
        with suppress(FileNotFoundError):  # another process was faster, and has removed it
            taken += _collect_file(ctx, gateway, path, offsets.get((gateway, path.name), (0, 0)), over=over)
    _count_losses(ctx, folder)
    return taken


def _files(folder: Path) -> Iterator[tuple[str, Path, bool]]:
    """Yield gateway, file and whether nobody writes to it, a gateway's oldest first: a shadow's answer never stands
    before its prediction."""
    for gateway in _gateways(folder):
        lives: dict[str, bool] = {}
        for path in sorted(gateway.glob("*.log")):
            start = path.name[:20]
            if start not in lives:
                lives[start] = _lives(gateway / f"{start}.counts")
            with suppress(FileNotFoundError):
                yield gateway.name, path, finished(path) or not lives[start]


def _gateways(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _lives(counts: Path) -> bool:
    """Say whether the writer may still write. Without counts it ended well, and its files say that they are closed."""
    try:
        return read_counts(counts).alive
    except FileNotFoundError:
        return True


def _collect_file(ctx: Context, gateway: str, path: Path, known: tuple[int, int], *, over: bool) -> int:
    (offset, rows), taken = known, 0
    while path.stat().st_size > offset:
        records, end = read_frames(path, offset, limit=CHUNK)
        if end == offset:
            break
        batch = read(records, gateway)
        try:
            _take(ctx, batch, gateway, path.name, offset=offset, end=end, rows=rows)
        except (StaleState, IntegrityError):  # another process was faster; what came after its look is still to be read
            now = _standing(ctx, gateway, path.name)
            if now is None or now[0] <= offset:
                return taken
            offset, rows = now
            continue
        taken, rows, offset = taken + len(batch.predictions), rows + len(batch.predictions), end
    if over:
        _dispose(path, offset)
    return taken


def _standing(ctx: Context, gateway: str, file: str) -> tuple[int, int] | None:
    """Return how far a file was taken in, and how many rows that gave; None: not at all."""
    with ctx.db.reading() as connection:
        row = tables.find(connection, tables.log, gateway=gateway, file=file)
    return None if row is None else (int(row["offset"]), int(row["rows"]))


def _dispose(path: Path, offset: int) -> None:
    """Remove a file of which nothing is left to read. One that is damaged before its end is kept for people."""
    if damaged(path, offset):
        path.rename(path.with_suffix(".damaged"))
    else:
        path.unlink(missing_ok=True)
    unmark(path)


def _take(ctx: Context, batch: Batch, gateway: str, file: str, *, offset: int, end: int, rows: int) -> None:
    parts = _put_parts(ctx, batch)
    after = {"offset": end, "rows": rows + len(batch.predictions)}
    with ctx.db.transaction() as connection:
        late.lock_outcomes(connection)
        if offset == 0:
            row = {"gateway": gateway, "file": file, **after, "unreadable": batch.unreadable}
            tables.insert(connection, tables.log, [row])
        elif not tables.change(connection, tables.log, {"gateway": gateway, "file": file, "offset": offset}, after):
            raise StaleState(f"{gateway}/{file} was taken in by another process.")
        elif batch.unreadable:
            late.add_unreadable(connection, gateway, file, batch.unreadable)
        _write(connection, batch, parts)
        join_waiting(connection, batch.predictions)


def _write(connection: Connection, batch: Batch, parts: Sequence[dict[str, Any]]) -> None:
    tables.insert_new(connection, tables.prediction, batch.predictions)
    if batch.shadows:
        tables.set_shadows(connection, batch.shadows)
    tables.insert(connection, tables.part, parts)
    tables.insert_new(connection, late.failure, batch.failures)


def _put_parts(ctx: Context, batch: Batch) -> list[dict[str, Any]]:
    from ..parts import by_endpoint, to_parquet  # noqa: PLC0415 - polars is heavy: only who takes something in loads it

    until: dict[str, Any] = {}
    for row in batch.predictions:
        until[row["endpoint"]] = max(row["at"], until.get(row["endpoint"], row["at"]))
    parts = []
    for endpoint, frame in by_endpoint(batch.answers).items():
        times = frame.get_column("_event_time")
        described = {"digest": ctx.blobs.put(to_parquet(frame)), "rows": frame.height, "until": until.get(endpoint)}
        parts.append({"endpoint": endpoint, **described, "first": times.min(), "last": times.max()})
    return parts


def _count_losses(ctx: Context, folder: Path) -> None:
    """Write down what writers could not keep; forget the counts of those that ended and have no file left."""
    told = [(path, read) for path in _counts(folder) if (read := _told(path)) is not None]
    if not told:
        return
    with ctx.db.reading() as connection:
        known = {(row["gateway"], row["started"]): row for row in late.writers(connection)}
    changed = []
    for path, counts in told:
        which = {"gateway": path.parent.name, "started": path.stem}
        now = {"alive": counts.alive, "killed": counts.killed, "failed": counts.failed, "lost": counts.lost}
        before = known.get((path.parent.name, path.stem))
        if (before is None and any((counts.killed, counts.failed, counts.lost))) or (
            before is not None and any(before[name] != value for name, value in now.items())
        ):
            changed.append({**which, **now, "at": ctx.now()})
    if changed:
        with ctx.db.transaction() as connection:
            for row in changed:
                late.put_writer(connection, row)
    for path, counts in told:
        if not counts.alive and not any(path.parent.glob(f"{path.stem}-*.log")):
            path.unlink(missing_ok=True)


def _counts(folder: Path) -> Iterator[Path]:
    for gateway in _gateways(folder):
        yield from sorted(gateway.glob("*.counts"))


def _told(path: Path) -> Any:
    with suppress(FileNotFoundError):
        return read_counts(path)
    return None
