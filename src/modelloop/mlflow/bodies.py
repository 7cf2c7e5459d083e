"""From what a request holds, a JSON body or a query, to a message. All that is wrong with its form is told here."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from ..ground.core.errors import InvalidInput

T = TypeVar("T", bound=msgspec.Struct)
MOST_FIELDS = 2000
_BARE = (b"NaN", b"Infinity")


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind, strict=False)


@cache
def _lists(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(field.name for field in msgspec.structs.fields(kind) if "list" in str(field.type))


def from_body(data: bytes, kind: type[T]) -> T:
    """Return the message in a JSON body; an empty body is an empty message. Raises InvalidInput."""
    if b"\\u0000" in data and holds_nul(data):
        raise InvalidInput("The body holds a NUL character (\\u0000).", hint="Leave it out.")
    try:
        found: T = _decoder(kind).decode(data or b"{}")
        return found
    except msgspec.ValidationError as error:
        raise _unfit(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if any(word in data for word in _BARE):  # Python's json writes them bare, against the standard
            return _loose(data, kind)
        raise InvalidInput(
            f"The body is not JSON: {str(error)[:200]}.", hint="Expected an object in UTF-8: {...}."
        ) from error
    except RecursionError as error:
        raise InvalidInput("The body is nested too deep.") from error


def from_query(query: bytes, kind: type[T]) -> T:
    """Return the message in an address's query; a field that holds a list may stand there many times."""
    try:
        words = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise InvalidInput(f"The query cannot be read: {str(error)[:200]}.", hint="Expected name=value&...") from error
    lists = _lists(kind)
    found: dict[str, Any] = {}
    for name, value in words:
        if "\x00" in value:
            raise InvalidInput(f"{name[:40]} holds a NUL character.", hint="Leave it out.")
        if name in lists:
            found.setdefault(name, []).append(value)
        else:
            found.setdefault(name, value)
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _unfit(error) from error


def needs(value: Any, name: str) -> str:
    """Return a text that must be given; raises InvalidInput. Ids that are numbers may come as numbers."""
    if value is None or value == "":
        raise InvalidInput(f"Missing value for required parameter '{name}'.")
    return str(value)


def holds_nul(data: bytes) -> bool:
    """Say whether a text in this JSON holds NUL, and not only a backslash before u0000."""
    return b"\\u0000" in data.replace(b"\\\\", b"")


def _loose(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.convert(json.loads(data), kind, strict=False)
    except msgspec.ValidationError as error:
        raise _unfit(error) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"The body is not JSON: {str(error)[:200]}.", hint="Expected an object in UTF-8: {...}."
        ) from error


def _unfit(error: Exception) -> InvalidInput:
    reason = str(error).replace("`", "")
    field = reason.rpartition("$.")[2] if "$." in reason else ""
    told = reason.partition(" - at ")[0]
    return InvalidInput(f"Invalid value for parameter '{field}': {told}." if field else f"The body is wrong: {told}.")
