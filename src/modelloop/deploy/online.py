"""Pure: an online table, in which the row of a key is found as it was known at a moment. Numbers and bytes, no Polars.

Rows are sorted by key, and by time within a key. A key is looked up by 128 bits of a hash of its values; what was known
at a moment is the last row of the key whose time is not after it: what `prepare.pointintime.latest` joins in training.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import orjson

from ..ground.core.errors import InvalidInput
from ..ground.core.ids import check_name
from ..ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_MAGIC = b"MLONLINE1"
_HEAD = struct.Struct("<I")
_LARGEST = 2**53

Array: TypeAlias = "npt.NDArray[Any]"


@dataclass(frozen=True, slots=True)
class OnlineDocument:
    """Which table is the newest under a name: the document `online/NAME.json`."""

    digest: str
    """Of the table's bytes."""
    dataset: str
    version: int
    settings: str
    """Hash of how it was made: other settings make another table of the same version."""
    rows: int
    keys: int
    key: tuple[str, ...]
    values: Mapping[str, str]
    """Datatype of each column, as the Open Inference Protocol names it."""


class Texts:
    """Texts in one block of bytes, each decoded when it is asked for."""

    __slots__ = ("_block", "_ends")

    def __init__(self, ends: Array, block: bytes) -> None:
        self._ends, self._block = ends, block

    def text(self, row: int) -> str:
        """Return one of them."""
        start = int(self._ends[row - 1]) if row else 0
        return self._block[start : int(self._ends[row])].decode()


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one column, one a row. `valid`: which are there; None: all."""

    datatype: str
    """FP64, INT64, BOOL or BYTES"""
    data: Array | Texts
    valid: Array | None = None


class OnlineTable:
    """A table ready to be asked. Immutable; safe to ask from several threads."""

    __slots__ = ("_columns", "_first", "_rest", "_starts", "_times", "key")

    def __init__(self, key: tuple[str, ...], hashes: Array, starts: Array, times: Array, columns: Mapping[str, Column]):
        """`hashes`: [keys, 2] uint64, sorted by the first; `starts`: [keys + 1] rows; `times`: [rows] microseconds."""
        self.key = key
        self._first, self._rest = np.ascontiguousarray(hashes[:, 0]), np.ascontiguousarray(hashes[:, 1])
        self._starts, self._times, self._columns = starts, times, columns

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._first)

    @property
    def datatypes(self) -> dict[str, str]:
        """Return the datatype of each column."""
        return {name: column.datatype for name, column in self._columns.items()}

    def rows(self, keys: Sequence[Sequence[Any]], at: int, max_age: float | None = None) -> list[int]:
        """Return the row of each key as known at the moment `at` (microseconds since 1970); -1: none, or too old.

        `max_age`, in seconds, is `since` of `prepare.pointintime.Past`: a row of exactly that age is too old.
        """
        return [self._row(values, at, max_age) for values in keys]

    def values(self, name: str, rows: Sequence[int]) -> list[Any]:
        """Return a column's values in the rows found; None where there is none."""
        column = self._columns[name]
        return [None if row < 0 else _value(column, row) for row in rows]

    def _row(self, values: Sequence[Any], at: int, max_age: float | None) -> int:
        digest = key_hash(values)
        if digest is None:
            return -1
        place = int(np.searchsorted(self._first, np.uint64(digest[0])))
        while place < len(self._first) and self._first[place] == digest[0] and self._rest[place] != digest[1]:
            place += 1
        if place == len(self._first) or self._first[place] != digest[0]:
            return -1
        start, end = int(self._starts[place]), int(self._starts[place + 1])
        row = start + int(np.searchsorted(self._times[start:end], at, side="right")) - 1
        if row < start or (max_age is not None and at - int(self._times[row]) >= max_age * 1_000_000):
            return -1
        return row


def table_document(name: str) -> str:
    """Return the name of the document that says which table is the newest."""
    return f"online/{check_name(name, 'online table')}.json"


def key_hash(values: Sequence[Any]) -> tuple[int, int] | None:
    """Return 128 bits of a key, the same for 3, 3.0 and a dataset's integer 3; None where a part of it is missing."""
    plain = [_plain(value) for value in values]
    if any(value is None for value in plain):
        return None
    first, rest = struct.unpack("<QQ", blake2b(orjson.dumps(plain), digest_size=16).digest())
    return first, rest


def encode(key: Sequence[str], keys: Sequence[Sequence[Any]], times: Array, columns: Mapping[str, Column]) -> bytes:
    """Return the bytes of a table; rows may come in any order, those of a missing key are left out."""
    found = [key_hash(values) for values in keys]
    kept = [row for row, digest in enumerate(found) if digest is not None]
    digests = np.array([found[row] for row in kept], dtype=np.uint64).reshape(-1, 2)
    order = np.lexsort((times[kept], digests[:, 1], digests[:, 0]))
    digests, rows = digests[order], np.asarray(kept, dtype=np.int64)[order]
    new = np.ones(len(digests), dtype=bool)
    new[1:] = (digests[1:] != digests[:-1]).any(axis=1)
    starts = np.append(np.flatnonzero(new), len(digests)).astype(np.int64)
    arrays = [digests[new], starts, np.asarray(times, dtype=np.int64)[rows]]
    head: dict[str, Any] = {"key": list(key), "columns": {}}
    for name, column in columns.items():
        data, valid = _stored(column, rows)
        head["columns"][name] = [column.datatype, len(data), valid is not None]
        arrays += [*data, *([] if valid is None else [valid])]
    head["arrays"] = [[str(one.dtype), list(one.shape)] for one in arrays]
    packed = msgspec.msgpack.encode(head)
    return b"".join([_MAGIC, _HEAD.pack(len(packed)), packed, *(np.ascontiguousarray(one).tobytes() for one in arrays)])


def decode(data: bytes) -> OnlineTable:
    """Read a table; the arrays stay views of `data`. Raises InvalidInput."""
    try:
        if not data.startswith(_MAGIC):
            raise ValueError("it does not begin as one")
        (size,) = _HEAD.unpack_from(data, len(_MAGIC))
        start = len(_MAGIC) + _HEAD.size
        head = msgspec.msgpack.decode(data[start : start + size])
        arrays = iter(_arrays(data, start + size, head["arrays"]))
        hashes, starts, times = next(arrays), next(arrays), next(arrays)
        columns = {}
        for name, (datatype, count, masked) in head["columns"].items():
            parts = [next(arrays) for _ in range(count)]
            valid = next(arrays) if masked else None
            columns[name] = Column(datatype, parts[0] if count == 1 else Texts(parts[0], parts[1].tobytes()), valid)
    except (ValueError, KeyError, TypeError, StopIteration, struct.error, msgspec.DecodeError) as error:
        raise InvalidInput(f"These bytes are no online table: {error}.", hint="Fill the table again.") from error
    return OnlineTable(tuple(head["key"]), hashes, starts, times, columns)


def _arrays(data: bytes, offset: int, listed: Sequence[tuple[str, list[int]]]) -> list[Array]:
    found = []
    for dtype, shape in listed:
        count = math.prod(shape)
        found.append(np.frombuffer(data, dtype=dtype, count=count, offset=offset).reshape(shape))
        offset += count * np.dtype(dtype).itemsize
    return found


def _stored(column: Column, rows: Array) -> tuple[list[Array], Array | None]:
    """Return the arrays of a column: one, or for texts their ends and their bytes."""
    valid = None if column.valid is None else column.valid[rows].astype(np.uint8)
    assert not isinstance(column.data, Texts)  # what is encoded came from a frame
    if column.datatype != "BYTES":
        return [column.data[rows]], valid
    texts = [b"" if value is None else str(value).encode() for value in column.data[rows].tolist()]
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64) if texts else np.empty(0, dtype=np.int64)
    return [ends, np.frombuffer(b"".join(texts), dtype=np.uint8)], valid


def _value(column: Column, row: int) -> Any:
    if column.valid is not None and not column.valid[row]:
        return None
    if isinstance(column.data, Texts):
        return column.data.text(row)
    value = column.data[row].item()
    return None if isinstance(value, float) and math.isnan(value) else value


def _plain(value: Any) -> Any:
    """Return a part of a key so that equal ones are equal however they were sent."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) <= _LARGEST else value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    return value
