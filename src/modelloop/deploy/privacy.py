"""What of a request is written: columns that are dropped or masked, and the text of a business key. Pure.

A mask is a keyed hash (BLAKE2b): equal values stay equal, so that outcomes still join and drift of categories is still
seen, but nobody without the key finds the value by trying all of them. Without a key a masked column is dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from .records import LogPolicy

LONGEST_KEY = 200
_DIGEST = 16


def covered(values: Mapping[str, Sequence[Any]], policy: LogPolicy, key: bytes | None) -> Mapping[str, Sequence[Any]]:
    """Return the columns as they may be written."""
    if not policy.drop and not policy.mask:
        return values
    out: dict[str, Sequence[Any]] = {}
    for name, column in values.items():
        if name in policy.drop:
            continue
        if name not in policy.mask:
            out[name] = column
        elif key is not None:
            out[name] = [masked(name, value, key) for value in column]
    return out


def covered_tensors(tensors: Mapping[str, Sequence[Any]], policy: LogPolicy, key: bytes | None) -> Mapping[str, Any]:
    """Return tensors (name -> datatype, shape, values) as they may be written. Only texts can be masked one by one: a
    masked tensor of numbers is dropped."""
    if not policy.drop and not policy.mask:
        return tensors
    out: dict[str, Any] = {}
    for name, (datatype, shape, values) in tensors.items():
        if name in policy.drop:
            continue
        if name not in policy.mask:
            out[name] = [datatype, shape, values]
        elif key is not None and datatype == "BYTES":
            out[name] = [datatype, shape, [masked(name, value, key) for value in values]]
    return out


def covered_key(column: str, value: Any, policy: LogPolicy, key: bytes | None) -> str | None:
    """Return a business key as it is written and looked for; None where there is none, or it may not be written."""
    if column in policy.drop or value is None:
        return None
    if column in policy.mask:
        return None if key is None else masked(column, value, key)
    return business_key(value)


def business_key(value: Any) -> str:
    """Return a key as one text: 7, 7.0 and "7" are the same key. One that is too long to be kept becomes its hash."""
    found = text_of(value)
    if len(found) <= LONGEST_KEY and "\0" not in found:
        return found
    return f"long:{hashlib.blake2b(found.encode(errors='surrogatepass'), digest_size=32).hexdigest()}"


def masked(column: str, value: Any, key: bytes) -> str | None:
    """Return the keyed hash of a value in a column; what is missing stays so."""
    if value is None:
        return None
    told = f"{column}\0{text_of(value)}".encode(errors="surrogatepass")
    return hashlib.blake2b(told, key=key[:64], digest_size=_DIGEST).hexdigest()


def text_of(value: Any) -> str:
    """Return a value as text, the same for every way in which a caller may send it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)
