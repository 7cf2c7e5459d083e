"""What a setting's type hint asks for, and the forms that TOML lacks: durations, frozen tables and arrays."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

DURATION = r"[0-9]{1,12}[smhdw]"
_SECONDS = MappingProxyType({"d": 86_400, "h": 3600, "m": 60, "s": 1, "w": 604_800})


def bare(hint: Any) -> Any:
    """Return `X` for `X | None`: TOML has no null, so None can only be a default."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        if len(options) == 1:
            return options[0]
    return hint


def element(hint: Any) -> Any:
    """Return `T` for `tuple[T, ...]` and `Mapping[str, T]`, else None."""
    origin = typing.get_origin(hint)
    if origin is tuple:
        return typing.get_args(hint)[0]
    return typing.get_args(hint)[1] if origin is Mapping else None


def is_enum(hint: Any) -> bool:
    """Say whether the hint is a StrEnum."""
    return isinstance(hint, type) and issubclass(hint, StrEnum)


def duration(text: str) -> timedelta | None:
    """Read "14d", "6h", "30m", "90s" or "2w"; None if it is none of these."""
    if not re.fullmatch(DURATION, text):
        return None
    try:
        return timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])
    except OverflowError:
        return None


def duration_text(length: timedelta) -> str:
    """Write a duration as `duration` reads it, in whole days, hours, minutes or seconds."""
    seconds = int(length.total_seconds())
    fitting = (unit for unit in "dhm" if seconds and seconds % _SECONDS[unit] == 0)
    unit = next(fitting, "s")
    return f"{seconds // _SECONDS[unit]}{unit}"


def frozen(value: Any) -> Any:
    """Return a deep copy that nobody can change: mappings become read-only views, lists become tuples."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: frozen(entry) for key, entry in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(entry) for entry in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{part.name: frozen(getattr(value, part.name)) for part in fields(value)})
    return value


def plain(value: Any) -> Any:
    """Undo `frozen`: return dicts, lists, strings and numbers, as TOML and JSON write them. None is left out."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {part.name: getattr(value, part.name) for part in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, timedelta):
        return duration_text(value)
    return str(value) if isinstance(value, StrEnum) else value


def describe(hint: Any, limits: Mapping[str, Any]) -> str:
    """Say in plain words what a setting of this type may be."""
    hint = bare(hint)
    if is_enum(hint):
        return ", ".join(hint)
    if hint in (int, float):
        return ("an integer" if hint is int else "a number") + _bounds(limits)
    if hint is str:
        return f"a string that matches {limits['pattern']}" if limits.get("pattern") else "a string"
    if hint is bool:
        return "true or false"
    if hint is timedelta:
        return 'a duration such as "90s", "30m", "6h", "14d" or "2w"'
    if typing.get_origin(hint) is tuple:
        return f"an array, each element {describe(element(hint), limits)}"
    return "a table"


def _bounds(limits: Mapping[str, Any]) -> str:
    least, most = limits.get("least"), limits.get("most")
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}"
    if least is not None:
        return f", at least {least:g}"
    return "" if most is None else f", at most {most:g}"
