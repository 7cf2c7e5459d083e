"""What every JSON face reads alike of a request, and how a message names a value that it found there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...ground.core.clock import parse_time
from ...ground.core.errors import RequestInvalid

MAX_ID = 200
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


def kind_of(value: Any) -> str:
    """Return what a JSON value is."""
    return _KINDS.get(type(value), "a number")


def short(value: Any) -> str:
    """Return a value as a message can hold it. Objects and nested lists only by kind: they may be without end."""
    nested = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, list | dict) for one in value))
    text = kind_of(value) if nested or value is None else repr(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= 80 else text[:77] + "..."


def id_of(found: Any) -> str | None:
    """Return the request's id as it was sent."""
    if found is None or (isinstance(found, str) and len(found) <= MAX_ID):
        return found
    raise RequestInvalid(f"`id` is {short(found)}.", hint=f"Expected a string of at most {MAX_ID} characters.")


def event_time_of(found: Any, where: str) -> datetime | None:
    """Return when it happened, in UTC; `where` is how the caller knows the field."""
    if found is None:
        return None
    try:
        return parse_time(found if isinstance(found, str) else "")
    except OverflowError as error:
        raise RequestInvalid(
            f"{where} is {short(found)}, which no calendar holds in UTC.",
            hint="Expected ISO 8601 within the years 1 to 9999.",
        ) from error
    except ValueError as error:
        raise RequestInvalid(
            f"{where} is {short(found)}.", hint="Expected ISO 8601, for instance 2013-03-01T05:15:00Z."
        ) from error
