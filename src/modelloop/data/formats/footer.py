"""The footer of a Parquet file: how much the file holds, before any of it is unpacked. Pure.

A few kilobytes of Parquet can say a billion rows (runs of one value) or a gigabyte of text (packed). Polars tells
neither without reading; so the footer (Thrift, compact protocol) is read here, and only its counts are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .blocks import FREE, RATIO

MARK = b"PAR1"
MOST_FOOTER = 2**23
"""A file with a longer footer is itself too large to be a bomb of note."""
MOST_REPEATED = 2**27
"""Up to so many values, a gigabyte, may be ever the same."""
_ROW_GROUPS, _ROWS = 4, 3
_CHUNKS, _META, _VALUES, _UNPACKED = 1, 3, 5, 6
_DEEP = 32
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12


@dataclass(frozen=True, slots=True)
class Footer:
    """What the file says of itself."""

    rows: int
    values: int
    """Rows times columns, and what lists hold."""
    unpacked: int
    """Bytes of its pages."""


def check_parquet(size: int, first: bytes, last: bytes) -> Footer | None:
    """Return the footer, None if it is long; raises ValueError for what is no Parquet by its marks, or a bomb.

    `first` are the first 4 bytes, `last` up to MOST_FOOTER + 8 of the last ones.
    """
    if first != MARK or last[-4:] != MARK:
        raise ValueError("it does not begin and end as Parquet does")
    length = int.from_bytes(last[-8:-4], "little")
    if length > size - 12:
        raise ValueError("its footer is longer than the file")
    if length > MOST_FOOTER:
        return None
    told = footer(last[-8 - length : -8])
    made = max(told.unpacked, told.values * 8)
    if (made > FREE and told.unpacked > size * RATIO) or (told.values * 8 > 2**30 and told.values > size * RATIO):
        raise ValueError(f"{size:,} bytes unpack to more than {made:,}: a zip bomb, or write it anew yourself")
    return told


def footer(data: bytes) -> Footer:
    """Read a footer; raises ValueError where it is damaged."""
    try:
        found = _Reader(data).struct()
        chunks = [chunk.get(_META, {}) for group in found.get(_ROW_GROUPS, ()) for chunk in group.get(_CHUNKS, ())]
        values = sum(one.get(_VALUES, 0) for one in chunks)
        unpacked = sum(one.get(_UNPACKED, 0) for one in chunks)
        return Footer(int(found.get(_ROWS, 0)), int(values), int(unpacked))
    except (IndexError, AttributeError, TypeError) as error:
        raise ValueError("its footer is damaged") from error


class _Reader:
    """Thrift's compact protocol, as far as Parquet uses it: structs by number of field."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read the fields of a struct."""
        if depth > _DEEP:
            raise ValueError("its footer is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != _STOP:
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == _DOUBLE:
            return self._skip(8)
        if kind == _BINARY:
            return self._skip(self._number())
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError("its footer is damaged")

    def _list(self, depth: int) -> Sequence[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._number()
        if count > len(self.data):
            raise ValueError("its footer is damaged")
        return [self._value(head & 15, depth) for _ in range(count)]

    def _byte(self) -> int:
        found = self.data[self.at]
        self.at += 1
        return found

    def _skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise IndexError

    def _number(self) -> int:
        made, shift = 0, 0
        while True:
            byte = self._byte()
            made |= (byte & 127) << shift
            if byte < 128:
                return made
            shift += 7
            if shift > 63:
                raise ValueError("its footer is damaged")

    def _signed(self) -> int:
        number = self._number()
        return (number >> 1) ^ -(number & 1)
