"""Pure: from plain values, row by row or column by column, to a request. The one way for people's JSON, MLflow and CSV.

Nothing is guessed: a number in quotes stays a string, and is refused with what was expected. What is left out of a
row is null where the column may be null; a column that an online table can fill may be left out altogether.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ....ground.core.errors import RequestInvalid
from ....prepare.records import Columns, Datatype, InputColumn
from ....register.records import TensorSpec
from ..asked import Asked, Tensor
from ..given import event_time_of, id_of, kind_of, short
from ..runtime import LoadedRoute
from .looking import meant


@dataclass(frozen=True, slots=True)
class Options:
    """What a request says beside its rows."""

    id: str | None = None
    event_time: datetime | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What an endpoint is asked with; `filled` are the columns that online tables know."""

    columns: Mapping[str, InputColumn]
    tensors: Mapping[str, TensorSpec]
    filled: frozenset[str]
    extra: frozenset[str]
    """Columns that are only for routing."""
    max_rows: int
    sample: Columns | None = None
    """Rows that examples are taken from."""

    @property
    def names(self) -> list[str]:
        """Return the names of all inputs."""
        return [*self.columns, *self.tensors]

    def described(self) -> str:
        """Return the inputs as a sentence part."""
        columns = (f"{c.name} ({word_for(c)}{' or null' if c.nullable else ''})" for c in self.columns.values())
        tensors = (f"{t.name} ({t.datatype} {list(t.shape[1:]) or 'value'} a row)" for t in self.tensors.values())
        return ", ".join([*columns, *tensors])


def expected_of(route: LoadedRoute) -> Expected:
    """Return what the endpoint is asked with, whichever version answers."""
    used = {column.name for arm in route.arms for column in arm.signature.inputs}
    filled = frozenset(name for lookup in route.route.features for name in lookup.values)
    form, sample = route.form, route.champion.background
    extra = frozenset(form.columns.keys() - used)
    return Expected(form.columns, form.tensors, filled, extra, form.max_rows, sample)


def from_rows(expected: Expected, rows: Sequence[Any], options: Options) -> Asked:
    """Return the request that these rows are; with a single input a row may be its bare value."""
    names = expected.names
    _counted(expected, len(rows))
    found: dict[str, list[Any]] = {}
    for position, row in enumerate(rows):
        if not isinstance(row, dict) and len(names) != 1:
            raise RequestInvalid(
                f"Row {position} is {kind_of(row)}, not an object.", hint=f"Expected {expected.described()}."
            )
        for name, value in row.items() if isinstance(row, dict) else ((names[0], row),):
            if name not in found:
                _known(expected, name)
                found[name] = [None] * len(rows)
            found[name][position] = value
    return from_columns(expected, found, options, rows=len(rows))


def from_columns(
    expected: Expected, columns: Mapping[str, Sequence[Any]], options: Options, *, rows: int | None = None
) -> Asked:
    """Return the request that these columns are."""
    for name, values in columns.items():
        _known(expected, name)
        if not isinstance(values, list):
            raise RequestInvalid(
                f"The column {name!r} is {kind_of(values)}, not a list.", hint="Expected one value a row."
            )
        rows = len(values) if rows is None else rows
        if len(values) != rows:
            raise RequestInvalid(
                f"The column {name!r} has {len(values)} rows, the columns before it have {rows}.",
                hint="All columns describe the same rows.",
            )
    count = _counted(expected, rows)
    tensors = {name: _tensor(expected, name, values) for name, values in columns.items()}
    for column in expected.columns.values():
        if column.name not in tensors and column.nullable and column.name not in expected.filled | expected.extra:
            tensors[column.name] = Tensor(column.name, str(column.datatype), (count,), [None] * count)
    needed = {name for name in expected.names if name not in expected.filled | expected.extra}
    if needed - tensors.keys():
        absent = [name for name in expected.names if name in needed and name not in tensors]
        raise RequestInvalid(f"Missing: {', '.join(absent)}.", hint=f"Expected {expected.described()}.")
    return Asked(options.id, options.event_time, count, tensors, explain=options.explain)


def options_of(body: Mapping[str, Any]) -> Options:
    """Read `id`, `event_time` and `explain`."""
    explain = body.get("explain", False)
    if not isinstance(explain, bool):
        raise RequestInvalid(f"`explain` is {short(explain)}.", hint="Expected true or false.")
    return Options(id_of(body.get("id")), event_time_of(body.get("event_time"), "`event_time`"), explain)


def word_for(column: InputColumn) -> str:
    """Return how people call a column's type."""
    if column.raw:
        return "base64"
    words = {Datatype.BYTES: "text", Datatype.BOOL: "true or false", Datatype.INT64: "whole number"}
    return words.get(column.datatype, "number")


def _known(expected: Expected, name: Any) -> None:
    if name in expected.columns or name in expected.tensors:
        return
    hint = " ".join(filter(None, (meant(str(name), expected.names), f"Expected {expected.described()}.")))
    raise RequestInvalid(f"There is no input {short(name)}.", hint=hint)


def _counted(expected: Expected, rows: int | None) -> int:
    if not rows:
        raise RequestInvalid("There are no rows.", hint=f"Expected {expected.described()}, one value a row.")
    if rows > expected.max_rows:
        raise RequestInvalid(f"{rows} rows in one request.", hint=f"Send at most {expected.max_rows}.")
    return rows


def _tensor(expected: Expected, name: str, values: Sequence[Any]) -> Tensor:
    column = expected.columns.get(name)
    if column is None:
        return _shaped(expected.tensors[name], values)
    if column.datatype is Datatype.BYTES:
        values = [_bytes(name, value, raw=column.raw) for value in values]
    fractions = column.datatype is Datatype.INT64 and any(type(value) is float for value in values)
    datatype = Datatype.FP64 if fractions else column.datatype  # 300.0 is a whole number too; 300.5 is refused later
    return Tensor(name, str(datatype), (len(values),), list(values))


def _bytes(name: str, value: Any, *, raw: bool) -> Any:
    """Return what a text or a file is in JSON: a string; base64 where bytes are wanted, or as `{"b64": ...}`."""
    if isinstance(value, dict) and value.keys() == {"b64"}:
        value, raw = value["b64"], True
    if not raw or not isinstance(value, str):
        return value
    try:
        return b64decode(value.partition(",")[2] if value.startswith("data:") else value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestInvalid(
            f"The input {name!r} has {short(value)}, which is not base64: {error}.",
            hint="Send a file's bytes as base64 (a data: URL will do).",
        ) from error


def _shaped(spec: TensorSpec, values: Sequence[Any]) -> Tensor:
    """Return nested lists as a flat tensor whose shape fits."""
    shape = [len(values)]
    level: list[Any] = list(values)
    for wanted in spec.shape[1:]:
        size = len(level[0]) if isinstance(level[0], list) and level else -1
        if any(not isinstance(row, list) or len(row) != size for row in level) or wanted not in (-1, size):
            raise RequestInvalid(
                f"The input {spec.name!r} is not nested as its shape says.",
                hint=f"Expected lists of the sizes {list(spec.shape[1:])} in each row (-1: any, but all alike).",
            )
        if not size:
            raise RequestInvalid(f"The input {spec.name!r} has empty lists.", hint="Expected at least one value each.")
        shape.append(size)
        level = [value for row in level for value in row]
    if spec.datatype == "BYTES":
        level = [_bytes(spec.name, value, raw=False) for value in level]
    return Tensor(spec.name, spec.datatype, tuple(shape), level)
