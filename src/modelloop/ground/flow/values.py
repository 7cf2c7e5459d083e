"""Foreign values: numpy arrays and scalars, Polars frames. The only file of the flow that touches either library.

They are looked up in `sys.modules` when encoding (a value of a library that nobody imported cannot exist) and
imported when a stored tag asks for them.
"""

from __future__ import annotations

import importlib
import io
import random
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

Node: TypeAlias = Any
"""A JSON value that stands for a Python value: see `codecs`."""
Put: TypeAlias = Callable[[bytes], str]
Get: TypeAlias = Callable[[str], bytes]

FRAMES = frozenset({"frame", "lazyframe", "series"})


def encode_foreign(value: Any, put: Put, inner: Callable[[Any, str], Node]) -> Node | None:
    """Return the node of a numpy or Polars value, None for any other; raises ValueError where it has no safe form."""
    if (numpy := sys.modules.get("numpy")) is not None:
        if isinstance(value, numpy.generic):
            return {"$": "scalar", "v": _array_bytes(value.reshape(1)).hex()}
        if isinstance(value, numpy.ndarray):
            return _encode_array(value, put, inner)
    if (polars := sys.modules.get("polars")) is not None:
        if isinstance(value, polars.DataFrame):
            return {"$": "frame", "blob": put(_frame_bytes(value))}
        if isinstance(value, polars.LazyFrame):
            return {"$": "lazyframe", "blob": put(_frame_bytes(value.collect()))}
        if isinstance(value, polars.Series):
            return {"$": "series", "name": value.name, "blob": put(_frame_bytes(value.alias("v").to_frame()))}
    return None


def decode_foreign(node: dict[str, Any], get: Get, inner: Callable[[Node], Any]) -> Any:
    """Return the value of a node that `encode_foreign` made."""
    kind = node["$"]
    if kind in FRAMES:
        frame = _library("polars").read_ipc(io.BytesIO(get(node["blob"])))
        if kind == "frame":
            return frame
        return frame.lazy() if kind == "lazyframe" else frame.to_series().alias(node["name"])
    if kind == "scalar":
        return _read_array(bytes.fromhex(node["v"]))[0]
    if kind == "array":
        return _read_array(get(node["blob"]))
    objects = _library("numpy").empty(len(node["v"]), dtype=object)
    for place, item in enumerate(node["v"]):
        objects[place] = inner(item)
    return objects.reshape(node["shape"])


def seed_libraries(seed: int) -> Callable[[], None]:
    """Seed `random`, and numpy's global generator if it is there; return what puts both back as they were."""
    numpy = sys.modules.get("numpy")
    before = random.getstate(), numpy.random.get_state() if numpy else None
    random.seed(seed)
    if numpy:
        numpy.random.seed(seed & 0xFFFF_FFFF)

    def restore() -> None:
        random.setstate(before[0])
        if numpy and before[1] is not None:
            numpy.random.set_state(before[1])

    return restore


def is_frame(value: Any) -> bool:
    """Say whether `value` is a Polars frame or series."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(value, polars.DataFrame | polars.LazyFrame | polars.Series)


def snapshot(value: Any) -> Any:
    """Return what `unchanged` compares with: a shallow copy that shares the buffers; a lazy frame never changes."""
    return value.clone()


def unchanged(value: Any, taken: Any) -> bool:
    """Say whether a frame still is what its snapshot says: frames can be written to in place."""
    if hasattr(value, "collect"):
        return True
    if hasattr(value, "schema"):
        return bool(value.schema == taken.schema and value.equals(taken))
    same = value.name == taken.name and value.dtype == taken.dtype
    return bool(same and value.equals(taken))


def _library(name: str) -> Any:
    return sys.modules.get(name) or importlib.import_module(name)


def _encode_array(value: Any, put: Put, inner: Callable[[Any, str], Node]) -> Node:
    if value.dtype == object:
        items = [inner(item, f"[{place}]") for place, item in enumerate(value.ravel().tolist())]
        return {"$": "objects", "shape": list(value.shape), "v": items}
    return {"$": "array", "blob": put(_array_bytes(value))}


def _array_bytes(value: Any) -> bytes:
    buffer = io.BytesIO()
    _library("numpy").lib.format.write_array(buffer, value, allow_pickle=False)
    return buffer.getvalue()


def _read_array(data: bytes) -> Any:
    return _library("numpy").lib.format.read_array(io.BytesIO(data), allow_pickle=False)


def _frame_bytes(frame: Any) -> bytes:
    pl = _library("polars")
    buffer = io.BytesIO()
    # One chunk and the plain string layout: equal frames give equal bytes, however they were put together.
    try:
        frame.rechunk().write_ipc(buffer, compression="lz4", compat_level=pl.CompatLevel.oldest())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise ValueError(f"a Polars frame with schema {dict(frame.schema)}: {error}") from error
    return buffer.getvalue()
