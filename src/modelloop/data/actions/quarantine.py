"""What becomes of rows that were set aside: corrected and taken in after all, or dropped. Either is recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ...ground.core.errors import Conflict, InvalidInput, NotFound
from ...ground.core.later import polars as pl
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..contract.judge import Before, Judge
from ..contract.rules import schema_of
from ..records import DatasetVersion, QuarantinedRow
from ..settings import ContractSettings, Mode, Personal, SourceSettings
from ..versions.correcting import RowName, for_few_rows, name_of
from .intake import take_rows
from .preparing import aids_for, items_of
from .reading import quarantined, scan_version

_ALL = 10**9
READMITTED, DROPPED = "readmitted", "dropped"


@dataclass(frozen=True, slots=True)
class Readmission:
    """What came of rows that were taken up again."""

    version: DatasetVersion | None
    """The new version; None if no row is good."""
    rows: int
    """How many are in it."""
    still: tuple[QuarantinedRow, ...]
    """Those that break the contract even so, with the reasons they have now; they go on waiting."""


def readmit(
    ctx: Context,
    name: str,
    source: SourceSettings,
    contract: ContractSettings,
    *,
    root: Path,
    rows: Collection[RowName] | None = None,
    corrections: Mapping[RowName, Mapping[str, str | None]] | None = None,
) -> Readmission:
    """Judge waiting rows of a source's dataset again, with corrections: the good ones become a new version.

    `rows` names them (arrival, file, row); left out, those in `corrections`, or all. Killed at any instant, either the
    version is there and its rows are settled, or nothing is. Raises NotFound, Conflict where a row is settled already.
    """
    changes = dict(corrections or {})
    chosen = _chosen(ctx, source.dataset, list(changes) if rows is None and changes else rows, changes)
    corrected = [_corrected(row, changes.get(name_of(row), {}), contract) for row in chosen]
    bad = _bad(ctx, source, contract, root, corrected)
    good = [row for place, row in enumerate(corrected) if place not in bad]
    still = tuple(replace(row, reasons=bad[place]) for place, row in enumerate(corrected) if place in bad)
    if not good:
        return Readmission(None, 0, still)
    noted = [name_of(row) for row in good]
    done = take_rows(
        ctx,
        name,
        source,
        contract,
        _frame(good, contract),
        root=root,
        label="readmitted rows",
        settle=lambda connection, made: _settle(ctx, connection, noted, READMITTED, made.number),
        message=f"{len(good)} rows that had been set aside",
    )
    return Readmission(done.version, len(good), still)


def correct(
    ctx: Context,
    name: str,
    source: SourceSettings,
    contract: ContractSettings,
    *,
    root: Path,
    row: RowName,
    changes: Mapping[str, str | None],
) -> Readmission:
    """Correct one row that was set aside, and take it in if it is good now."""
    return readmit(ctx, name, source, contract, root=root, corrections={row: changes})


def drop(ctx: Context, dataset: str, rows: Collection[RowName] | None = None, *, reason: str = "") -> int:
    """Settle waiting rows (all if none are named) as dropped; return how many. They stay listed."""
    chosen = [name_of(row) for row in _chosen(ctx, dataset, rows, {})]
    if not chosen:
        return 0
    try:
        with ctx.db.transaction() as connection:
            _settle(ctx, connection, chosen, DROPPED, None)
            detail = {"rows": len(chosen), "reason": reason[:1000]}
            audit.append(connection, ctx, Event("data.rows_dropped", f"data:{dataset}", detail))
    except IntegrityError as error:
        raise _settled_meanwhile() from error
    return len(chosen)


def _chosen(
    ctx: Context, dataset: str, rows: Collection[RowName] | None, changes: Mapping[RowName, Any]
) -> list[QuarantinedRow]:
    every = quarantined(ctx, dataset, limit=_ALL)
    if rows is None:
        return [row for row in every if not row.settled]
    known = {name_of(row): row for row in every}
    asked = dict.fromkeys([*rows, *changes])
    unknown = [one for one in asked if one not in known]
    if unknown:
        raise NotFound(
            f"No row was set aside as row {unknown[0][2]} of {unknown[0][1]!r} in {unknown[0][0]}.",
            hint=f"`modelloop data quarantine {dataset}` lists them.",
        )
    done = [known[one] for one in asked if known[one].settled]
    if done:
        raise Conflict(f"Row {done[0].row} of {done[0].file!r} was {done[0].settled} already; {len(done)} rows are.")
    return [known[one] for one in asked]


def _corrected(row: QuarantinedRow, changes: Mapping[str, str | None], contract: ContractSettings) -> QuarantinedRow:
    unknown = [name for name in changes if name not in contract.columns and name not in row.values]
    if unknown:
        raise InvalidInput(
            f"The contract has no column {unknown[0][:80]!r}.", hint=f"It has: {', '.join(contract.columns)}."
        )
    _check_items(row, changes, items_of(schema_of(contract)))
    hashed = [
        name
        for name, column in contract.columns.items()
        if column.personal is Personal.HASH and name not in changes and row.values.get(name) is not None
    ]
    if hashed:
        raise InvalidInput(
            f"{hashed[0]!r} of row {row.row} of {row.file!r} is kept as a hash, which cannot be hashed again.",
            hint="Give its value with the corrections.",
        )
    return replace(row, values={**row.values, **changes})


def _check_items(row: QuarantinedRow, changes: Mapping[str, str | None], items: Collection[str]) -> None:
    """Bytes come from a source only: a hash that somebody wrote could name what is not theirs."""
    for name in items:
        said = row.values.get(name) if any(one.startswith(f"{name}: type,") for one in row.reasons) else None
        if changes.get(name, said) is not None:
            raise InvalidInput(
                f"{name!r} of row {row.row} of {row.file!r} holds an item, which cannot be written by hand.",
                hint="Drop the row, and let the right file arrive at the source.",
            )


def _bad(
    ctx: Context, source: SourceSettings, contract: ContractSettings, root: Path, rows: Sequence[QuarantinedRow]
) -> dict[int, tuple[str, ...]]:
    """Return the places of rows that break the contract even so, with their reasons."""
    if not rows:
        return {}
    with ctx.db.reading() as connection:
        head = tables.head(connection, source.dataset)
    known = scan_version(ctx, head) if head is not None and source.mode is not Mode.MERGE else None
    aids = aids_for(ctx, root, contract, known, items=items_of(schema_of(contract)))
    judge = Judge(for_few_rows(contract), Before(), aids)
    bad = judge.take(_frame(rows, contract), "readmitted rows").bad
    return {row - 1: tuple(reasons) for row, reasons in bad.select("row", "reasons").iter_rows()}


def _frame(rows: Sequence[QuarantinedRow], contract: ContractSettings) -> pl.DataFrame:
    columns = {name: [row.values.get(name) for row in rows] for name in contract.columns}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String), strict=False)


def _settle(ctx: Context, connection: Connection, rows: Sequence[RowName], what: str, version: int | None) -> None:
    said = {"what": what, "version": version, "at": ctx.now(), "by": ctx.actor.name}
    tables.settle(connection, [{"arrival": one[0], "file": one[1], "row": one[2], **said} for one in rows])


def _settled_meanwhile() -> Conflict:
    return Conflict("Somebody else settled one of these rows at the same time.", hint="List them again.")
