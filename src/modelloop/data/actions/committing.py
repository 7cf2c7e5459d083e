"""The one place where a version comes to be: its number, the branch's head, and who was first."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ...ground.core.errors import NotFound, StaleState
from ...ground.core.hashing import hash_json
from ...ground.core.later import polars as pl
from ...ground.store.context import Context
from .. import tables
from ..records import MAIN, DatasetVersion, Part, Schema
from ..settings import ColumnType
from ..versions import layout
from .reading import store_of


def commit(
    ctx: Context,
    connection: Connection,
    made: DatasetVersion,
    expected: DatasetVersion | None,
    *,
    written: Collection[str] = (),
) -> DatasetVersion:
    """Insert a version as the head of its branch, within the caller's transaction; return it with its number.

    `expected` is the head that `made` was made from. `written` are the blobs that were put on the way: what of them the
    version does not need is removed by a later sweep. Raises StaleState where another commit, or an erasure, came
    between: the caller reads again and makes its version anew; nothing was written.
    """
    tables.lock(connection)
    now = tables.head(connection, made.dataset, made.branch)
    if _standing(now) != _standing(expected):
        raise stale(made.dataset, now)
    kept = set(expected.parts) if expected else set()
    fresh = tuple(part for part in made.parts if part not in kept)
    needed = digests_of(made.parts) | {made.profile or ""}
    forget_notes(ctx, connection, needed | _noted_items(ctx, connection, fresh))
    tables.add_unused(connection, set(written) - needed, ctx.now())
    numbered = replace(made, number=tables.next_number(connection, made.dataset))
    try:
        tables.add_version(connection, numbered)
    except IntegrityError as error:
        raise stale(made.dataset, now) from error
    if tables.ref(connection, made.dataset, tables.BRANCH, made.branch) is not None:
        tables.move_ref(connection, made.dataset, tables.BRANCH, made.branch, number=numbered.number)
    elif made.branch != MAIN:
        raise NotFound(f"{made.dataset!r} has no branch {made.branch!r} any more.", hint="It was dropped meanwhile.")
    return numbered


def stale(dataset: str, now: DatasetVersion | None) -> StaleState:
    """Return what the loser of two writers is told."""
    return StaleState(
        f"Another commit made {now.name if now else dataset + ':1'} while this one was at work.",
        hint="Nothing was written; ingest again, or repeat the command.",
    )


def digests_of(parts: tuple[Part, ...]) -> set[str]:
    """Return the blobs that hold the parts."""
    cells = {cell.digest for part in parts for cell in part.cells}
    return cells | {part.deleted for part in parts if part.deleted is not None}


def digest_of(schema: Schema, parts: tuple[Part, ...], contract: str) -> str:
    """Return the hash of what a version holds: equal hash, equal rows under the same contract."""
    return hash_json([schema, [[[cell.digest for cell in one.cells], one.deleted] for one in parts], contract])


def _standing(version: DatasetVersion | None) -> tuple[int, tuple[str, ...]] | None:
    return None if version is None else (version.number, version.erased)


def _noted_items(ctx: Context, connection: Connection, parts: Iterable[Part]) -> set[str]:
    noted = tables.all_unused(connection)
    return items_of(ctx, parts, noted) if noted else set()


def items_of(ctx: Context, parts: Iterable[Part], among: Collection[str] | None = None) -> set[str]:
    """Return the items in binary columns of parts: all, or those among some."""
    found: set[str] = set()
    for part in parts:
        binary = [name for name, kind in part.schema if kind == ColumnType.BINARY]
        if binary:
            schema = tuple((name, kind) for name, kind in part.schema if name in binary)
            frame = layout.scan([part], schema, store_of(ctx))
            hashes = pl.concat([frame.select(pl.col(name).alias("digest")) for name in binary]).drop_nulls()
            hashes = hashes if among is None else hashes.filter(pl.col("digest").is_in(sorted(among)))
            found |= set(hashes.unique().collect()["digest"])
    return found


def forget_notes(ctx: Context, connection: Connection, digests: Collection[str]) -> None:
    """Blobs are in use from now on. One that was there when it was written again may have been swept away since."""
    noted = tables.noted(connection, digests)
    if not all(map(ctx.blobs.has, noted)):
        raise StaleState("Bytes that were written again had been swept away meanwhile.", hint="Do it again.")
    tables.drop_unused(connection, noted)
