"""Records to JSON: one encoder for every face."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import orjson

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def encode(value: Any, *, indent: bool = False) -> bytes:
    """Return `value` (records, mappings, times, numbers) as JSON; NaN and infinities become null."""
    # asked for numpy, orjson imports it: where nobody has, no value can be of it
    numbers = orjson.OPT_SERIALIZE_NUMPY if "numpy" in sys.modules else 0
    return orjson.dumps(value, default=_plain, option=_OPTIONS | numbers | (orjson.OPT_INDENT_2 if indent else 0))


def plain(value: Any) -> Any:
    """Return `value` as a reader of the JSON sees it: dicts, lists, texts, numbers."""
    return orjson.loads(encode(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    raise TypeError(f"{type(value).__name__} has no JSON form")
