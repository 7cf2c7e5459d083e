"""What a contract may ask for, and the Polars type of each of its words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...ground.core.errors import ContractInvalid
from ...ground.core.hashing import hash_json
from ...ground.core.later import polars as pl
from ...ground.core.toml import plain
from ..records import Schema
from ..settings import ColumnType, ContractSettings
from ..types import type_of
from .conditions import condition
from .promises import mistakes


def schema_of(contract: ContractSettings) -> Schema:
    """Return the columns with their types, in the contract's order."""
    return tuple((name, str(column.type)) for name, column in contract.columns.items())


def contract_hash(contract: ContractSettings) -> str:
    """Return the hash of everything the contract says; the order of columns counts, it is that of the dataset."""
    return hash_json([plain(contract), [name for name, _ in schema_of(contract)]])


def check_contract(contract: ContractSettings) -> None:
    """Raise ContractInvalid, with all mistakes, if the contract asks for what cannot be checked."""
    found = [*map(str, mistakes(contract))]
    found += [] if found else _pattern_mistakes(contract)
    texts = {name: one.condition for name, one in contract.rows.items()}
    types = {name: one.type for name, one in contract.columns.items()}
    found += [f"rows.{name}.condition: {said}." for name, said in condition_mistakes(texts, types)]
    if found:
        raise ContractInvalid(" ".join(found), hint="Mend the contract in modelloop.toml.", detail={"mistakes": found})


def conditions(contract: ContractSettings) -> dict[str, pl.Expr]:
    """Return the conditions by name, each true where a row meets it; raises ContractInvalid."""
    types = {name: type_of(column.type) for name, column in contract.columns.items()}
    return {name: condition(one.condition, types) for name, one in contract.rows.items()}


def condition_mistakes(texts: Mapping[str, str], columns: Mapping[str, ColumnType]) -> Iterator[tuple[str, str]]:
    """Walk the names of conditions that cannot be evaluated over these columns, each with the reason."""
    types = {name: type_of(kind) for name, kind in columns.items()}
    for name, text in texts.items():
        try:
            condition(text, types)
        except ContractInvalid as error:
            yield name, error.message


def whole(pattern: str) -> str:
    """Return the pattern so that it must match the whole value."""
    return f"^(?:{pattern})$"


def _pattern_mistakes(contract: ContractSettings) -> Iterator[str]:
    for name, column in contract.columns.items():
        try:
            pl.Series([""]).str.contains(whole(column.pattern or ""))
        except pl.exceptions.PolarsError as error:
            reason = str(error).strip().splitlines()[-1]
            yield f"columns.{name}.pattern: it cannot be used: {reason}."
