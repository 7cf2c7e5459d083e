"""Versions made directly, without a source: what tests of branches, diffs, retention and erasure begin with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import polars as pl

from modelloop.data.actions.committing import commit, digest_of
from modelloop.data.actions.judging import profile_of
from modelloop.data.actions.reading import store_of
from modelloop.data.contract.rules import contract_hash, schema_of
from modelloop.data.records import MAIN, CheckResult, ColumnStats, DatasetVersion, Level, Report
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings
from modelloop.data.tables import head
from modelloop.data.versions import layout
from modelloop.ground.store.context import Context

PEOPLE = ContractSettings(
    {
        "id": ColumnSettings(ColumnType.INTEGER, min=0),
        "name": ColumnSettings(ColumnType.STRING, nullable=True),
        "age": ColumnSettings(ColumnType.FLOAT, nullable=True, max=200),
    },
    key=("id",),
)
KEYLESS = ContractSettings(PEOPLE.columns)
TYPES = {"id": pl.Int64, "name": pl.String, "age": pl.Float64}
Row = tuple[int, str | None, float | None]


def report(*examples: str, rows: int = 1, low: str | None = None) -> Report:
    """A report that quotes something."""
    check = CheckResult("range", "age", Level.ROW, len(examples), "expected at most 200", tuple(examples))
    return Report(rows, rows, 0, False, ("a.csv",), (check,), (ColumnStats("name", "string", 0.0, None, low, low),))


def make(
    ctx: Context,
    rows: Sequence[Row] | pl.DataFrame,
    *,
    how: str = "replace",
    dataset: str = "people",
    branch: str = MAIN,
    contract: ContractSettings = PEOPLE,
    **fields: Any,
) -> DatasetVersion:
    """Commit rows (replace, append or upsert) as the next version of a branch."""
    frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(list(rows), schema=TYPES, orient="row")
    written: set[str] = set()
    with ctx.db.reading() as connection:
        before = head(connection, dataset, branch)
    old, schema, store = before.parts if before else (), schema_of(contract), store_of(ctx, written)
    if how == "append":
        parts = layout.append(old, frame, schema, store)
    elif how == "upsert":
        parts, _ = layout.upsert(old, frame, schema, contract.key, store)
    elif contract.key:
        parts = layout.replace(old, frame, schema, contract.key, store)
    else:
        parts = layout.replace_by_content(old, frame, schema, store)
    made = DatasetVersion(
        dataset=dataset,
        number=0,
        digest=digest_of(schema, parts, contract_hash(contract)),
        rows=sum(part.live for part in parts),
        parts=parts,
        schema=schema,
        contract_hash=contract_hash(contract),
        parent=before.number if before else None,
        report=fields.pop("said", None) or report(),
        message=fields.pop("message", ""),
        made_at=ctx.now(),
        made_by=ctx.actor.name,
        source="feed",
        branch=branch,
        key=contract.key,
        profile=profile_of(ctx, layout.scan(parts, schema, store)),
    )
    made = dataclasses.replace(made, **fields)
    with ctx.db.transaction() as connection:
        return commit(ctx, connection, made, before, written=written)


def rows_of(frame: pl.LazyFrame) -> list[Row]:
    """The rows, by id."""
    return sorted(frame.collect().select(list(TYPES)).rows(), key=lambda row: (row[0], str(row)))
