"""One id form: a short prefix that says the kind, then 26 characters that sort by time.

`run_01JD8Z6V3Q4W5X6Y7Z8A9B0C1D` is 48 bits of milliseconds and 80 bits of randomness in Crockford's base 32 (as ULID).
Ids are made by the server; whatever a client sends is checked against the pattern before it is used for anything.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime

from .errors import IdInvalid

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PATTERN = re.compile(r"[a-z]{2,8}_[0-9A-HJKMNP-TV-Z]{26}")


def new_id(prefix: str, now: datetime) -> str:
    """Return a fresh id of the kind `prefix`, sortable by `now`."""
    return f"{prefix}_{encode(int(now.timestamp() * 1000), secrets.randbits(80))}"


def encode(milliseconds: int, noise: int) -> str:
    """Return the 26 characters for 48 bits of time and 80 bits of noise."""
    value = ((milliseconds & 0xFFFF_FFFF_FFFF) << 80) | noise
    letters = []
    for _ in range(26):
        letters.append(_ALPHABET[value & 31])
        value >>= 5
    return "".join(reversed(letters))


def check_id(text: str, prefix: str) -> str:
    """Return `text` if it is an id of the kind `prefix`, else raise IdInvalid."""
    if not _PATTERN.fullmatch(text) or not text.startswith(prefix + "_"):
        raise IdInvalid(
            f"{text[:60]!r} is not an id of the kind {prefix!r}.",
            hint=f"Expected {prefix}_ and 26 characters of 0-9, A-Z without I, L, O, U.",
        )
    return text


def is_name(text: str) -> bool:
    """Say whether `text` may name a project, dataset, model, endpoint or pipeline: it is then safe in a path."""
    return re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", text) is not None


def check_name(text: str, kind: str) -> str:
    """Return `text` if it may name a thing of the given kind, else raise IdInvalid."""
    if not is_name(text):
        raise IdInvalid(
            f"{text[:80]!r} cannot name a {kind}.",
            hint="A name starts with a letter a-z and goes on with at most 62 of a-z, 0-9, '-' and '_'.",
        )
    return text
