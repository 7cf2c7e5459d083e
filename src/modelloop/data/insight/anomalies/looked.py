"""What every search for anomalies is given, and how rows and values are shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ....ground.core.later import polars as pl
from ...settings import AnomalySettings, ColumnType, ContractSettings
from ..profile import ColumnProfile, Profile
from ..protect import masked

EXAMPLES = 5
_LONGEST = 60
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A table that is looked at."""

    frame: pl.DataFrame
    contract: ContractSettings
    settings: AnomalySettings
    now: Profile
    reference: Profile | None
    earlier: Mapping[str, ColumnProfile]
    """The columns of the reference."""
    counts: Mapping[str, pl.DataFrame]
    """The distinct values (`value`, `count`) of text columns, but of those in which nearly every row has its own."""
    hidden: frozenset[str]
    """Columns with personal data: their values are shown masked."""

    @property
    def columns(self) -> tuple[ColumnProfile, ...]:
        """Return the columns that are looked at."""
        return tuple(one for one in self.now.columns if one.name not in self.settings.ignore)

    def before(self, name: str) -> ColumnProfile | None:
        """Return what a column looked like in the reference."""
        return self.earlier.get(name)

    def is_binary(self, name: str) -> bool:
        """Say whether a column holds the hashes of images, sounds, ..."""
        column = self.contract.columns.get(name)
        return column is not None and column.type is ColumnType.BINARY

    def text(self, name: str, values: pl.Series) -> list[str]:
        """Return values as they may be shown."""
        plain = values.cast(pl.String).fill_null("missing")
        if name in self.hidden:
            plain = plain.to_frame().select(masked(pl.col(plain.name))).to_series()
        return [one if len(one) <= _LONGEST else one[: _LONGEST - 1] + "…" for one in plain]

    def names(self, rows: Iterable[int]) -> list[str]:
        """Return what to call rows (counted from 0): by their key, or by their number, from 1."""
        rows = list(rows)
        key = [name for name in self.contract.key if name in self.frame.columns]
        if not key:
            return [f"row {row + 1}" for row in rows]
        columns = [self.text(name, self.frame.get_column(name).gather(rows)) for name in key]
        return [
            ", ".join(f"{name} {value}" for name, value in zip(key, row, strict=True))
            for row in zip(*columns, strict=True)
        ]

    def examples(self, name: str, rows: Iterable[int]) -> tuple[str, ...]:
        """Return up to five rows with their value of a column."""
        some = [row for _, row in zip(range(EXAMPLES), rows, strict=False)]
        values = self.text(name, self.frame.get_column(name).gather(some))
        return tuple(f"{row}: {value}" for row, value in zip(self.names(some), values, strict=True))


def number(value: float) -> str:
    """Return a number as a person writes it."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"
