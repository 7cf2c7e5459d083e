"""The one transform: fitted on training rows, written as JSON, applied by the same code in training and in serving.

    fitted = Transform([number("distance"), category("carrier")]).fit(train)
    matrix = fitted.apply(columns)      # float32, rows x features

Applying has no state and reads each row by itself, so a row gets the same features alone or among 300,000.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ground.core.errors import InvalidInput
from ..ground.core.hashing import canonical_json, hash_bytes
from .columns import from_frame
from .ops import FITTED, FittedOp, Op
from .ops.form import input_from_json, input_json
from .records import Columns, Datatype, InputColumn, Matrix

if TYPE_CHECKING:
    import polars as pl

FORM = 1
"""Of the JSON; a reader refuses what is newer."""


@dataclass(frozen=True, slots=True)
class Transform:
    """The features that are wanted, before anything was learned."""

    ops: tuple[Op, ...]

    def __init__(self, ops: Iterable[Op]) -> None:
        object.__setattr__(self, "ops", tuple(ops))

    def fit(self, columns: Columns | pl.DataFrame) -> FittedTransform:
        """Learn medians and categories. Hand over training rows only: what it sees here, the model knows."""
        read = columns if isinstance(columns, Mapping) else from_frame(columns, _read_by(self.ops, columns.columns))
        return FittedTransform(tuple(op.fit(read) for op in self.ops))


@dataclass(frozen=True, slots=True)
class FittedTransform:
    """Raw columns in, float32 features out. Immutable, safe to share between threads; equal digest, equal features."""

    ops: tuple[FittedOp, ...]
    inputs: tuple[InputColumn, ...] = field(init=False, compare=False)
    """The raw columns it reads, each once, in the order of the ops."""
    names: tuple[str, ...] = field(init=False, compare=False)
    """The features, in the order of the matrix's columns."""
    digest: str = field(init=False, compare=False)
    """Hash of the canonical JSON."""
    _plan: tuple[tuple[FittedOp, str], ...] = field(init=False, repr=False, compare=False)
    _strings: tuple[tuple[str, bool], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.ops:
            raise InvalidInput("A transform needs at least one feature.")
        inputs = _merged(self.ops)
        names = tuple(name for op in self.ops for name in op.names)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidInput(
                f"Two features have the name {', '.join(map(repr, twice))}.", hint="Give lookup(..., name=...)."
            )
        setting = object.__setattr__
        setting(self, "inputs", inputs)
        setting(self, "names", names)
        setting(self, "_plan", tuple((op, op.input.name) for op in self.ops))
        setting(self, "_strings", tuple((one.name, one.datatype is Datatype.BYTES) for one in inputs))
        setting(self, "digest", hash_bytes(self.to_bytes()))

    def apply(self, columns: Columns) -> Matrix:
        """Return the features, rows x names, C-contiguous. Columns it does not read are ignored.

        Raises InvalidInput for a missing column, unequal lengths, strings where numbers belong, and whatever an op
        cannot answer.
        """
        rows = self._check(columns)
        matrix = np.empty((rows, len(self.names)), np.float32)
        at = 0
        with np.errstate(over="ignore"):  # beyond 3.4e38 a float32 is infinite; that is an answer, not an accident
            for op, name in self._plan:
                for vector in op.apply(columns[name]):
                    matrix[:, at] = vector
                    at += 1
        return matrix

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; `from_json` makes an equal transform of it."""
        return {"form": FORM, "ops": [_op_json(op) for op in self.ops]}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> FittedTransform:
        """Read what `to_json` wrote; raises InvalidInput for anything else. Nothing is imported or evaluated."""
        if body.get("form") != FORM:
            raise InvalidInput(
                f"The transform is written in form {body.get('form')!r}; this Modelloop reads form {FORM}."
            )
        try:
            return cls(tuple(_op_from_json(op) for op in body["ops"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(f"The transform's JSON is not of the form it must have: {error!r}") from error

    def to_bytes(self) -> bytes:
        """Return the canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_bytes(cls, data: bytes) -> FittedTransform:
        """Read what `to_bytes` wrote."""
        try:
            body = json.loads(data)
        except ValueError as error:
            raise InvalidInput(f"The transform is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise InvalidInput("The transform's JSON is not an object.")
        return cls.from_json(body)

    def _check(self, columns: Columns) -> int:
        rows = -1
        for name, strings in self._strings:
            column = columns.get(name)
            if column is None:
                raise InvalidInput(
                    f"The column {name!r} is missing.", hint=f"Needed: {', '.join(one.name for one in self.inputs)}."
                )
            if rows < 0:
                rows = len(column)
            if column.shape != (rows,):
                raise InvalidInput(f"The column {name!r} has the shape {column.shape}; the first one has {rows} rows.")
            if (column.dtype.kind == "O") is not strings:
                expected = "strings (object)" if strings else "numbers"
                raise InvalidInput(f"The column {name!r} holds {column.dtype}; expected {expected}.")
        return rows


def _read_by(ops: tuple[Op, ...], available: list[str]) -> list[str]:
    """Return the columns of a frame that the ops read, so that others may be of any type."""
    wanted = {getattr(op, "column", None) for op in ops}
    return [name for name in available if name in wanted]


def _merged(ops: tuple[FittedOp, ...]) -> tuple[InputColumn, ...]:
    merged: dict[str, InputColumn] = {}
    for op in ops:
        seen = merged.setdefault(op.input.name, op.input)
        if seen.datatype is not op.input.datatype:
            raise InvalidInput(f"The column {seen.name!r} is read as {seen.datatype} and as {op.input.datatype}.")
        merged[seen.name] = InputColumn(seen.name, seen.datatype, nullable=seen.nullable and op.input.nullable)
    return tuple(merged.values())


def _op_json(op: FittedOp) -> dict[str, Any]:
    body: dict[str, Any] = {"op": op.kind, "input": input_json(op.input)}
    for one in fields(op):  # type: ignore[arg-type]
        if one.init and one.name != "input":
            body[one.name] = _plain(getattr(op, one.name))
    return body


def _op_from_json(body: Mapping[str, Any]) -> FittedOp:
    rest = {name: value for name, value in body.items() if name not in ("op", "input")}
    fitted = FITTED.get(str(body["op"]))
    if fitted is None:
        raise InvalidInput(f"{body['op']!r} is not an op.", hint=f"There are: {', '.join(FITTED)}.")
    op: FittedOp = fitted(input=input_from_json(body["input"]), **rest)
    return op


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
