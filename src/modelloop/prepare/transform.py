"""The one transform: fitted on training rows, written as JSON, applied by the same code in training and in serving.

    fitted = Transform([number("distance"), category("carrier")]).fit(train)
    matrix = fitted.apply(columns)      # float32, rows x features

Ops are applied in order; each reads raw columns, or what an earlier op made under its name. Numbers become features,
unless the op stands in `aside(...)`; strings are for later ops. Applying has no state and reads each row by itself, so
a row gets the same features alone or among 300,000.

Ops that make tensors (`tokens`, `picture`) feed inputs of a graph by name, beside the matrix or alone: `feeds`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from inspect import signature
from typing import TYPE_CHECKING, Any

from ..ground.core.errors import InvalidInput
from ..ground.core.hashing import canonical_json, hash_bytes
from ..ground.core.later import numpy as np
from .columns import columns_of
from .ops import FITTED, OLDER, Aside, FittedOp, Op
from .ops.form import Raw, check_columns, input_from_json, input_json
from .records import FEATURES, Columns, Datatype, InputColumn, Matrix

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

FORM = 2
"""Of the JSON; a reader refuses what is newer. Form 1 had no versions of ops and one input each."""
MOMENTS = ("date_part", "elapsed")
"""Ops that read their columns as dates or times."""
UNIQUE = (*MOMENTS, "tokens", "picture")
"""Ops that read what is hardly ever the same twice."""


_Turn = tuple[Callable[..., list[Raw]], str, tuple[str, ...], bool, tuple[tuple[int, str], ...]]
"""One op in its place: what it reads, whether it makes features, and what of it is read later, by place and name.
Plain tuples: they are walked for every request."""


@dataclass(frozen=True, slots=True)
class Transform:
    """The features that are wanted, before anything was learned."""

    ops: tuple[Op | Aside, ...]

    def __init__(self, ops: Iterable[Op | Aside]) -> None:
        object.__setattr__(self, "ops", tuple(ops))

    def fit(self, columns: Columns | pl.DataFrame | pl.LazyFrame) -> FittedTransform:
        """Learn medians, categories, edges. Hand over training rows only: what it sees here, the model knows.

        Of a lazy frame only the columns that the ops read are collected.
        """
        return self._learn(columns, everything=False)[0]

    def fit_apply(self, columns: Columns | pl.DataFrame | pl.LazyFrame) -> tuple[FittedTransform, Matrix]:
        """Fit, and return the training rows' features with it: the matrix to train on.

        It equals `fit(columns).apply(columns)` but for `target`: there a training row gets what was learned from
        other folds, so that no row's feature knows its own label.
        """
        fitted, made = self._learn(columns, everything=True)
        vectors = [vector for at, vectors in enumerate(made) if fitted.is_feature(at) for vector in vectors]
        with np.errstate(over="ignore", invalid="ignore"):
            return fitted, np.stack([vector.astype(np.float32) for vector in vectors], axis=1)

    def _learn(self, given: Any, *, everything: bool) -> tuple[FittedTransform, list[list[Raw]]]:
        ops = [one.op if isinstance(one, Aside) else one for one in self.ops]
        reads: dict[str, bool] = {}
        for op in ops:
            reads |= {name: op.takes_times and reads.get(name, True) for name in op.reads}
        raw_bytes = {name for op in ops if op.takes_bytes for name in op.reads}
        columns = dict(columns_of(given, reads, raw_bytes))
        raw, fitted, made = set(columns), [], []
        for at, op in enumerate(ops):
            learned = op.learn(columns)
            fitted.append(learned)
            if learned.tensors:
                if everything:
                    raise InvalidInput(
                        f"{learned.kind} makes tensors, which are no columns of a matrix.",
                        hint="Take fit(...) and feeds(...).",
                    )
                continue
            later = {name for other in ops[at + 1 :] for name in other.reads} & set(_readable(learned))
            if not (later or everything):
                continue
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                made.append(op.training(learned, columns))
            if later & raw:
                raise InvalidInput(
                    f"{sorted(later & raw)[0]!r} is a column of the training rows and is made by {learned.kind} too.",
                    hint="Give the op another name=.",
                )
            names = zip(learned.names, made[-1], strict=True)
            columns |= {name: _for_later(vector) for name, vector in names if name in later}
        return FittedTransform(
            tuple(fitted), tuple(at for at, op in enumerate(self.ops) if isinstance(op, Aside))
        ), made


@dataclass(frozen=True, slots=True)
class FittedTransform:
    """Raw columns in, float32 features out. Immutable, safe to share between threads; equal digest, equal features."""

    ops: tuple[FittedOp, ...]
    aside: tuple[int, ...] = ()
    """Which ops make columns for later ops only."""
    inputs: tuple[InputColumn, ...] = field(init=False, compare=False)
    """The raw columns it reads, each once, in the order of the ops."""
    names: tuple[str, ...] = field(init=False, compare=False)
    """The features, in the order of the matrix's columns."""
    digest: str = field(init=False, compare=False)
    """Hash of the canonical JSON."""
    tensors: tuple[str, ...] = field(init=False, compare=False)
    """The tensors it makes beside the matrix, by name."""
    _plan: tuple[_Turn, ...] = field(init=False, repr=False, compare=False)
    _tensor_plan: tuple[FittedOp, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = tuple(name for at, op in enumerate(self.ops) if self.is_feature(at) for name in op.names)
        tensors = tuple(name for op in self.ops if op.tensors for name in op.names)
        if not names and not tensors:
            raise InvalidInput("A transform needs at least one feature.", hint="number(name) makes one of a number.")
        readable = tuple(name for op in self.ops for name in _readable(op))
        fed = (*tensors, *([FEATURES] if names else []))
        twice = sorted({name for some in (names, readable, fed) for name in some if some.count(name) > 1})
        if twice:
            raise InvalidInput(
                f"Two features have the name {', '.join(map(repr, twice))}.", hint="Give one of them a name=."
            )
        inputs, plan = _planned(self.ops, self.is_feature)
        setting = object.__setattr__
        setting(self, "inputs", inputs)
        setting(self, "names", names)
        setting(self, "tensors", tensors)
        setting(self, "_plan", plan)
        setting(self, "_tensor_plan", tuple(op for op in self.ops if op.tensors))
        setting(self, "digest", hash_bytes(self.to_bytes()))

    @property
    def moments(self) -> tuple[str, ...]:
        """Return the raw columns that are read as dates, times, texts or pictures and as nothing else.

        They are never the same twice: there is no drift to be seen in them, and no profile of them is kept.
        """
        others = {one.name for op in self.ops if op.kind not in UNIQUE for one in op.inputs}
        read = (one.name for op in self.ops if op.kind in UNIQUE for one in op.inputs)
        return tuple(dict.fromkeys(name for name in read if name not in others))

    def is_feature(self, at: int) -> bool:
        """Say whether what the op makes stands in the matrix."""
        op = self.ops[at]
        return at not in self.aside and op.makes is not Datatype.BYTES and not op.tensors

    def apply(self, columns: Columns) -> Matrix:
        """Return the features, rows x names, C-contiguous. Columns it does not read are ignored.

        Raises InvalidInput for a missing column, unequal lengths, strings where numbers belong, and whatever an op
        cannot answer.
        """
        return self._made(columns, dict(columns))

    def feeds(self, columns: Columns) -> dict[str, npt.NDArray[Any]]:
        """Return all that a graph is fed with, by the name of its input: `features` where there are any, and tensors.

        Raises as `apply` does.
        """
        known = dict(columns)
        matrix = self._made(columns, known)
        made = {FEATURES: matrix} if self.names else {}
        for op in self._tensor_plan:
            made |= zip(op.names, op.apply(*(known[one.name] for one in op.inputs)), strict=True)
        return made

    def _made(self, columns: Columns, known: dict[str, Raw]) -> Matrix:
        """Return the features; what later ops and tensors read of it is in `known` afterwards."""
        matrix = np.empty((check_columns(columns, self.inputs), len(self.names)), np.float32)
        at = 0
        # beyond 3.4e38 a float32 is infinite, and inf - inf is missing: answers, not accidents
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for apply, first, others, feature, kept in self._plan:
                made = apply(known[first], *[known[name] for name in others]) if others else apply(known[first])
                for vector in made if feature else ():
                    matrix[:, at] = vector
                    at += 1
                for place, name in kept:
                    known[name] = _for_later(made[place])
        return matrix

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; `from_json` makes an equal transform of it."""
        return {"form": FORM, "ops": [_op_json(op, at in self.aside) for at, op in enumerate(self.ops)]}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> FittedTransform:
        """Read what `to_json` of this or an older Modelloop wrote; raises InvalidInput for anything else.

        Nothing is imported or evaluated.
        """
        if body.get("form") not in (1, FORM):
            raise InvalidInput(
                f"The transform is written in form {body.get('form')!r}; this Modelloop reads forms 1 to {FORM}."
            )
        try:
            ops = tuple(_op_from_json(op) for op in body["ops"])
            return cls(ops, tuple(at for at, op in enumerate(body["ops"]) if op.get("aside", False)))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise InvalidInput(f"The transform's JSON is not of the form it must have: {error!r}") from error

    def to_bytes(self) -> bytes:
        """Return the canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_bytes(cls, data: bytes) -> FittedTransform:
        """Read what `to_bytes` wrote."""
        try:
            body = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"The transform is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise InvalidInput("The transform's JSON is not an object.")
        return cls.from_json(body)


def _planned(
    ops: tuple[FittedOp, ...], is_feature: Callable[[int], bool]
) -> tuple[tuple[InputColumn, ...], tuple[_Turn, ...]]:
    """Return the raw columns and the turns; raises InvalidInput for columns that are read as what they are not."""
    raw: dict[str, InputColumn] = {}
    made: dict[str, Datatype] = {}
    for op in ops:
        for one in op.inputs:
            _meet(one, raw, made)
        made |= dict.fromkeys(_readable(op), op.makes)
    both = sorted(set(raw) & set(made))
    if both:
        raise InvalidInput(f"{both[0]!r} is a raw column and is made by an op too.", hint="Give the op another name=.")
    later = {one.name for op in ops for one in op.inputs} & set(made)
    plan = []
    for at, op in enumerate(ops):
        read_later = later & set(_readable(op))
        kept = tuple((place, name) for place, name in enumerate(op.names) if name in read_later)
        if not op.inputs:
            raise InvalidInput(f"The op {op.kind!r} reads no column.")
        if op.tensors:
            continue
        first, *others = (one.name for one in op.inputs)
        plan.append((op.apply, first, tuple(others), is_feature(at), kept))
    return tuple(raw.values()), tuple(plan)


def _meet(one: InputColumn, raw: dict[str, InputColumn], made: Mapping[str, Datatype]) -> None:
    """Find the column that is read: made by an earlier op, or a raw one with the strictest of its readers' demands."""
    if one.name in made:
        if (made[one.name] is Datatype.BYTES) is not (one.datatype is Datatype.BYTES):
            raise InvalidInput(f"The column {one.name!r} is made as {made[one.name]} and read as {one.datatype}.")
        return
    seen = raw.setdefault(one.name, one)
    if seen.datatype is not one.datatype:
        raise InvalidInput(f"The column {seen.name!r} is read as {seen.datatype} and as {one.datatype}.")
    if seen.raw is not one.raw:
        raise InvalidInput(f"The column {seen.name!r} is read as text and as raw bytes.")
    raw[seen.name] = InputColumn(seen.name, seen.datatype, seen.nullable and one.nullable, seen.raw)


def _readable(op: FittedOp) -> tuple[str, ...]:
    """Return what later ops can read: a feature that has its column's own name leaves that name to the column."""
    own = {one.name for one in op.inputs}
    return () if op.tensors else tuple(name for name in op.names if name not in own)


def _for_later(vector: Raw) -> Raw:
    return vector if vector.dtype.kind == "O" else vector.astype(np.float64)


def _op_json(op: FittedOp, aside: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"op": op.kind, "version": op.version, "inputs": [input_json(one) for one in op.inputs]}
    if aside:
        body["aside"] = True
    for one in fields(op):  # type: ignore[arg-type]
        if one.init and one.name != "inputs":
            body[one.name] = _plain(getattr(op, one.name))
    return body


def _op_from_json(body: Mapping[str, Any]) -> FittedOp:
    kind, version = str(body["op"]), body.get("version", 1)
    fitted = FITTED.get(kind)
    if fitted is None:
        raise InvalidInput(f"{kind!r} is not an op.", hint=f"There are: {', '.join(FITTED)}.")
    rest = {name: value for name, value in body.items() if name not in ("op", "version", "aside")}
    while (kind, version) in OLDER:
        rest, version = OLDER[kind, version](rest), version + 1
    if version != fitted.version:
        raise InvalidInput(
            f"The op {kind!r} is written in version {version!r}; this Modelloop reads up to {fitted.version}.",
            hint="Use the Modelloop that wrote it, or a newer one.",
        )
    inputs = tuple(input_from_json(one) for one in rest.pop("inputs"))
    op: FittedOp = fitted(inputs=inputs, **rest)
    signature(op.apply).bind(*inputs)  # as many columns as it takes
    strings = any(one.datatype is Datatype.BYTES for one in inputs)
    if (op.takes == "numbers" and strings) or (op.takes == "strings" and not strings):
        raise InvalidInput(f"The op {kind!r} reads {op.takes}; its input is something else.")
    return op


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return dict(value) if isinstance(value, Mapping) else value
