"""Prediction ids: of the one form that all ids have, made in half a microsecond, sorted as they are asked for."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_COUNTS = 2**20


class Ids:
    """Makes ids of one process and thread.

    As in `ground.core.ids`: 48 bits of milliseconds and 80 bits that no other id has. Of those, 60 are drawn for each
    million ids, and 20 count, so that ids of one millisecond sort too. A clock that is set back makes ids that sort
    back; they stay unique.
    """

    __slots__ = ("_count", "_drawn", "_head", "_millisecond")

    def __init__(self) -> None:
        self._count = _COUNTS
        self._drawn = self._head = ""
        self._millisecond = -1

    def new(self, microseconds: int) -> str:
        """Return a fresh id for a moment, in microseconds since 1970."""
        millisecond = microseconds // 1000
        count = self._count
        if millisecond != self._millisecond or count >= _COUNTS:
            count = self._turn(millisecond)
        self._count = count + 1
        return self._head + _PAIRS[count >> 10] + _PAIRS[count & 1023]

    def _turn(self, millisecond: int) -> int:
        if self._count >= _COUNTS:
            self._drawn = "".join(_PAIRS[secrets.randbelow(1024)] for _ in range(6))
            self._count = 0
        self._millisecond = millisecond
        moment = "".join(_PAIRS[millisecond >> shift & 1023] for shift in (40, 30, 20, 10, 0))
        self._head = f"pred_{moment}{self._drawn}"
        return self._count
