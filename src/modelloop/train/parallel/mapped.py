"""Frames in memory that processes share: the buffers of Arrow's columns in one file, mapped and used where they lie.

Polars reads an Arrow file by copying it, so the buffers are handed over through Arrow's C data interface
(https://arrow.apache.org/docs/format/CDataInterface.html): written as they are, without a change of layout, and pointed
at again. A file is read only by whoever wrote it or by its crew: lengths in it are trusted.
"""

from __future__ import annotations

import base64
import ctypes
import mmap
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ...ground.core.later import polars as pl

if TYPE_CHECKING:
    import polars

_ALIGNED = 64
_BITS = {
    **dict.fromkeys(("c", "C"), 8), **dict.fromkeys(("s", "S", "e"), 16), **dict.fromkeys(("i", "I", "f"), 32),
    **dict.fromkeys(("l", "L", "g"), 64), "b": 1, "tdD": 32, "tdm": 64, "tts": 32, "ttm": 32, "ttu": 64, "ttn": 64,
    "_pli128": 128, "_plu128": 128,
}  # fmt: skip
_STREAM, _SCHEMA_NAME, _ARRAY_NAME = b"arrow_array_stream", b"arrow_schema", b"arrow_array"


class _Schema(ctypes.Structure):
    pass


class _Array(ctypes.Structure):
    pass


_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.POINTER(_Schema)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.POINTER(_Array)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]


class _Stream(ctypes.Structure):
    _fields_ = [
        ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
        ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)),
        ("get_last_error", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)),
        ("release", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("private_data", ctypes.c_void_p),
    ]


def write_frame(frame: polars.DataFrame, path: Path) -> dict[str, Any]:
    """Write a frame's buffers to a file; return the layout that `open_frame` needs, JSON-ready."""
    capsule = frame.__arrow_c_stream__()
    address = ctypes.pythonapi.PyCapsule_GetPointer
    address.restype, address.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    where = address(capsule, _STREAM)
    stream = _Stream.from_address(where)
    schema = _Schema()
    _check(stream.get_schema(where, ctypes.addressof(schema)))
    batches: list[dict[str, Any]] = []
    with path.open("wb") as file:
        while True:
            array = _Array()
            _check(stream.get_next(where, ctypes.addressof(array)))
            if not array.release:
                break
            try:
                batches.append(_write(array, schema, file))
            finally:
                _release(array)
    told = {"schema": _described(schema), "batches": batches, "file": path.name}
    _release(schema)
    return told


def open_frame(told: dict[str, Any], folder: Path) -> polars.DataFrame:
    """Return the frame, whose columns lie in the mapped file. It stays mapped as long as this process lives."""
    path = folder / told["file"]
    base = _mapped(path) if path.stat().st_size else 0
    schema = told["schema"]
    batches = [pl.DataFrame(_Batch(schema, batch, base)) for batch in told["batches"]]
    if not batches:
        raise InvalidInput("The frame has no batch.", hint="Give a frame with columns.")
    return batches[0] if len(batches) == 1 else pl.concat(batches, rechunk=False)


class _Batch:
    """One batch for Polars to import. What it points to is never given back: it lies in the mapping."""

    def __init__(self, schema: dict[str, Any], batch: dict[str, Any], base: int) -> None:
        self._schema, self._array = _schema_of(schema), _array_of(batch, base)

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[Any, Any]:
        capsule = ctypes.pythonapi.PyCapsule_New
        capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return (
            capsule(ctypes.addressof(self._schema), _SCHEMA_NAME, None),
            capsule(ctypes.addressof(self._array), _ARRAY_NAME, None),
        )


def _write(array: _Array, schema: _Schema, file: IO[bytes]) -> dict[str, Any]:
    kind = (schema.format or b"").decode()
    sizes = _sizes(kind, array)
    told: dict[str, Any] = {"length": array.length, "nulls": array.null_count, "offset": array.offset}
    told["buffers"] = [_put(array.buffers[place] or 0, size, file) for place, size in enumerate(sizes)]
    told["children"] = [
        _write(array.children[place].contents, schema.children[place].contents, file)
        for place in range(array.n_children)
    ]
    if schema.dictionary:
        told["dictionary"] = _write(array.dictionary.contents, schema.dictionary.contents, file)
    return told


def _put(address: int, size: int, file: IO[bytes]) -> list[int] | None:
    """Write one buffer; return where it begins and its size, None for one that is not there."""
    if not address:
        return None
    file.write(bytes(-file.tell() % _ALIGNED))
    begin = file.tell()
    file.write(memoryview((ctypes.c_char * size).from_address(address)))
    return [begin, size]


def _sizes(kind: str, array: _Array) -> list[int]:
    """Return the bytes of each buffer: the C interface does not say them, the format does."""
    rows = array.offset + array.length
    bits = (rows + 7) // 8
    if kind == "n":
        return []
    if kind in ("+s",) or kind.startswith("+w:"):
        return [bits]
    if kind in ("vu", "vz"):
        spare = array.n_buffers - 3
        lengths = (ctypes.c_int64 * spare).from_address(array.buffers[array.n_buffers - 1]) if spare > 0 else ()
        return [bits, rows * 16, *map(int, lengths), max(spare, 0) * 8]
    if kind in ("+l", "+L"):
        return [bits, (rows + 1) * (4 if kind == "+l" else 8)]
    if kind in ("u", "z", "U", "Z"):
        small = kind in ("u", "z")
        offsets = (rows + 1) * (4 if small else 8)
        last = (ctypes.c_int32 if small else ctypes.c_int64) * (rows + 1)
        return [bits, offsets, int(last.from_address(array.buffers[1])[rows]) if array.buffers[1] else 0]
    return [bits, (rows * _width(kind) + 7) // 8]


def _width(kind: str) -> int:
    if kind in _BITS:
        return _BITS[kind]
    if kind.startswith(("ts", "tD")):
        return 64
    if kind.startswith("d:"):
        parts = kind[2:].split(",")
        return int(parts[2]) if len(parts) > 2 else 128
    if kind.startswith("w:"):
        return 8 * int(kind[2:])
    raise InvalidInput(
        f"A column of the shared frame has Arrow's type {kind!r}, which cannot be shared.",
        hint="Cast it to numbers, text, dates, categories, lists or structs of these, or leave it out.",
    )


def _described(schema: _Schema) -> dict[str, Any]:
    told: dict[str, Any] = {"format": (schema.format or b"").decode(), "name": (schema.name or b"").decode()}
    told |= {"flags": schema.flags, "metadata": base64.b64encode(_metadata(schema.metadata)).decode()}
    told["children"] = [_described(schema.children[place].contents) for place in range(schema.n_children)]
    if schema.dictionary:
        told["dictionary"] = _described(schema.dictionary.contents)
    return told


def _metadata(address: int | None) -> bytes:
    """Return the bytes of a field's metadata: a count, then lengths and texts."""
    if not address:
        return b""
    at = 4
    for _ in range(2 * ctypes.c_int32.from_address(address).value):
        at += 4 + ctypes.c_int32.from_address(address + at).value
    return ctypes.string_at(address, at)


def _schema_of(told: dict[str, Any]) -> _Schema:
    made = _Schema(format=told["format"].encode(), name=told["name"].encode(), flags=told["flags"])
    metadata = base64.b64decode(told["metadata"])
    if metadata:
        made.metadata = ctypes.addressof(_kept(ctypes.create_string_buffer(metadata, len(metadata))))
    children = [_schema_of(child) for child in told["children"]]
    made.n_children = len(children)
    if children:
        pointers = (ctypes.POINTER(_Schema) * len(children))(*map(ctypes.pointer, children))
        made.children = ctypes.cast(_kept(pointers), ctypes.POINTER(ctypes.POINTER(_Schema)))
    if "dictionary" in told:
        made.dictionary = ctypes.pointer(_schema_of(told["dictionary"]))
    made.release = _nothing()
    _kept(made)
    return made


def _array_of(told: dict[str, Any], base: int) -> _Array:
    buffers = [None if spot is None else base + spot[0] for spot in told["buffers"]]
    children = [_array_of(child, base) for child in told["children"]]
    made = _Array(length=told["length"], null_count=told["nulls"], offset=told["offset"])
    made.n_buffers, made.n_children = len(buffers), len(children)
    if buffers:
        made.buffers = ctypes.cast(_kept((ctypes.c_void_p * len(buffers))(*buffers)), ctypes.POINTER(ctypes.c_void_p))
    if children:
        pointers = (ctypes.POINTER(_Array) * len(children))(*map(ctypes.pointer, children))
        made.children = ctypes.cast(_kept(pointers), ctypes.POINTER(ctypes.POINTER(_Array)))
    if "dictionary" in told:
        made.dictionary = ctypes.pointer(_array_of(told["dictionary"], base))
    made.release = _nothing()
    _kept(made)
    return made


def _mapped(path: Path) -> int:
    """Map a file for reading, for good; return where."""
    with path.open("rb") as file:
        seen = np.frombuffer(_kept(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), dtype=np.uint8)
    return int(seen.ctypes.data)


def _kept(made: Any) -> Any:
    """Keep something as long as the process lives: Polars may read it until then."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    return made


def _nothing() -> int:
    """Return the address of a C function that does nothing: called where Python may be gone already."""
    found = ctypes.cast(ctypes.CDLL(None).labs, ctypes.c_void_p).value
    assert found is not None
    return found


def _release(owned: _Schema | _Array) -> None:
    if owned.release:
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(owned.release)(ctypes.addressof(owned))


def _check(code: int) -> None:
    if code:
        raise InvalidInput(f"Polars could not hand the frame over as Arrow (error {code}).", hint="Rechunk it.")
