"""Features looked up in a small table that travels with the model (seats of a plane, region of a shop)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import ClassVar, Literal

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ..records import Columns, InputColumn
from .form import FittedOp, Op, Raw, input_of, need_strings


@dataclass(frozen=True, slots=True)
class Lookup(Op):
    """The table's number for a string. `missing` answers for what the table lacks: a number, None (NaN), or "error"."""

    column: str
    table: Mapping[str, float] = field(hash=False)
    missing: float | Literal["error"] | None = "error"
    name: str = ""

    def learn(self, columns: Columns) -> FittedLookup:
        """Look at the column's type; the table is as it was given."""
        nullable = self.missing != "error"
        source = need_strings(input_of(columns, self.column, nullable=nullable), "lookup")
        return FittedLookup((source,), self.table, self.missing, self.name or f"lookup({self.column})")


@dataclass(frozen=True, slots=True)
class FittedLookup(FittedOp):
    """A table and what it answers for."""

    kind: ClassVar[str] = "lookup"
    takes: ClassVar[str] = "strings"
    version: ClassVar[int] = 2
    inputs: tuple[InputColumn, ...]
    table: Mapping[str, float] = field(hash=False)
    missing: float | Literal["error"] | None
    name: str

    def __post_init__(self) -> None:
        table = {str(key): float(value) for key, value in self.table.items()}
        if not all(math.isfinite(value) for value in table.values()):
            raise InvalidInput(f"The table of {self.name!r} holds a number that is not finite.")
        if self.missing not in ("error", None):
            object.__setattr__(self, "missing", float(self.missing or 0.0))
        object.__setattr__(self, "table", table)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or lookup(column)."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Raise InvalidInput for a value that the table lacks, where `missing` is "error"."""
        keys, rows = column.tolist(), len(column)
        if self.missing != "error":
            default = math.nan if self.missing is None else self.missing
            return [np.fromiter(map(self.table.get, keys, repeat(default)), np.float32, rows)]
        try:
            return [np.fromiter(map(self.table.__getitem__, keys), np.float32, rows)]
        except KeyError as error:
            raise InvalidInput(
                f"{self.name} has no entry for {self.inputs[0].name} = {str(error.args[0])[:80]!r}.",
                hint=f"Its table has {len(self.table)} entries; give lookup(..., missing=NUMBER) to answer for others.",
            ) from error
