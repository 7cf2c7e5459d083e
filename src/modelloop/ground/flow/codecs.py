"""Values to bytes and back, without pickle: nothing that is read can run code.

A value becomes a JSON tree. Plain values stand for themselves; all others are objects with a tag under "$"; what is
large (frames, arrays, long bytes) goes to a blob of its own and the tree holds its hash. The SHA-256 of the tree's
bytes is the value's digest, so equal values have equal digests and a frame within ten results is kept once.
"""

from __future__ import annotations

import base64
import enum
import importlib
import json
import sys
import weakref
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from ..core.errors import StepFailed, ValueNotStorable
from ..core.hashing import canonical_json, hash_bytes
from .values import Get, Node, Put, decode_foreign, encode_foreign, is_frame, snapshot, unchanged

_PLAIN = (type(None), bool, int, str)
_INLINE = 256
_DEEPEST = 64
_STORABLE = (
    "None, bool, int, float, str, bytes, dates and times, list, tuple, dict, set, enums, dataclasses, numpy arrays, "
    "Polars frames and series, and objects with to_bytes() and a classmethod from_bytes()"
)


class Remembered:
    """Nodes of frames that came out of datasets and steps, by identity, so that a big frame is hashed once.

    Holds no frame longer than its owner does. A frame that was written to in place is noticed and hashed again.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Any, Node, bool]] = {}

    def add(self, value: Any, node: Node, *, stored: bool) -> None:
        """Remember that `node` stands for `value`; `stored`: its blob exists, so the node can be part of a result."""
        if not is_frame(value):
            return
        place = id(value)
        held = weakref.ref(value, lambda _: self._known.pop(place, None))
        self._known[place] = held, snapshot(value), node, stored

    def find(self, value: Any, *, stored: bool) -> Node | None:
        """Return the node of `value`, or None. With `stored`, only one whose blob exists."""
        held, taken, node, is_stored = self._known.get(id(value), (None, None, None, False))
        if held is None or held() is not value or (stored and not is_stored):
            return None
        return node if unchanged(value, taken) else None


@dataclass(slots=True)
class Encoder:
    """Turns values into nodes. With `put=hash_bytes` nothing is stored: that is how arguments are hashed."""

    put: Put
    remembered: Remembered
    stores: bool
    types: set[type]
    """Classes met on the way: their code is part of what a result depends on."""

    def encode(self, value: Any, where: str = "", depth: int = 0) -> Node:
        """Return the node of `value`; raises ValueNotStorable, naming the place within the value."""
        if type(value) in _PLAIN:
            return value
        if depth > _DEEPEST:
            raise _not_storable(value, where, "is nested too deeply, or contains itself")
        for attempt in (self._scalar, self._container, self._frame, self._object):
            node = attempt(value, where, depth)
            if node is not None:
                return node
        raise _not_storable(value, where, "has no safe format")

    def _scalar(self, value: Any, _where: str, _depth: int) -> Node | None:
        if type(value) is float:
            return value if value - value == 0 else {"$": "float", "v": repr(value)}
        if type(value) is bytes or type(value) is bytearray:
            tag = type(value).__name__
            if len(value) <= _INLINE:
                return {"$": tag, "v": base64.b64encode(value).decode()}
            return {"$": tag, "blob": self.put(bytes(value))}
        return _encode_time(value)

    def _container(self, value: Any, where: str, depth: int) -> Node | None:
        kind = type(value)
        if kind is list:
            return [self.encode(item, f"{where}[{place}]", depth + 1) for place, item in enumerate(value)]
        if kind is tuple:
            return {"$": "tuple", "v": [self.encode(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]}
        if kind is dict:
            pairs = [
                [self.encode(key, f"{where} key", depth + 1), self.encode(item, f"{where}[{key!r}]", depth + 1)]
                for key, item in value.items()
            ]
            return {"$": "dict", "v": pairs}
        if kind is set or kind is frozenset:
            nodes = [self.encode(item, f"{where} member", depth + 1) for item in value]
            return {"$": kind.__name__, "v": sorted(nodes, key=canonical_json)}
        return None

    def _frame(self, value: Any, where: str, depth: int) -> Node | None:
        known = self.remembered.find(value, stored=self.stores)
        if known is not None:
            return known
        try:
            return encode_foreign(value, self.put, lambda item, place: self.encode(item, where + place, depth + 1))
        except ValueError as error:
            raise _not_storable(value, where, f"has no safe format: {error}") from error

    def _object(self, value: Any, where: str, depth: int) -> Node | None:
        kind = type(value)
        if "<locals>" in kind.__qualname__:
            return None
        name = f"{kind.__module__}:{kind.__qualname__}"
        if isinstance(value, enum.Enum):
            self.types.add(kind)
            return {"$": "enum", "type": name, "v": value.name}
        if callable(getattr(kind, "to_bytes", None)) and callable(getattr(kind, "from_bytes", None)):
            if isinstance(value, int):
                return None
            self.types.add(kind)
            return {"$": "object", "type": name, "blob": self.put(value.to_bytes())}
        if is_dataclass(value):
            self.types.add(kind)
            parts = {f.name: self.encode(getattr(value, f.name), f"{where}.{f.name}", depth + 1) for f in fields(value)}
            return {"$": "dataclass", "type": name, "v": parts}
        return None


class Decoder:
    """Turns nodes back into values. Classes are looked up, never executed: only enums, dataclasses and `from_bytes`."""

    def __init__(self, get: Get, remembered: Remembered, importable: frozenset[str] = frozenset()) -> None:
        self.get = get
        self.remembered = remembered
        self.importable = importable | {"modelloop"}

    def decode(self, node: Node) -> Any:
        """Return the value of `node`. Raises BlobMissing, or StepFailed where a class is gone or has changed."""
        if isinstance(node, list):
            return [self.decode(item) for item in node]
        if not isinstance(node, dict):
            return node
        kind = node["$"]
        if kind in _SIMPLE:
            return _SIMPLE[kind](node["v"])
        if kind in ("bytes", "bytearray"):
            data = self.get(node["blob"]) if "blob" in node else base64.b64decode(node["v"])
            return bytearray(data) if kind == "bytearray" else data
        if kind in _CONTAINERS:
            return _CONTAINERS[kind](self.decode(item) for item in node["v"])
        if kind == "dict":
            return {self.decode(key): self.decode(item) for key, item in node["v"]}
        if kind in ("enum", "object", "dataclass"):
            return self._object(node)
        value = decode_foreign(node, self.get, self.decode)
        self.remembered.add(value, node, stored=True)
        return value

    def _object(self, node: dict[str, Any]) -> Any:
        found = self._class(node["type"])
        if node["$"] == "enum" and issubclass(found, enum.Enum):
            return found[node["v"]]
        if node["$"] == "object" and hasattr(found, "from_bytes"):
            return found.from_bytes(self.get(node["blob"]))
        if is_dataclass(found) and {f.name for f in fields(found)} == set(node["v"]):
            made: Any = object.__new__(cast(type, found))
            for name, item in node["v"].items():
                object.__setattr__(made, name, self.decode(item))
            return made
        raise StepFailed(f"A stored {node['type']} does not fit the class of that name any more.")

    def _class(self, name: str) -> Any:
        module, _, qualname = name.partition(":")
        if module not in sys.modules and module.partition(".")[0] in self.importable:
            importlib.import_module(module)
        found: Any = sys.modules.get(module)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if not isinstance(found, type):
            raise StepFailed(
                f"A stored value is a {name}, and that class is not to be found here.",
                hint=f"Import {module} first, or return values of plain types.",
            )
        return found


def to_text(node: Node) -> bytes:
    """Return the bytes of a node: their SHA-256 is the value's digest."""
    try:
        return canonical_json(node)
    except UnicodeEncodeError as error:
        raise ValueNotStorable(f"A string is not valid Unicode: {error}.", hint="Return bytes instead.") from error


def digest_of(node: Node) -> str:
    """Return the digest of the value that `node` stands for."""
    return hash_bytes(to_text(node))


def from_text(data: bytes | str) -> Node:
    """Read back what `to_text` wrote."""
    return json.loads(data)


def _encode_time(value: Any) -> Node | None:
    kind = type(value)
    if kind is datetime:
        node = {"$": "datetime", "v": [value.isoformat(), value.fold]}
        if isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key:
            node["v"] = [value.replace(tzinfo=None).isoformat(), value.fold, value.tzinfo.key]
        return node
    if kind is date or kind is time:
        return {"$": kind.__name__, "v": value.isoformat()}
    if kind is timedelta:
        return {"$": "timedelta", "v": [value.days, value.seconds, value.microseconds]}
    return None


def _decode_datetime(parts: list[Any]) -> datetime:
    moment = datetime.fromisoformat(parts[0]).replace(fold=parts[1])
    return moment.replace(tzinfo=ZoneInfo(parts[2])) if len(parts) > 2 else moment


_SIMPLE: dict[str, Any] = {
    "float": float,
    "datetime": _decode_datetime,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
}
_CONTAINERS: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}


def _not_storable(value: Any, where: str, why: str) -> ValueNotStorable:
    kind = type(value)
    found = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return ValueNotStorable(
        f"{'The value' if not where else f'The part {where}'} is a {found}, which {why}.",
        hint=f"Storable are {_STORABLE}. A model library's own object: return its text or ONNX bytes instead.",
        detail={"type": found, "where": where},
    )
