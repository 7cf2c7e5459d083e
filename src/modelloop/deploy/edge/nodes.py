"""A graph while it is written: nodes and constants with names of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...ground.core.later import Later
from ...ground.core.later import numpy as np

onnx: Any = Later("onnx", "edge")
helper: Any = Later("onnx.helper", "edge")
FLOAT, INT64, STRING, DOUBLE = 1, 7, 8, 11
"""ONNX's numbers of the types."""
ML = "ai.onnx.ml"


@dataclass(slots=True)
class Nodes:
    """What was written so far. Each method returns the name of what it made."""

    nodes: list[Any] = field(default_factory=list)
    initial: list[Any] = field(default_factory=list)

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], domain=domain, **attributes))
        return name

    def _constant(self, kind: int, shape: Sequence[int], values: list[Any]) -> str:
        name = f"c{len(self.initial)}"
        self.initial.append(helper.make_tensor(name, kind, list(shape), values))
        return name

    def numbers(self, values: Any, kind: int = DOUBLE) -> str:
        """Add a constant of float64 (or float32, int64), of any shape."""
        array = np.asarray(values, {DOUBLE: np.float64, FLOAT: np.float32, INT64: np.int64}[kind])
        return self._constant(kind, array.shape, array.reshape(-1).tolist())

    def texts(self, values: str | Sequence[str]) -> str:
        """Add a constant of strings."""
        one = isinstance(values, str)
        listed = [values] if isinstance(values, str) else list(values)
        return self._constant(STRING, () if one else (len(listed),), [value.encode() for value in listed])

    def cast(self, name: str, kind: int) -> str:
        """Change the type."""
        return self.add("Cast", name, to=kind)

    def where(self, condition: str, this: str, other: str) -> str:
        """Choose element by element."""
        return self.add("Where", condition, this, other)

    def column(self, name: str) -> str:
        """Make [rows, 1] of [rows]."""
        return self.add("Unsqueeze", name, self.numbers([1], INT64))

    def gather(self, table: str, places: str, axis: int = 0) -> str:
        """Look places up in a constant."""
        return self.add("Gather", table, places, axis=axis)

    def beside(self, names: Sequence[str]) -> str:
        """Join matrices of as many rows."""
        return names[0] if len(names) == 1 else self.add("Concat", *names, axis=1)

    def lookup(self, name: str, keys: Sequence[str]) -> str:
        """Return the place of each string among the keys, from 1 (int64); 0 for all others."""
        known = list(keys) or ["\u0001none\u0001"]
        places = list(range(1, len(keys) + 1)) or [0]
        attributes: dict[str, Any] = {"keys_strings": known, "values_int64s": places, "default_int64": 0}
        return self.add("LabelEncoder", name, domain=ML, **attributes)
