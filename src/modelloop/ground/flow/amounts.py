"""Amounts as people write them above a step: "90s", "5m", "1.5h"; "512MB", "2GB". Standard library only."""

from __future__ import annotations

import re
from datetime import timedelta

from ..core.errors import PipelineInvalid

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def duration(given: str | float | timedelta, what: str) -> timedelta:
    """Return a length of time: "1.5s", "5m", seconds as a number, or a timedelta; raises PipelineInvalid."""
    seconds = given.total_seconds() if isinstance(given, timedelta) else _number(given, _SECONDS)
    if seconds is None or not 0 <= seconds <= 1e9:
        raise PipelineInvalid(f"{what} is {given!r}, which is no length of time.", hint='Write "30s", "5m" or "1.5h".')
    return timedelta(seconds=seconds)


def size(given: str | int, what: str) -> int:
    """Return a number of bytes: "2GB", "512MB", or bytes as a number; raises PipelineInvalid."""
    found = _number(given.upper() if isinstance(given, str) else given, _BYTES)
    if found is None or found < 0:
        raise PipelineInvalid(f"{what} is {given!r}, which is no amount of memory.", hint='Write "512MB" or "2GB".')
    return int(found)


def _number(given: object, units: dict[str, float] | dict[str, int]) -> float | None:
    if isinstance(given, int | float) and not isinstance(given, bool):
        return float(given)
    match = _AMOUNT.fullmatch(given) if isinstance(given, str) else None
    if match is None or match[2] not in units:
        return None
    return float(match[1]) * units[match[2]]
