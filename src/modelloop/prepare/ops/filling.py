"""What stands in the place of a missing value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, ClassVar, Literal

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ..records import Columns, Datatype, InputColumn
from .form import FittedOp, Op, Raw, finite, finite_values, input_of, need_strings, one_of

HOWS = ("mean", "median", "most_frequent", "constant")


@dataclass(frozen=True, slots=True)
class Impute(Op):
    """The value, or where it is missing what training rows say: of all rows, or of the rows with the same `by`.

    `how`: mean, median, most_frequent (of equals the smallest) or constant (`value`). Strings know the last two only.
    `by` is a column of strings; a group that training did not know, or that had no value, gets what all rows say.
    """

    column: str
    how: Literal["mean", "median", "most_frequent", "constant"] = "median"
    value: float | str | None = None
    by: str = ""
    name: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the column, and the groups' if there are any."""
        return (self.column, self.by) if self.by else (self.column,)

    def learn(self, columns: Columns) -> FittedImpute:
        """Take the mean, median or most frequent value of the finite ones."""
        one_of(self.how, HOWS, "how")
        source = input_of(columns, self.column)
        name = self.name or f"impute({self.column})"
        if source.datatype is Datatype.BYTES and self.how in ("mean", "median"):
            raise InvalidInput(f"impute({self.column!r}) cannot take the {self.how} of strings.", hint="most_frequent")
        if self.how == "constant":
            if self.value is None or self.by:
                raise InvalidInput(f"impute({self.column!r}, 'constant') needs a value=, and no by=.")
            return FittedImpute((source,), self.value, {}, name)
        column = columns[self.column]
        overall = self._typical(column)
        if not self.by:
            return FittedImpute((source,), overall, {}, name)
        groups = need_strings(input_of(columns, self.by), "impute by")
        return FittedImpute((source, groups), overall, self._of_groups(column, columns[self.by]), name)

    def _of_groups(self, column: Raw, groups: Raw) -> dict[str, Any]:
        rows: dict[str, list[int]] = {}
        for at, group in enumerate(groups.tolist()):
            if group is not None:
                rows.setdefault(group, []).append(at)
        known = {group: column[at] for group, at in rows.items()}
        return {group: self._typical(values) for group, values in sorted(known.items()) if _any(values)}

    def _typical(self, column: Raw) -> float | str:
        what = f"impute({self.column!r}, {self.how!r})"
        if self.how == "most_frequent":
            known = [value for value in column.tolist() if value is not None] if column.dtype == object else None
            counts: Counter[Any] = Counter(finite_values(column, what).tolist() if known is None else known)
            if not counts:
                raise InvalidInput(f"{what} cannot be learned: none of {len(column)} rows has a value.")
            best: float | str = min(counts.items(), key=lambda item: (-item[1], item[0]))[0]
            return best
        values = finite_values(column, what)
        return float(np.mean(values) if self.how == "mean" else np.median(values))


@dataclass(frozen=True, slots=True)
class FittedImpute(FittedOp):
    """A column with what fills its gaps: by group where one is known, else one value."""

    kind: ClassVar[str] = "impute"
    inputs: tuple[InputColumn, ...]
    value: float | str
    groups: Mapping[str, float | str] = field(hash=False)
    name: str

    def __post_init__(self) -> None:
        strings = self.inputs[0].datatype is Datatype.BYTES
        filled = [self.value, *self.groups.values()]
        if strings and not all(isinstance(value, str) for value in filled):
            raise InvalidInput(f"{self.name} fills strings with {self.value!r}, which is none.")
        if not strings:
            object.__setattr__(self, "value", finite(self.value, self.name))
            object.__setattr__(self, "groups", {k: finite(value, self.name) for k, value in self.groups.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or impute(column)."""
        return (self.name,)

    @property
    def makes(self) -> Datatype:
        """Return BYTES for strings, else FP64."""
        return Datatype.BYTES if self.inputs[0].datatype is Datatype.BYTES else Datatype.FP64

    def apply(self, column: Raw, groups: Raw | None = None) -> list[Raw]:
        """Missing is None in strings and NaN in numbers; infinite values stay."""
        if column.dtype == object:
            values = column.copy()
            missing = np.fromiter((value is None for value in column.tolist()), np.bool_, len(column))
        else:
            values = column.astype(np.float64)
            missing = np.isnan(values)
        if groups is None:
            values[missing] = self.value
        else:
            values[missing] = np.array(
                list(map(self.groups.get, groups[missing].tolist(), repeat(self.value))), dtype=values.dtype
            )
        return [values]


def _any(values: Raw) -> bool:
    if values.dtype == object:
        return any(value is not None for value in values.tolist())
    return bool(np.isfinite(values.astype(np.float64)).any())
