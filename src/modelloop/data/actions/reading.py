"""Verbs that look: datasets, versions by number, time, tag and branch, reports, and what was set aside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time
from difflib import get_close_matches
from typing import NoReturn

from sqlalchemy.engine import Connection

from ...ground.core.clock import iso, parse_time, utc
from ...ground.core.errors import InvalidInput, NotFound
from ...ground.core.ids import is_name
from ...ground.core.later import polars as pl
from ...ground.store.context import Context
from .. import tables
from ..records import MAIN, Arrival, CheckResult, Dataset, DatasetVersion, QuarantinedRow, Refused, Report
from ..settings import ColumnType
from ..versions import layout
from ..versions.parts import rows_of

_REFERENCE = re.compile(r"([^:@]+)(?:(:)([^:@]+)|(@)(.+))?")


def read(
    ctx: Context,
    dataset: str,
    version: int | None = None,
    *,
    at: datetime | None = None,
    tag: str | None = None,
    branch: str | None = None,
    load: Sequence[str] = (),
) -> pl.LazyFrame:
    """Return the rows of a version as a lazy frame: the newest of `main`, or as said for `version`.

    Columns of binary items hold the hashes of their bytes; those named in `load` come as the bytes themselves.
    Raises NotFound, also for a version whose rows were let go by retention.
    """
    return scan_version(ctx, _version(ctx, dataset, version, at=at, tag=tag, branch=branch), load)


def version(
    ctx: Context,
    dataset: str,
    number: int | None = None,
    *,
    at: datetime | None = None,
    tag: str | None = None,
    branch: str | None = None,
) -> DatasetVersion:
    """Return a version: by number, by tag, or the newest of a branch (`main`), or the one it had at a time.

    Raises NotFound, saying what there is, and InvalidInput where more than one way is used.
    """
    return _version(ctx, dataset, number, at=at, tag=tag, branch=branch)


def resolve(ctx: Context, text: str) -> DatasetVersion:
    """Return the version that a text names: NAME, NAME:3, NAME:TAG, NAME@BRANCH, NAME@2026-11-01 (the end of that day,
    UTC) or NAME@2026-11-01T12:00:00Z; raises NotFound, InvalidInput."""
    match = _REFERENCE.fullmatch(text)
    if match is None or not is_name(match[1]):
        raise InvalidInput(
            f"{text[:80]!r} names no version of a dataset.",
            hint="Expected NAME, NAME:3, NAME:TAG, NAME@BRANCH or NAME@2026-11-01.",
        )
    name, which, moment = match[1], match[3], match[5]
    if which is not None:
        whole = which.isascii() and which.isdecimal() and len(which) < 10
        return _version(ctx, name, int(which)) if whole else _version(ctx, name, tag=which)
    if moment is not None:
        return _version(ctx, name, branch=moment) if is_name(moment) else _version(ctx, name, at=_moment(moment))
    return _version(ctx, name)


def versions(ctx: Context, dataset: str) -> list[DatasetVersion]:
    """Return a dataset's versions of all branches, newest first; raises NotFound where there is none."""
    with ctx.db.reading() as connection:
        return tables.all_versions(connection, dataset) or _no_dataset(connection, dataset)


def datasets(ctx: Context) -> list[Dataset]:
    """Return all datasets, by name."""
    with ctx.db.reading() as connection:
        return tables.all_datasets(connection)


def report(ctx: Context, dataset: str, number: int | None = None) -> Report:
    """Return the report of the arrival that made a version; raises NotFound."""
    return _version(ctx, dataset, number).report


def item(ctx: Context, digest: str) -> bytes:
    """Return the bytes of an item in a binary column, by the hash that the column holds; raises BlobMissing."""
    return ctx.blobs.get(digest)


def arrivals(ctx: Context, dataset: str | None = None, *, limit: int = 100) -> list[Arrival]:
    """Return arrivals that were refused or of which rows were set aside, newest first, with their reports."""
    with ctx.db.reading() as connection:
        return tables.all_arrivals(connection, dataset, limit)


def refused(ctx: Context, dataset: str, *, limit: int = 100) -> list[Refused]:
    """Return the arrivals of which nothing was taken in, newest first."""
    found = [one for one in arrivals(ctx, dataset, limit=limit) if one.version is None]
    return [Refused(one.id, one.at, one.report.files, tuple(map(said, one.report.broken))) for one in found]


def quarantined(ctx: Context, dataset: str, *, limit: int = 1000, waiting: bool = False) -> list[QuarantinedRow]:
    """Return rows that were set aside, each with its reasons and what became of it, newest arrival first.

    With `waiting` those that nobody has settled yet. Raises NotFound.
    """
    rows: list[QuarantinedRow] = []
    for arrival in arrivals(ctx, dataset, limit=100_000) or _no_arrival(ctx, dataset):
        if arrival.blob is not None and len(rows) < limit:
            rows += _with_fate(ctx, rows_of(ctx.blobs.get(arrival.blob), dataset, arrival.id, arrival.version), waiting)
    return rows[:limit]


def scan_version(ctx: Context, found: DatasetVersion, load: Sequence[str] = ()) -> pl.LazyFrame:
    """Return the rows of a version that was looked up; raises NotFound where they were let go."""
    if found.pruned:
        raise NotFound(
            f"{found.name} was pruned {found.pruned}; its report is kept, its rows are not.",
            hint="Tags, branches and registered models keep a version: `modelloop data tag`.",
        )
    frame = layout.scan(found.parts, found.schema, store_of(ctx))
    return frame.with_columns(_loaded(ctx, found, name) for name in load) if load else frame


def store_of(ctx: Context, written: set[str] | None = None) -> layout.Store:
    """Return where the layout's bytes are. What is put is added to `written`: pass that on to `commit`."""
    if written is None:
        return layout.Store(ctx.blobs.put, ctx.blobs.get, ctx.blobs.path)

    def put(data: bytes) -> str:
        digest = ctx.blobs.put(data)
        written.add(digest)
        return digest

    return layout.Store(put, ctx.blobs.get, ctx.blobs.path)


def said(check: CheckResult) -> str:
    """Return a check in a line."""
    return f"{check.column} {check.check}: {check.message}".strip().rstrip(".")


def _with_fate(ctx: Context, rows: list[QuarantinedRow], waiting: bool) -> list[QuarantinedRow]:
    with ctx.db.reading() as connection:
        fates = tables.settled(connection, sorted({one.arrival for one in rows}))
    told = [replace(one, settled=fates.get((one.arrival, one.file, one.row), "")) for one in rows]
    return [one for one in told if not (waiting and one.settled)]


def _loaded(ctx: Context, found: DatasetVersion, name: str) -> pl.Expr:
    kinds = dict(found.schema)
    if kinds.get(name) != ColumnType.BINARY:
        binary = ", ".join(one for one, kind in found.schema if kind == ColumnType.BINARY) or "none"
        raise InvalidInput(f"{name!r} is no binary column of {found.name}.", hint=f"Those are: {binary}.")

    def bytes_of(hashes: pl.Series) -> pl.Series:
        held = [None if one is None else ctx.blobs.get(one) for one in hashes]
        return pl.Series(hashes.name, held, dtype=pl.Binary)

    return pl.col(name).map_batches(bytes_of, return_dtype=pl.Binary)


def _no_arrival(ctx: Context, dataset: str) -> tuple[Arrival, ...]:
    _version(ctx, dataset)
    return ()


def _version(
    ctx: Context,
    dataset: str,
    number: int | None = None,
    *,
    at: datetime | None = None,
    tag: str | None = None,
    branch: str | None = None,
) -> DatasetVersion:
    if (number is not None) + (tag is not None) + (at is not None or branch is not None) > 1:
        raise InvalidInput(
            f"More than one way to say which version of {dataset!r}.", hint="Give a number, a tag, or branch and time."
        )
    with ctx.db.reading() as connection:
        if number is not None:
            return tables.numbered(connection, dataset, number) or _no_number(connection, dataset, number)
        if tag is not None:
            row = tables.ref(connection, dataset, tables.TAG, tag) or _no_ref(connection, dataset, tables.TAG, tag)
            return tables.numbered(connection, dataset, row.number) or _no_number(connection, dataset, row.number)
        name = MAIN if branch is None else branch
        head = tables.head(connection, dataset, name) or _no_ref(connection, dataset, tables.BRANCH, name)
        return head if at is None else _as_of(connection, head, name, utc(at))


def _as_of(connection: Connection, head: DatasetVersion, branch: str, at: datetime) -> DatasetVersion:
    """Return what a branch's newest version was at a time; before its first commit that is where it began."""
    if branch == MAIN:
        found = tables.head(connection, head.dataset, MAIN, at=at)
    else:
        found = head
        while found is not None and found.made_at > at:
            found = None if found.parent is None else tables.numbered(connection, head.dataset, found.parent)
    if found is None:
        first = tables.numbered(connection, head.dataset, 1)
        since = f"Its first is of {iso(first.made_at)}." if first else ""
        raise NotFound(f"The dataset {head.dataset!r} had no version at {iso(at)}.", hint=since)
    return found


def _moment(text: str) -> datetime:
    try:
        moment = parse_time(text)
    except ValueError as error:
        raise InvalidInput(
            f"{text[:60]!r} is neither a branch nor a time.",
            hint="Expected 2026-11-01, 2026-11-01T12:00:00Z or a branch.",
        ) from error
    whole_day = re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text) is not None
    return moment.combine(moment.date(), time.max, moment.tzinfo) if whole_day else moment


def _no_number(connection: Connection, dataset: str, number: int) -> NoReturn:
    newest = tables.next_number(connection, dataset) - 1
    if not newest:
        _no_dataset(connection, dataset)
    raise NotFound(f"The dataset {dataset!r} has no version {number}.", hint=f"It has 1 to {newest}.")


def _no_ref(connection: Connection, dataset: str, kind: str, name: str) -> NoReturn:
    if tables.next_number(connection, dataset) == 1:
        _no_dataset(connection, dataset)
    names = [row.name for row in tables.refs(connection, dataset, kind)] + [MAIN] * (kind == tables.BRANCH)
    raise NotFound(f"The dataset {dataset!r} has no {kind} {name[:80]!r}.", hint=_meant(name, names))


def _no_dataset(connection: Connection, dataset: str) -> NoReturn:
    names = [one.name for one in tables.all_datasets(connection)]
    raise NotFound(f"There is no dataset {dataset[:80]!r}.", hint=_meant(dataset, names))


def _meant(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(names) or 'none yet'}."
