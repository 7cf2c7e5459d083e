"""Tokens that lead to the next page: the sort keys of the last item, so that what is added meanwhile moves nothing."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from ...ground.core.errors import InvalidInput
from .records import INT64

_VERSION = 1


def write(keys: tuple[Any, ...]) -> str:
    """Return the token of the page after the item with these keys."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((_VERSION, *keys))).decode()


def read(token: str | None, kinds: tuple[type, ...]) -> tuple[Any, ...] | None:
    """Return the keys in a token; None where there is no token. Raises InvalidInput unless they are of these kinds."""
    if not token:
        return None
    try:
        version, *keys = msgspec.msgpack.decode(base64.b64decode(token, altchars=b"-_", validate=True))
        fits = version == _VERSION and len(keys) == len(kinds) and all(map(_is, keys, kinds))
    except (ValueError, TypeError, binascii.Error, msgspec.DecodeError) as error:
        raise _invalid() from error
    if not fits:
        raise _invalid()
    return tuple(keys)


def limit(wanted: int, most: int) -> int:
    """Return how many items a page may have; raises InvalidInput for numbers out of bounds."""
    if type(wanted) is not int or not 1 <= wanted <= most:
        raise InvalidInput(
            f"Invalid value {wanted!r} for parameter 'max_results' supplied: it must be from 1 to {most}.",
            hint="Ask for fewer, and go on with the page token.",
        )
    return wanted


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, float | int)
    if kind is int:
        return isinstance(value, int) and -INT64 <= value < INT64
    if kind is str:
        return isinstance(value, str) and "\x00" not in value
    return type(value) is kind


def _invalid() -> InvalidInput:
    return InvalidInput(
        "Invalid page token.", hint="Give the token of the page before, with the same filter and order, or none."
    )
