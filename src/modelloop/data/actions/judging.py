"""Rows that are kept already, judged once more: what a merge made is no arrival, but keeps the contract, too."""

from __future__ import annotations

from pathlib import Path

from ...ground.core.errors import DataRefused, NotFound
from ...ground.core.later import polars as pl
from ...ground.store.context import Context
from ..contract.judge import Aids, Before, Judge
from ..contract.rules import check_contract
from ..insight.profile import profile
from ..records import Report
from ..settings import ContractSettings
from ..versions.merging import for_kept_rows
from .custom import custom_checks
from .reading import read, said

BATCH = 500_000
"""Rows judged at a time."""


def judge_kept(ctx: Context, name: str, frame: pl.LazyFrame, contract: ContractSettings, root: Path | None) -> Report:
    """Return the report of rows under a contract; raises DataRefused if any row, or the table, breaks it."""
    check_contract(contract)
    judge = Judge(for_kept_rows(contract), Before(), _aids(ctx, contract, root))
    row = 1
    for batch in frame.collect_batches(chunk_size=BATCH, maintain_order=True):
        judge.take(batch, name, row)
        row += len(batch)
    if row == 1:
        judge.take(frame.head(0).collect(), name)
    report = judge.report()
    if report.refused or report.quarantined:
        told = "; ".join(map(said, report.broken[:5]))
        raise DataRefused(
            f"{name} breaks the contract and was not merged: {told}.",
            hint="Mend the rows on the branch, or change the contract; nothing was committed.",
            detail={"report": report.to_json()},
        )
    return report


def profile_of(ctx: Context, frame: pl.LazyFrame) -> str:
    """Return the blob of the rows' profile: what later arrivals are compared with."""
    return ctx.blobs.put(profile(frame).to_bytes())


def references(ctx: Context, contract: ContractSettings) -> dict[str, pl.LazyFrame]:
    """Return the columns of other datasets that the contract refers to; raises NotFound, saying which names it."""
    found: dict[str, pl.LazyFrame] = {}
    for column, asked in contract.columns.items():
        if asked.references is not None:
            dataset, _, name = asked.references.partition(".")
            other = read(ctx, dataset)
            if name not in other.collect_schema().names():
                raise NotFound(f"{column!r} refers to {asked.references}, and {dataset!r} has no column {name!r}.")
            found[asked.references] = other.select(name)
    return found


def _aids(ctx: Context, contract: ContractSettings, root: Path | None) -> Aids:
    if contract.custom and root is None:
        raise NotFound("The contract has checks in Python, and nobody said where.", hint="Pass the project's folder.")
    custom = custom_checks(root, contract.custom) if root is not None else {}
    return Aids(references=references(ctx, contract), custom=custom, now=ctx.now())
