"""Draws valid values for records of settings, from their type hints."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from hypothesis import strategies as st

from modelloop.ground.core.toml import json_schema


def _values(hint: Any, limits: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return valid TOML values for a type hint."""
    if typing.get_origin(hint) not in (tuple, Mapping) and typing.get_args(hint):
        hint = typing.get_args(hint)[0]
    if is_dataclass(hint):
        return tables(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from([str(member) for member in hint])
    if hint is bool:
        return st.booleans()
    if hint is int:
        least = -(2**63) if limits["least"] is None else limits["least"]
        return st.integers(least, 2**63 - 1 if limits["most"] is None else limits["most"])
    if hint is float:
        numbers = st.floats(limits["least"], limits["most"], allow_nan=False, allow_infinity=False)
        return numbers.map(lambda number: int(number) if number.is_integer() and abs(number) < 2**53 else number)
    if hint is timedelta:
        return st.builds(lambda count, unit: f"{count}{unit}", st.integers(0, 9999), st.sampled_from("smhdw"))
    if hint is str:
        return st.from_regex(limits["pattern"], fullmatch=True) if limits["pattern"] else _text
    inside = typing.get_args(hint)[0 if typing.get_origin(hint) is tuple else 1]
    if typing.get_origin(hint) is tuple:
        return st.lists(_values(inside, limits), max_size=3)
    names = st.from_regex(limits["pattern"], fullmatch=True) if limits["pattern"] else st.text(_letters, min_size=1)
    none = {"least": None, "most": None, "pattern": None}
    return st.dictionaries(names, _plain if inside is Any else _values(inside, none), max_size=2)


_letters = st.characters(exclude_categories=["Cs"])
_text = st.text(_letters, max_size=6)
_plain = st.recursive(
    st.integers(-9, 9) | _text | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=4,
)


def tables(into: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return valid tables for a record of settings, as `tomllib` would give them."""
    hints = typing.get_type_hints(into)
    kinds = {part.name: _values(hints[part.name], part.metadata) for part in fields(into)}
    needed = set(json_schema(into).get("required", []))
    return st.fixed_dictionaries(
        {name: kind for name, kind in kinds.items() if name in needed},
        optional={name: kind for name, kind in kinds.items() if name not in needed},
    )
