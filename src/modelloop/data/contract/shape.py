"""Whether a file has the columns that the contract lists, in a form that they can be read from. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...ground.core.later import polars as pl
from ..records import CheckResult, Level, Schema
from ..settings import ColumnType, ContractSettings
from .cast import wrong_types
from .checks.plan import Plan
from .rules import schema_of

_SHOWN = 10
"""Names that a message lists."""
_TWICE = re.compile(r"(.+)_duplicated_\d+")
"""How Polars names the columns of a header that has a name twice."""


def shape_checks(raw: pl.DataFrame, todo: Plan, file: str) -> Iterator[CheckResult]:
    """Walk what is wrong with the columns of a file; nothing of it can be read if a check that stops is among it."""
    contract, has = todo.contract, set(raw.columns)
    missing = [name for name in contract.columns if name not in has]
    extra = [name for name in raw.columns if name not in contract.columns]
    twice = list(dict.fromkeys(one[1] for one in map(_TWICE.fullmatch, extra) if one and one[1] in has))
    if missing:
        found = f"{file} lacks {_columns(missing)}; it has {names(raw.columns)}"
        yield CheckResult("columns", file, Level.TABLE, len(missing), found)
    if twice:
        said = f"{file} has {_columns(twice)} more than once in its header; nobody can say which one counts"
        yield CheckResult("columns", file, Level.TABLE, len(twice), said)
    if extra and not twice and not contract.extra_columns:
        said = f"{file} has columns that the contract does not list: {names(extra)}; extra_columns allows them"
        yield CheckResult("columns", file, Level.TABLE, len(extra), said, (), contract.on_violation)
    for name, stored in wrong_types(raw, todo.types).items():
        said = f"{file} holds {name} as {stored[:80]}; expected {contract.columns[name].type}"
        yield CheckResult("type", name, Level.TABLE, max(len(raw), 1), said)


def schema_checks(contract: ContractSettings, before: Schema | None) -> Iterator[CheckResult]:
    """A column keeps its type from version to version; a whole number may become any number."""
    arriving = dict(schema_of(contract))
    for name, was in before or ():
        now = arriving.get(name, was)
        if now != was and (was, now) != (ColumnType.INTEGER, ColumnType.FLOAT):
            said = f"{name} was {was} in the version before and is now {now}; use mode replace, or a new dataset"
            yield CheckResult("schema", name, Level.TABLE, 1, said)


def names(listed: Sequence[str]) -> str:
    """Return names for a sentence: the first few, and how many more there are."""
    shown = ", ".join(name[:80] for name in listed[:_SHOWN])
    return shown + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")


def _columns(listed: Sequence[str]) -> str:
    return f"the column{'s' * (len(listed) > 1)} {names(listed)}"
