"""What stays and what goes: retention of versions, and removal of blobs that nothing refers to any more.

Facts first here: a version lets its parts go in one transaction, which notes their blobs; then `sweep` removes those
of the noted that nothing refers to. Killed between the two, nothing is lost, and the next sweep finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations

from sqlalchemy.engine import Connection

from ...ground.core.clock import iso
from ...ground.core.later import polars as pl
from ...ground.core.records import Event
from ...ground.flow import actions as flow
from ...ground.flow.records import RunState
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..records import MAIN, DatasetVersion
from ..settings import RetentionSettings
from ..versions.merging import ancestor
from .committing import digests_of, items_of
from .reading import versions

GRACE = timedelta(hours=1)
"""How long a blob that nothing refers to stays: longer than anything takes between writing it and its commit."""
_SOME = 200
"""Blobs removed in one transaction, while others wait to commit."""
OPEN_RUNS = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
"""States of runs that still read what they were given."""
_MANY = 10**9

Referenced = Callable[[Collection[str]], set[str]]


def prune(ctx: Context, dataset: str, retention: RetentionSettings, *, keep: Collection[int] = ()) -> tuple[int, ...]:
    """Let the rows of old versions go; return their numbers. Their records stay, with report and hash.

    Never pruned: heads and tags, versions that branches will be merged over, those that open runs read, and those in
    `keep` (what registered models were trained on). Bytes go with the next `sweep`.
    """
    held = set(keep) | _read_by_runs(ctx, dataset)
    every = versions(ctx, dataset)
    with ctx.db.transaction() as connection:
        tables.lock(connection)
        every = tables.all_versions(connection, dataset)
        held |= _named(connection, dataset, every)
        old = [one for one in _outlived(every, retention, ctx.now()) if one.number not in held and not one.pruned]
        if not old:
            return ()
        said = f"{iso(ctx.now())} by retention ({_rule(retention)})"
        for one in old:
            tables.set_version(connection, replace(one, parts=(), pruned=said))
        tables.add_unused(connection, _let_go(ctx, old, every), ctx.now())
        numbers = tuple(sorted(one.number for one in old))
        detail = {"versions": list(numbers), "rule": _rule(retention)}
        audit.append(connection, ctx, Event("data.pruned", f"data:{dataset}", detail))
    return numbers


def sweep(ctx: Context, grace: timedelta = GRACE, *, referenced: Referenced = lambda _: set()) -> int:
    """Remove the blobs that versions let go at least `grace` ago and nothing refers to; return how many there were.

    `referenced` returns those of some hashes that other stages refer to (results of runs, packages): they stay, and
    are looked at again with the next sweep.
    """
    until = ctx.now() - grace
    with ctx.db.reading() as connection:
        noted = tables.unused(connection, until)
    count = remove_unused(ctx, until, referenced(noted) if noted else ())
    with ctx.db.transaction() as connection:
        forgotten = tables.unused(connection, ctx.now() - max(grace, GRACE), removed=True)
        tables.drop_unused(connection, forgotten)
    return count


def remove_unused(ctx: Context, until: datetime, held: Collection[str] = ()) -> int:
    """Remove what is noted as unused since `until` or before and not held by others; return how many blobs."""
    with ctx.db.reading() as connection:
        noted = set(tables.unused(connection, until)) - set(held)
        live = _named_in_facts(connection, noted) if noted else set()
    live |= _named_in_rows(ctx, noted - live)
    with ctx.db.transaction() as connection:
        tables.drop_unused(connection, live)
    gone = sorted(noted - live)
    return sum(_remove(ctx, gone[at : at + _SOME], until) for at in range(0, len(gone), _SOME))


def _remove(ctx: Context, digests: list[str], until: datetime) -> int:
    """Whoever used one of them again since they were looked for has dropped its note, or shows in the facts."""
    with ctx.db.transaction() as connection:
        tables.lock(connection)
        gone = set(digests) & set(tables.unused(connection, until))
        gone -= _named_in_facts(connection, gone)
        removed = [ctx.blobs.remove(digest) for digest in sorted(gone)]
        tables.note_removed(connection, gone, ctx.now())
    return sum(removed)


def _named_in_facts(connection: Connection, among: Collection[str]) -> set[str]:
    """Return those of some hashes that versions or arrivals refer to."""
    found: set[str] = set()
    for one in tables.every_version(connection):
        found |= digests_of(one.parts) | {one.profile or ""}
    found |= {one.blob or "" for one in tables.all_arrivals(connection, None, _MANY)}
    return set(among) & found


def held_in_rows(ctx: Context, among: Collection[str]) -> set[str]:
    """Return those of some hashes that rows of any version or arrival hold: items of binary columns."""
    return _named_in_rows(ctx, set(among))


def _named_in_rows(ctx: Context, among: set[str]) -> set[str]:
    """Return those of some hashes that rows hold: items of binary columns, also of rows that were set aside."""
    if not among:
        return set()
    with ctx.db.reading() as connection:
        parts = {part for one in tables.every_version(connection) for part in one.parts}
        blobs = {one.blob for one in tables.all_arrivals(connection, None, _MANY)}
    found = items_of(ctx, parts, among)
    for blob in blobs - {None}:
        text = "\n".join(pl.read_parquet(ctx.blobs.get(str(blob)), columns=["values"])["values"])
        found |= {one for one in among - found if one in text}
    return found


def _let_go(ctx: Context, old: list[DatasetVersion], every: list[DatasetVersion]) -> set[str]:
    """Return the blobs that only the old versions need; what others need too is found out again at the sweep."""
    numbers = {one.number for one in old}
    kept = {part for one in every if one.number not in numbers for part in one.parts}
    gone = {part for one in old for part in one.parts} - kept
    return (digests_of(tuple(gone)) - digests_of(tuple(kept))) | items_of(ctx, gone)


def _outlived(every: list[DatasetVersion], retention: RetentionSettings, now: datetime) -> Iterable[DatasetVersion]:
    """Yield the versions that are older than asked, counted within their branch."""
    if retention.keep is None and retention.versions is None:
        return
    lines: dict[str, list[DatasetVersion]] = {}
    for one in sorted(every, key=lambda one: -one.number):
        lines.setdefault(one.branch, []).append(one)
    for line in lines.values():
        for place, one in enumerate(line):
            newer_since = line[place - 1].made_at if place else one.made_at
            if place < (retention.versions or 0):
                continue
            if retention.keep is None or now - newer_since > retention.keep:
                yield one


def _named(connection: Connection, dataset: str, every: list[DatasetVersion]) -> set[int]:
    """Return heads, tags, and where lines parted."""
    known = {one.number: one for one in every}
    heads = [row.number for row in tables.refs(connection, dataset, tables.BRANCH)]
    main = tables.head(connection, dataset, MAIN)
    heads += [main.number] if main else []
    parted = {ancestor(known, one, other) for one, other in combinations(heads, 2)} - {None}
    tagged = {row.number for row in tables.refs(connection, dataset, tables.TAG)}
    return {*heads, *tagged, *(one for one in parted if one is not None)}


def _read_by_runs(ctx: Context, dataset: str) -> set[int]:
    open_runs = flow.list_runs(ctx, states=OPEN_RUNS, limit=_MANY)
    return {ref.version for run in open_runs for ref in run.inputs.values() if ref.dataset == dataset}


def _rule(retention: RetentionSettings) -> str:
    words = [f"keep {retention.keep}"] * (retention.keep is not None)
    words += [f"the newest {retention.versions}"] * (retention.versions is not None)
    return ", ".join(words)
