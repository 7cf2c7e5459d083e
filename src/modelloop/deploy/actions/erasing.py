"""A person's rows leave facts, parts and log files. What cannot go at once is pending, and every turn goes on with it.

A gateway is asked to close the file that it writes, so that it can be taken in and removed: it looks for that a few
times a second. Until nothing is pending the key's rows are removed as often as they appear.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from ...ground.core.errors import InvalidInput, StaleState
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..log import holds, mark, read_counts, unmark
from ..records import Erasure
from ..tables import erasing, late
from .intake import collect
from .outcomes import logged_key, place_of
from .secret import make_log_key

PATIENCE = 5.0
"""Seconds for which an erasure is waited for; gateways close their files within one."""
_LOOK_EVERY = 0.05
_COUNTED = ("predictions", "outcomes", "waiting", "rewritten")


def erase_answers(ctx: Context, endpoint: str, key: str, *, reason: str, patience: float = PATIENCE) -> Erasure:
    """Remove all rows of a business key: predictions, outcomes, inputs in parts, what waits for it, and log files.

    Returns when nothing is pending, or after `patience` seconds with what is: the loop goes on with it, also where
    this process is killed. The audit log keeps a keyed hash of the key, not the key.
    """
    if not key:
        raise InvalidInput("An erasure needs a key.", hint="Name the value of the endpoint's outcome_key.")
    if not reason.strip():
        raise InvalidInput("An erasure needs a reason.", hint="Say who asked for it and why, without naming the key.")
    begun = _begin(ctx, endpoint, logged_key(ctx, place_of(ctx, endpoint), key), reason.strip()[:1000])
    end = time.monotonic() + patience
    while True:
        with suppress(StaleState):  # a worker removes the same rows
            _go_on(ctx, begun)
        found = erasure(ctx, begun)
        if found.finished_at is not None or time.monotonic() >= end:
            return found
        time.sleep(_LOOK_EVERY)


def finish_erasures(ctx: Context) -> int:
    """Go on with every erasure that has something pending; return how many came to their end."""
    with ctx.db.reading() as connection:
        waiting = [row["id"] for row in tables.erasures(connection, limit=1000, unfinished=True)]
    return sum(_go_on(ctx, one) for one in waiting)


def erasures(ctx: Context, *, unfinished: bool = False, limit: int = 100) -> list[Erasure]:
    """Return erasures, newest first: all, or those with something pending."""
    with ctx.db.reading() as connection:
        rows = tables.erasures(connection, limit=limit, unfinished=unfinished)
    aside = _aside(ctx.home / "predictions") if rows else ()
    return [_record(row, aside) for row in rows]


def erasure(ctx: Context, erasure_id: str) -> Erasure:
    """Return one erasure as it stands."""
    with ctx.db.reading() as connection:
        row = tables.find(connection, tables.erasure, id=erasure_id)
    assert row is not None
    return _record(row, _aside(ctx.home / "predictions"))


def _record(row: RowMapping, aside: tuple[str, ...]) -> Erasure:
    names = ("id", "endpoint", "reason", "fingerprint", "asked_at", "actor", "finished_at", *_COUNTED)
    pending = (*row["files"], *(f"{writer}.counts" for writer in row["writers"]), *row["dropped"])
    return Erasure(**{name: row[name] for name in names}, pending=pending, by_hand=aside)


def _aside(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(str(path.relative_to(folder)) for path in folder.glob("*/*.damaged")))


def _begin(ctx: Context, endpoint: str, wanted: str, reason: str) -> str:
    """Write down what is asked for, before anything is removed: from here on it comes to its end."""
    made = hmac.digest(make_log_key(ctx.home), f"{endpoint}\0{wanted}".encode(), "sha256").hex()[:32]
    folder = ctx.home / "predictions"
    row = {
        "id": ctx.id("erasure"),
        "endpoint": endpoint,
        "key": wanted,
        "fingerprint": made,
        "reason": reason,
        "actor": ctx.actor.name,
        "asked_at": ctx.now(),
        "finished_at": None,
        "writers": _holding(folder),
        "files": _files(folder),  # after the writers: what they write meanwhile is in one of these, or told by them
        "dropped": [],
        **dict.fromkeys(_COUNTED, 0),
    }
    facts = {"reason": reason, "fingerprint": made, "erasure": row["id"]}
    with ctx.db.transaction() as connection:
        tables.insert(connection, tables.erasure, [row])
        audit.append(connection, ctx, Event("predictions.erasing", f"endpoint:{endpoint}", facts))
    return str(row["id"])


def _go_on(ctx: Context, erasure_id: str) -> bool:
    """Bring one erasure as far as it gets; say whether this call ended it. Any number of callers may try."""
    with ctx.db.reading() as connection:
        row = tables.find(connection, tables.erasure, id=erasure_id)
    if row is None or row["finished_at"] is not None:
        return False
    folder = ctx.home / "predictions"
    writers = {name: promised for name, promised in row["writers"].items() if _holds(folder / name, promised)}
    settled = [name for name in row["writers"] if name not in writers]
    files = [*row["files"], *(file for name in settled for file in _files(folder, name))]
    files = [file for file in dict.fromkeys(files) if _asked(folder / file)]
    collect(ctx)
    # A file that is gone now was taken in whole: its rows are in facts, and go below.
    files = [file for file in files if holds(folder / file)]
    dropped = _remove_rows(ctx, row, writers=writers, files=files)
    _remove(ctx, dropped)
    with ctx.db.transaction() as connection:
        now = erasing.erasure_for_update(connection, erasure_id)
        if now is None:
            return False
        left = [digest for digest in now["dropped"] if digest not in dropped]
        erasing.change_erasure(connection, erasure_id, dropped=left)
        if writers or files or left:
            return False
        erasing.change_erasure(connection, erasure_id, key=None, finished_at=ctx.now())
        facts = {name: now[name] for name in ("reason", "fingerprint", *_COUNTED)} | {"erasure": erasure_id}
        audit.append(connection, ctx, Event("predictions.erased", f"endpoint:{now['endpoint']}", facts))
    for path in folder.glob("*/*.close"):
        if not holds(path.with_suffix(".log")):
            unmark(path)
    return True


def _remove_rows(ctx: Context, row: RowMapping, *, writers: Mapping[str, int], files: Sequence[str]) -> set[str]:
    """Remove the key's rows from facts and parts, and note what is waited for; return bytes that nothing needs now."""
    endpoint, wanted = row["endpoint"], row["key"]
    with ctx.db.reading() as connection:
        rows = [dict(one) for one in late.of_key(connection, endpoint, wanted)]
        touched = _touched(connection, endpoint, rows)
    new = _rewritten(ctx, touched, {(one["id"], one["row"]) for one in rows})
    with ctx.db.transaction() as connection:
        now = erasing.erasure_for_update(connection, row["id"])
        if now is None:
            return set()
        predictions, outcomes = late.drop_rows(connection, [(one["id"], one["row"]) for one in rows])
        waiting = late.drop_waiting_key(connection, endpoint, wanted)
        for part in touched:
            if part["id"] in new and not tables.change(
                connection, tables.part, {"id": part["id"], "digest": part["digest"]}, {"digest": new[part["id"]]}
            ):
                raise StaleState("Another erasure changed the same part; the next look removes the rows.")
        gone = {part["digest"] for part in touched if part["id"] in new} - set(new.values())
        counts = {"predictions": predictions, "outcomes": outcomes, "waiting": waiting, "rewritten": len(new)}
        sums = {name: now[name] + count for name, count in counts.items()}
        dropped = sorted({*now["dropped"], *gone})
        erasing.change_erasure(connection, row["id"], writers=dict(writers), files=list(files), dropped=dropped, **sums)
    return set(dropped)


def _files(folder: Path, writer: str = "*/*") -> list[str]:
    """Return the log files that are there (GATEWAY/FILE): of one writer (GATEWAY/START), or of all."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(f"{writer}-*.log"))


def _holding(folder: Path) -> dict[str, int]:
    """Return writers (GATEWAY/START) that hold buffered records, with the number of the last of them."""
    found = {}
    for path in sorted(folder.glob("*/*.counts")):
        with suppress(FileNotFoundError):
            told = read_counts(path)
            if told.alive and told.promised > told.settled:
                found[str(path.relative_to(folder).with_suffix(""))] = told.promised
    return found


def _holds(writer: Path, promised: int) -> bool:
    """Say whether a writer still has to write records up to this one."""
    try:
        told = read_counts(writer.with_suffix(".counts"))
    except FileNotFoundError:
        return False
    return told.alive and told.settled < promised


def _asked(path: Path) -> bool:
    """Ask for the end of a file; say whether it is still there. An empty one is asked too: it may be the next."""
    if path.exists():
        with suppress(FileNotFoundError):
            mark(path)
            return True
    return False


def _touched(connection: Connection, endpoint: str, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if not rows:
        return []
    times = [row["event_time"] for row in rows]
    return [dict(part) for part in late.parts_touching(connection, endpoint, min(times), max(times))]


def _rewritten(ctx: Context, parts: Sequence[Mapping[str, Any]], rows: set[tuple[str, int]]) -> dict[int, str]:
    from ..parts import without  # noqa: PLC0415 - polars is heavy: only who opens parts loads it

    found = {part["id"]: without(ctx.blobs.get(part["digest"]), rows) for part in parts}
    return {number: ctx.blobs.put(data) for number, data in found.items() if data is not None}


def _remove(ctx: Context, digests: set[str]) -> None:
    """Remove bytes that only a part had; what anything else names as well stays until `modelloop gc` looks."""
    with ctx.db.reading() as connection:
        named = late.named(connection, sorted(digests))
    for digest in digests - named:
        ctx.blobs.remove(digest)
