"""An Arrow stream of a database driver, one batch after the other.

Polars reads such a stream whole; the drivers' own batches need pyarrow. The C interface between them is four calls, so
it is spoken here (https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any, Protocol

from ...ground.core.later import polars as pl

_NAMELESS = b"arrow_schema", b"arrow_array"


class _Schema(ctypes.Structure):
    pass


_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ("private_data", ctypes.c_void_p),
]


class _Array(ctypes.Structure):
    _fields_ = [
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.c_void_p),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
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


class Handle(Protocol):
    """What a driver returns: where its stream is. It owns the stream."""

    @property
    def address(self) -> int:
        """The address of the ArrowArrayStream."""


class _Batch:
    """One batch, to be moved out of by whoever imports it."""

    def __init__(self, schema: _Schema, array: _Array) -> None:
        self._schema, self._array = schema, array

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[Any, Any]:
        capsule = ctypes.pythonapi.PyCapsule_New
        capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return (
            capsule(ctypes.addressof(self._schema), _NAMELESS[0], None),
            capsule(ctypes.addressof(self._array), _NAMELESS[1], None),
        )


def schema_of(handle: Handle) -> list[tuple[str, str]]:
    """Return the columns' names and Arrow formats; raises ValueError with what the driver says."""
    schema = _schema(_Stream.from_address(handle.address), handle.address)
    try:
        children = [schema.children[place].contents for place in range(schema.n_children)]
        return [((one.name or b"").decode("utf-8", "replace"), (one.format or b"").decode()) for one in children]
    finally:
        _release(schema)


def batches(handle: Handle) -> Iterator[pl.DataFrame]:
    """Yield the stream's batches as frames; raises ValueError with what the driver says."""
    stream = _Stream.from_address(handle.address)
    while True:
        array = _Array()
        if stream.get_next(handle.address, ctypes.addressof(array)):
            raise ValueError(_said(stream, handle.address))
        if not array.release:
            return
        schema = _schema(stream, handle.address)
        try:
            yield pl.DataFrame(_Batch(schema, array))
        finally:
            _release(schema)
            _release(array)


def _schema(stream: _Stream, address: int) -> _Schema:
    schema = _Schema()
    if stream.get_schema(address, ctypes.addressof(schema)):
        raise ValueError(_said(stream, address))
    return schema


def _said(stream: _Stream, address: int) -> str:
    told = stream.get_last_error(address)
    return told.decode("utf-8", "replace") if told else "the driver does not say why"


def _release(owned: _Schema | _Array) -> None:
    """Give back what was not moved."""
    if owned.release:
        owned.release(ctypes.addressof(owned))
