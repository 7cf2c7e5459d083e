"""Checks that a project wrote itself, asked about the rows that would be kept. Pure but for what is asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ....ground.core.errors import ModelloopError
from ....ground.core.later import polars as pl
from ....ground.flow.failure import attempt
from ...settings import ContractSettings
from .plan import RowCheck

_LONGEST = 500


def custom_checks(contract: ContractSettings) -> tuple[RowCheck, ...]:
    """Return the contract's own checks; an example shows the key of its row."""
    return tuple(
        RowCheck("custom", name, contract.key, f"{one.function} to hold", one.severity or contract.on_violation)
        for name, one in contract.custom.items()
    )


def ask(function: Callable[[pl.DataFrame], Any] | None, rows: pl.DataFrame) -> pl.Series | str:
    """Return the bad rows (from 0), or what is wrong with the table as a whole; no row and no word: all is well."""
    if function is None:
        return "it is not known here"
    said, raised = attempt(partial(function, rows))
    if isinstance(raised, ModelloopError):
        return raised.message[:_LONGEST]
    if raised is not None:
        return f"it raised {type(raised).__name__}: {raised}"[:_LONGEST]
    if isinstance(said, bool):
        return "" if said else "it says that the table is not good"
    if isinstance(said, str):
        return said.strip()[:_LONGEST] or "it returned an empty sentence"
    if not isinstance(said, pl.Series) or said.dtype != pl.Boolean:
        kind = f"a series of {said.dtype}" if isinstance(said, pl.Series) else type(said).__name__
        return f"it returned {kind}; expected a Boolean series, True, False or a sentence"
    if len(said) != len(rows):
        return f"it returned {len(said)} answers for {len(rows)} rows"
    return (~said.fill_null(value=True)).arg_true()
