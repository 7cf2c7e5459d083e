"""Erasure: the rows of a person leave all versions, what was set aside, and what reports quote of them.

New cells first, where they do no harm if the process dies. Then one transaction in which all versions change, with the
record and the audit entry. Then the old bytes go. Killed at any instant, `erase` is simply called again: it finds what
is left, or finishes removing bytes and returns the record there is.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy.engine import Connection

from ...ground.core.errors import Conflict, InvalidInput, NotFound, StaleState
from ...ground.core.hashing import canonical_json
from ...ground.core.records import Event
from ...ground.flow import actions as flow
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..records import Arrival, DatasetVersion, Erasure, Part
from ..settings import ColumnType
from ..versions import layout
from ..versions.erasing import (
    Eraser,
    Wanted,
    clean_report,
    clean_text,
    items_aside,
    names,
    names_rows,
    quarantine_without,
)
from .committing import digests_of, forget_notes, items_of
from .judging import profile_of
from .keeping import OPEN_RUNS, remove_unused
from .preparing import personal_key
from .reading import store_of, version

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""Since when erased bytes are unused: they wait for no period of grace, also after a crash."""
_ATTEMPTS = 5
_MANY = 10**9

Forget = Callable[[Sequence[str]], None]


@dataclass(slots=True)
class _Found:
    """What an erasure changes, as of one look at the facts."""

    seen: tuple[object, ...]
    versions: list[DatasetVersion]
    """As they will be; those that lost rows without the mark yet."""
    hit: set[int]
    arrivals: list[Arrival]
    rows: int
    old: set[str] = field(default_factory=set)


def erase(
    ctx: Context,
    dataset: str,
    column: str,
    value: object,
    *,
    reason: str,
    secret: bytes | None = None,
    forget: Forget | None = None,
) -> Erasure:
    """Take the rows whose column has the value out of every version of all branches; return the record of it.

    The record holds a keyed hash of the value, not the value; the key is the project's unless one is given. Runs that
    read the dataset forget what they kept (by `forget`, if given). Raises Conflict while one of them is under way.
    """
    if not reason.strip():
        raise InvalidInput("An erasure needs a reason.", hint="Say who asked for it and why, without naming the value.")
    secret = personal_key(ctx) if secret is None else secret
    wanted = _wanted(ctx, dataset, column, value, secret)
    _nobody_reads(ctx, dataset)
    fingerprint = hmac.digest(secret, canonical_json([dataset, column, wanted.text]), "sha256").hex()
    done = _record(ctx, dataset, wanted, fingerprint, clean_text(reason.strip()[:1000], wanted))
    if done.versions:
        (forget or (lambda runs: flow.forget_results(ctx, runs)))(tainted_runs(ctx, dataset))
    with ctx.db.reading() as connection:
        noted = tables.unused(connection, AT_ONCE)
    remove_unused(ctx, AT_ONCE, flow.mentioned(ctx, noted) if noted else ())  # other runs may keep equal bytes
    tables.rewrite(ctx.db)
    return done


def erasures(ctx: Context, dataset: str) -> list[Erasure]:
    """Return what was erased from a dataset, newest first."""
    with ctx.db.reading() as connection:
        return tables.all_erasures(connection, dataset)


def tainted_runs(ctx: Context, dataset: str) -> list[str]:
    """Return the ids of the runs that were given a version of the dataset."""
    runs = flow.list_runs(ctx, limit=_MANY)
    return [run.id for run in runs if any(ref.dataset == dataset for ref in run.inputs.values())]


def _nobody_reads(ctx: Context, dataset: str) -> None:
    for run in flow.list_runs(ctx, states=OPEN_RUNS, limit=_MANY):
        if any(ref.dataset == dataset for ref in run.inputs.values()):
            raise Conflict(
                f"{run.id} reads {dataset} and is {run.state}.",
                hint="Wait until it has ended, or cancel it, then erase.",
            )


def _record(ctx: Context, dataset: str, wanted: Wanted, fingerprint: str, reason: str) -> Erasure:
    for _ in range(_ATTEMPTS):
        found = _look(ctx, dataset, wanted)
        draft = Erasure(
            id=ctx.id("erasure"),
            dataset=dataset,
            column=wanted.column,
            fingerprint=fingerprint,
            rows=found.rows,
            versions=tuple(sorted(found.hit)),
            reason=reason,
            at=ctx.now(),
            by=ctx.actor.name,
        )
        with ctx.db.transaction() as connection:
            tables.lock(connection)
            if _seen(connection, dataset) != found.seen:
                continue  # somebody committed meanwhile: look again
            earlier = [one for one in tables.all_erasures(connection, dataset) if one.fingerprint == fingerprint]
            if earlier and not found.rows and not found.versions and not found.arrivals:
                tables.add_unused(connection, found.old, AT_ONCE)
                return earlier[0]
            _write(ctx, connection, found, draft)
            return draft
    raise StaleState(f"Others kept committing to {dataset} during the erasure.", hint="Nothing was erased; repeat it.")


def _write(ctx: Context, connection: Connection, found: _Found, done: Erasure) -> None:
    new: set[str] = set()
    for one in found.versions:
        marked = replace(one, erased=(*one.erased, done.id)) if one.number in found.hit else one
        tables.set_version(connection, marked)
        new |= digests_of(marked.parts) | {marked.profile or ""}
    for arrival in found.arrivals:
        tables.set_arrival(connection, arrival)
        new.add(arrival.blob or "")
    forget_notes(ctx, connection, new)
    tables.add_unused(connection, found.old - new, AT_ONCE)
    tables.add_erasure(connection, done)
    detail = {name: getattr(done, name) for name in ("column", "fingerprint", "rows", "reason")}
    subject = f"data:{done.dataset}"
    audit.append(connection, ctx, Event("data.erased", subject, {**detail, "id": done.id, "versions": done.versions}))


def _look(ctx: Context, dataset: str, wanted: Wanted) -> _Found:
    """Read everything, write new cells, change no fact."""
    with ctx.db.reading() as connection:
        seen = _seen(connection, dataset)
        every = tables.all_versions(connection, dataset)
        arrivals = tables.all_arrivals(connection, dataset, _MANY)
    written: set[str] = set()
    eraser = Eraser(wanted, store_of(ctx, written))
    now = {part: eraser.part(part) for part in {part for one in every for part in one.parts}}
    changed = {part for part, left in now.items() if left != part}
    texts = set(eraser.texts)
    arrived, set_aside = [], 0
    old: set[str | None] = set()
    for arrival in arrivals:
        left, rows, said = _set_aside(ctx, arrival, wanted)
        texts |= said
        set_aside += rows
        if rows and arrival.blob is not None:
            old |= {arrival.blob} | items_aside(ctx.blobs.get(arrival.blob), wanted, _binary(arrival, every))
        arrived.append(replace(arrival, blob=left))
    arrived = [replace(one, report=clean_report(one.report, wanted, texts)) for one in arrived]
    cleaned = [_cleaned(ctx, one, now, wanted, texts) for one in every]
    hit = {one.number for one in every if not changed.isdisjoint(one.parts)}
    different = [(before, after) for before, after in zip(every, cleaned, strict=True) if before != after]
    old |= {before.profile for before, after in different if before.profile not in (None, after.profile)}
    old |= digests_of(tuple(changed)) - digests_of(tuple(left for left in now.values() if left is not None))
    return _Found(
        seen,
        [after for _, after in different],
        hit,
        [after for before, after in zip(arrivals, arrived, strict=True) if before != after],
        _rows(every, eraser) + set_aside,
        {one for one in old if one is not None} | items_of(ctx, changed) | written | _waiting(ctx, wanted),
    )


def _binary(arrival: Arrival, every: list[DatasetVersion]) -> set[str]:
    """Return the columns that may hold hashes of items."""
    typed = {(one.name, one.type) for one in arrival.report.columns} | {one for each in every for one in each.schema}
    return {name for name, kind in typed if kind == ColumnType.BINARY}


def _rows(every: list[DatasetVersion], eraser: Eraser) -> int:
    """Count rows once, however many versions have them."""
    most: Counter[str] = Counter()
    for one in every:
        most |= sum((eraser.hits.get(part, Counter()) for part in one.parts), Counter())
    return most.total()


def _waiting(ctx: Context, wanted: Wanted) -> set[str]:
    """Return the bytes that wait to be removed, and hold rows that are meant: they wait no longer."""
    with ctx.db.reading() as connection:
        waiting = tables.unused(connection, ctx.now())
    return {digest for digest in waiting if ctx.blobs.has(digest) and names_rows(ctx.blobs.get(digest), wanted)}


def _cleaned(
    ctx: Context, one: DatasetVersion, now: dict[Part, Part | None], wanted: Wanted, texts: Collection[str]
) -> DatasetVersion:
    parts = tuple(left for left in (now[part] for part in one.parts) if left is not None)
    same = parts == one.parts
    profile = one.profile
    if profile is not None and not same:
        profile = profile_of(ctx, layout.scan(parts, one.schema, store_of(ctx)))
    elif profile is not None and names(ctx.blobs.get(profile), wanted):
        profile = None
    return replace(
        one,
        parts=parts,
        rows=one.rows if same else sum(part.live for part in parts),
        report=clean_report(one.report, wanted, texts),
        message=clean_text(one.message, wanted),
        profile=profile,
    )


def _set_aside(ctx: Context, arrival: Arrival, wanted: Wanted) -> tuple[str | None, int, set[str]]:
    if arrival.blob is None:
        return None, 0, set()
    left, rows, said = quarantine_without(ctx.blobs.get(arrival.blob), wanted)
    if not rows:
        return arrival.blob, 0, set()
    return (None if left is None else ctx.blobs.put(left)), rows, said


def _seen(connection: Connection, dataset: str) -> tuple[object, ...]:
    """Return what changes whenever a version or an arrival comes, or changes."""
    every = tuple((one.number, one.erased, one.pruned) for one in tables.all_versions(connection, dataset))
    return every, tuple((one.id, one.blob) for one in tables.all_arrivals(connection, dataset, _MANY))


def _wanted(ctx: Context, dataset: str, column: str, value: object, secret: bytes) -> Wanted:
    with ctx.db.reading() as connection:
        columns = {name: None for one in tables.all_versions(connection, dataset) for name, _ in one.schema}
        refused = tables.all_arrivals(connection, dataset, 1)
    if not columns and not refused:
        version(ctx, dataset)  # raises: there is no such dataset
    if columns and column not in columns:
        raise NotFound(f"{dataset!r} has no column {column[:80]!r}.", hint=f"It has: {', '.join(columns)}.")
    if not secret:
        raise InvalidInput("An erasure needs the project's key: the record holds a keyed hash of the value.")
    return Wanted.of(column, value, secret)
