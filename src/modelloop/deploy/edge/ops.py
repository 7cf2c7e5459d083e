"""The ops of a fitted transform as ONNX nodes: float64 inside, float32 where numpy makes float32."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ...ground.core.errors import Conflict
from ...ground.core.later import numpy as np
from ...prepare.ops.form import FittedOp
from ...prepare.records import Datatype
from .moments import length_of, part_of
from .nodes import DOUBLE, FLOAT, INT64, STRING, Nodes, onnx
from .records import MISSING


@dataclass(frozen=True, slots=True)
class Made:
    """What an op made: vectors [rows], or one matrix [rows, columns]."""

    kind: int
    vectors: tuple[str, ...] = ()
    matrix: str = ""

    def features(self, nodes: Nodes) -> str:
        """Return the matrix in float32."""
        matrix = self.matrix or nodes.beside([nodes.column(name) for name in self.vectors])
        return matrix if self.kind == FLOAT else nodes.cast(matrix, FLOAT)

    def later(self, nodes: Nodes, place: int) -> str:
        """Return one column as later ops read it: float64, or strings."""
        vector = self.vectors[place] if self.vectors else nodes.gather(self.matrix, nodes.numbers(place, INT64), axis=1)
        return nodes.cast(vector, DOUBLE) if self.kind == FLOAT else vector


@dataclass(slots=True)
class Place:
    """Where ops are written: the nodes, and what was found that the graph cannot say."""

    nodes: Nodes
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Column -> the only values that are answered (`lookup` with `missing="error"`)."""
    graphs: list[tuple[str, bytes, str]] = field(default_factory=list)
    """Graphs to be joined: prefix, bytes, and the name of what they read; they make PREFIX + `out`."""
    raw: frozenset[str] = frozenset()
    """The raw columns."""


def written(place: Place, op: FittedOp, inputs: list[str]) -> Made:
    """Write one op; raises Conflict for one that has no form in ONNX."""
    write = _WRITERS.get(op.kind)
    if write is None:
        raise Conflict(
            f"The op {op.kind} ({', '.join(op.names)[:80]}) has no form in an edge bundle.",
            hint="Train a version that is given its result as a column, and compute it on the device.",
        )
    return write(place, op, inputs)


def _bounded(nodes: Nodes, name: str, low: float | None, high: float | None) -> str:
    for bound, op in ((low, "Less"), (high, "Greater")):
        if bound is not None:  # a comparison with NaN is false: what is missing stays missing
            limit = nodes.numbers(bound)
            name = nodes.where(nodes.add(op, name, limit), limit, name)
    return name


def _number(place: Place, op: Any, inputs: list[str]) -> Made:
    nodes, name = place.nodes, inputs[0]
    if op.fill is not None:
        name = nodes.where(nodes.add("IsNaN", name), nodes.numbers(op.fill), name)
    low, high = op.clip or (None, None)
    return Made(FLOAT, (nodes.cast(_bounded(nodes, name, low, high), FLOAT),))


def _log1p(place: Place, op: Any, inputs: list[str]) -> Made:
    """log(u) * x / (u - 1), u = 1 + x: exact for the smallest x too (Goldberg, 1991, theorem 4)."""
    nodes, name = place.nodes, inputs[0]
    x = _bounded(nodes, name, 0.0, None)
    one = nodes.numbers(1.0)
    u = nodes.add("Add", x, one)
    ratio = nodes.add("Div", x, nodes.add("Sub", u, one))
    alone = nodes.add("Or", nodes.add("Equal", u, one), nodes.add("Greater", x, nodes.numbers(1e17)))
    log = nodes.add("Mul", nodes.add("Log", u), nodes.where(alone, one, ratio))
    found = nodes.where(nodes.add("Equal", u, one), x, log)
    filled = nodes.where(nodes.add("IsNaN", name), nodes.numbers(op.fill), found)
    return Made(FLOAT, (nodes.cast(filled, FLOAT),))


def _cyclic(place: Place, op: Any, inputs: list[str]) -> Made:
    nodes, zero = place.nodes, place.nodes.numbers(0.0)
    there = nodes.add("Less", nodes.add("Abs", inputs[0]), nodes.numbers(math.inf))
    rest = nodes.add("Mod", nodes.where(there, inputs[0], zero), nodes.numbers(op.period), fmod=1)
    rest = nodes.where(nodes.add("Less", rest, zero), nodes.add("Add", rest, nodes.numbers(op.period)), rest)
    angle = nodes.add("Mul", rest, nodes.numbers(2.0 * math.pi / op.period))
    both = (nodes.where(there, nodes.add(way, angle), zero) for way in ("Sin", "Cos"))
    return Made(FLOAT, tuple(nodes.cast(one, FLOAT) for one in both))


def missing(nodes: Nodes, name: str, *, strings: bool) -> str:
    """Return where a value is missing (bool)."""
    if not strings:
        return nodes.add("IsNaN", name)
    return nodes.cast(nodes.lookup(name, [MISSING]), 9)


def _flag(place: Place, op: Any, inputs: list[str]) -> Made:
    nodes = place.nodes
    strings = op.inputs[0].datatype is Datatype.BYTES
    return Made(FLOAT, (nodes.cast(missing(nodes, inputs[0], strings=strings), FLOAT),))


def _places(nodes: Nodes, op: FittedOp, name: str, values: tuple[Any, ...]) -> str:
    """Return the place of each value among the known ones, from 1; 0 for all others and for what is missing."""
    if op.inputs[0].datatype is Datatype.BYTES:
        _reserved(op, values)
        return nodes.lookup(name, values)
    same = nodes.add("Equal", nodes.column(name), nodes.numbers([values]))
    codes = nodes.numbers(np.arange(1, len(values) + 1))
    return nodes.cast(nodes.add("MatMul", nodes.cast(same, DOUBLE), codes), INT64)


def _reserved(op: FittedOp, values: Any) -> None:
    for value in values:
        if "\0" in value or value == MISSING:
            raise Conflict(
                f"{op.kind} knows the text {value[:40]!r}, which onnxruntime cannot be asked with.",
                hint="Clean the column, and train again.",
            )


def _table(place: Place, op: FittedOp, name: str, *, values: Any, found: Any, other: float, kind: int = DOUBLE) -> Made:
    nodes = place.nodes
    table = nodes.numbers([other, *found], kind)
    return Made(kind, (nodes.gather(table, _places(nodes, op, name, values)),))


def _category(place: Place, op: Any, inputs: list[str]) -> Made:
    codes = range(len(op.values))
    return _table(place, op, inputs[0], values=op.values, found=codes, other=-1.0, kind=FLOAT)


def _one_hot(place: Place, op: Any, inputs: list[str]) -> Made:
    nodes, count = place.nodes, len(op.values)
    rows = nodes.numbers(np.vstack([np.zeros((1, count)), np.eye(count)]), FLOAT)
    return Made(FLOAT, matrix=nodes.gather(rows, _places(nodes, op, inputs[0], op.values)))


def _lookup(place: Place, op: Any, inputs: list[str]) -> Made:
    keys, column = tuple(op.table), op.inputs[0].name
    if op.missing == "error":
        if column not in place.raw:
            raise Conflict(
                f"{op.name} refuses values that its table lacks, and {column!r} is made by an op.",
                hint="Give lookup(..., missing=NUMBER): a graph cannot refuse.",
            )
        known = place.only.get(column, keys)
        place.only[column] = tuple(key for key in known if key in op.table)
    other = math.nan if op.missing in ("error", None) else op.missing
    return _table(place, op, inputs[0], values=keys, found=op.table.values(), other=other, kind=FLOAT)


def _impute(place: Place, op: Any, inputs: list[str]) -> Made:
    nodes, name = place.nodes, inputs[0]
    strings = op.inputs[0].datatype is Datatype.BYTES
    if strings:
        _reserved(op, [op.value, *op.groups.values()])
    _reserved(op, op.groups)
    if len(inputs) == 1:
        fill = nodes.texts(op.value) if strings else nodes.numbers(op.value)
    else:
        filled = [op.value, *op.groups.values()]
        table = nodes.texts(filled) if strings else nodes.numbers(filled)
        fill = nodes.gather(table, nodes.lookup(inputs[1], tuple(op.groups)))
    found = nodes.where(missing(nodes, name, strings=strings), fill, name)
    return Made(STRING if strings else DOUBLE, (found,))


def _clip(place: Place, op: Any, inputs: list[str]) -> Made:
    return Made(DOUBLE, (_bounded(place.nodes, inputs[0], op.low, op.high),))


def _scale(place: Place, op: Any, inputs: list[str]) -> Made:
    nodes = place.nodes
    moved = nodes.add("Sub", inputs[0], nodes.numbers(op.center))
    return Made(DOUBLE, (nodes.add("Div", moved, nodes.numbers(op.width)),))


def _bins(place: Place, op: Any, inputs: list[str]) -> Made:
    nodes = place.nodes
    above = nodes.add("GreaterOrEqual", nodes.column(inputs[0]), nodes.numbers([op.edges]))
    count = nodes.add("MatMul", nodes.cast(above, DOUBLE), nodes.numbers(np.ones(len(op.edges))))
    return Made(DOUBLE, (nodes.where(nodes.add("IsNaN", inputs[0]), nodes.numbers(-1.0), count),))


def _ordinal(place: Place, op: Any, inputs: list[str]) -> Made:
    return _table(place, op, inputs[0], values=op.values, found=range(len(op.values)), other=-1.0)


def _frequency(place: Place, op: Any, inputs: list[str]) -> Made:
    return _table(place, op, inputs[0], values=op.values, found=op.shares, other=0.0)


def _target(place: Place, op: Any, inputs: list[str]) -> Made:
    return _table(place, op, inputs[0], values=op.values, found=op.means, other=op.prior)


def _arithmetic(place: Place, op: Any, inputs: list[str]) -> Made:
    nodes = place.nodes
    found = nodes.add({"difference": "Sub", "product": "Mul", "ratio": "Div"}[op.how], *inputs)
    if op.how == "ratio":
        none = nodes.add("Equal", inputs[1], nodes.numbers(0.0))
        found = nodes.where(none, nodes.numbers(math.nan), found)
    return Made(DOUBLE, (found,))


def _date_part(place: Place, op: Any, inputs: list[str]) -> Made:
    return Made(DOUBLE, (part_of(place.nodes, op.part, inputs[0]),))


def _elapsed(place: Place, op: Any, inputs: list[str]) -> Made:
    since = inputs[1] if len(inputs) == 2 else None
    return Made(DOUBLE, (length_of(place.nodes, op.unit, inputs[0], since, op.moment),))


def _hashed(_place: Place, _op: Any, inputs: list[str]) -> Made:
    return Made(DOUBLE, (inputs[0],))


def _sklearn(place: Place, op: Any, inputs: list[str]) -> Made:
    nodes, data = place.nodes, base64.b64decode(op.onnx)
    feed = onnx.load_from_string(data).graph.input[0]
    kind = feed.type.tensor_type.elem_type
    if kind == STRING:
        empty = nodes.texts("")
        inputs = [nodes.where(missing(nodes, name, strings=True), empty, name) for name in inputs]
    matrix = nodes.beside([nodes.column(name) for name in inputs])
    prefix = f"op{len(place.graphs)}."
    place.graphs.append((prefix, data, matrix if kind in (STRING, DOUBLE) else nodes.cast(matrix, kind)))
    return Made(DOUBLE, matrix=nodes.cast(f"{prefix}out", DOUBLE))


_WRITERS: Mapping[str, Callable[[Place, Any, list[str]], Made]] = MappingProxyType(
    {
        "number": _number,
        "log1p": _log1p,
        "cyclic": _cyclic,
        "flag_missing": _flag,
        "category": _category,
        "one_hot": _one_hot,
        "lookup": _lookup,
        "impute": _impute,
        "clip": _clip,
        "scale": _scale,
        "bins": _bins,
        "ordinal": _ordinal,
        "frequency": _frequency,
        "target": _target,
        "arithmetic": _arithmetic,
        "date_part": _date_part,
        "elapsed": _elapsed,
        "hashed": _hashed,
        "sklearn": _sklearn,
    }
)
