"""Rows of a person taken out of kept bytes: cells, rows that were set aside, and what reports say. Pure.

Cells keep rows that a version has deleted, and columns that it no longer has. So rows are looked for in the cells
themselves, not in what a version shows of them.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from ...ground.core.clock import iso, parse_time
from ...ground.core.later import numpy as np
from ...ground.core.later import polars as pl
from ..insight.protect import protect
from ..records import Part, Report
from ..settings import Personal
from . import layout

if TYPE_CHECKING:
    import numpy.typing as npt

Rows: TypeAlias = "npt.NDArray[np.uint32]"
_LEAST = 3
"""Shorter texts of a person's row name nobody."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are to go: those with the value in the column, as it came or hashed with the project's key."""

    column: str
    text: str
    hashed: str

    @classmethod
    def of(cls, column: str, value: object, secret: bytes) -> Wanted:
        """Read a value as people write it."""
        text = value if isinstance(value, str) else iso(value) if isinstance(value, datetime) else str(value)
        return cls(column, text, protect(pl.Series([text]), Personal.HASH, secret)[0])

    def condition(self, dtype: pl.DataType) -> pl.Expr | None:
        """Return which rows of a column of this type are meant; None where the value is none of that type."""
        if dtype == pl.String:
            return pl.col(self.column).is_in([self.text, self.hashed])
        parsed = _parsed(self.text, dtype)
        return None if parsed is None else pl.col(self.column) == pl.lit(parsed, dtype)

    def is_in(self, text: str | None) -> bool:
        """Say whether a value that was set aside, as it came, is the one."""
        if text is None:
            return False
        if text.strip() in (self.text.strip(), self.hashed):
            return True
        mine, other = (_parsed(one, pl.Float64()) for one in (self.text, text))
        return mine is not None and mine == other


@dataclass(slots=True)
class Eraser:
    """Takes rows out of parts, and notes what they were."""

    wanted: Wanted
    store: layout.Store
    hits: dict[Part, Counter[str]] = field(default_factory=dict)
    """By part: its rows that count and are to go."""
    texts: set[str] = field(default_factory=set)
    """What the rows say: reports quote it."""

    def part(self, part: Part) -> Part | None:
        """Return the part without the rows (None: nothing is left of it), or the very part if none is in it."""
        rows, condition = self._rows(part)
        if condition is None or not len(rows):
            return part
        frames = [pl.read_parquet(self.store.sources([cell])) for cell in part.cells]
        gone = pl.concat([frame[rows] for frame in frames], how="horizontal")
        for column in gone.select(pl.col(pl.String)).iter_columns():
            self.texts |= {text for text in column.drop_nulls().unique() if len(text) >= _LEAST}
        counting = np.flatnonzero(~np.isin(rows, self.store.deleted(part)))
        shown = sorted(set(gone.columns) & {name for name, _ in part.schema})
        self.hits[part] = Counter(map(repr, gone[counting].select(shown).iter_rows()))
        left, _ = layout.remove([part], part.schema, self.store, condition)
        return left[0] if left else None

    def _rows(self, part: Part) -> tuple[Rows, pl.Expr | None]:
        """Return the rows by their place in the cells, those included that the part has deleted; and what they meet."""
        for cell in part.cells:
            if self.wanted.column in cell.columns:
                return _hits(pl.scan_parquet(self.store.sources([cell]), glob=False), self.wanted)
        return np.empty(0, np.uint32), None


def names_rows(data: bytes, wanted: Wanted) -> bool:
    """Say whether bytes that nothing refers to any more hold a row that is meant: a cell, rows set aside, a profile."""
    if data[:4] != b"PAR1":
        return names(data, wanted)
    frame = pl.read_parquet(io.BytesIO(data))
    if "values" in frame.columns and "reasons" in frame.columns:
        return quarantine_without(data, wanted)[1] > 0
    return wanted.column in frame.columns and len(_hits(frame.lazy(), wanted)[0]) > 0


def _hits(frame: pl.LazyFrame, wanted: Wanted) -> tuple[Rows, pl.Expr | None]:
    condition = wanted.condition(frame.collect_schema()[wanted.column])
    if condition is None:
        return np.empty(0, np.uint32), None
    found = frame.select(wanted.column).with_row_index("\x00at").filter(condition).collect()
    return found["\x00at"].to_numpy().astype(np.uint32), condition


def quarantine_without(data: bytes, wanted: Wanted) -> tuple[bytes | None, int, set[str]]:
    """Return rows that were set aside without those that are meant (None: none is left), how many those were, and what
    they say."""
    frame = pl.read_parquet(io.BytesIO(data))
    values = [json.loads(text) for text in frame["values"]]
    meant = [wanted.is_in(_text(row.get(wanted.column))) for row in values]
    if not any(meant):
        return data, 0, set()
    said = {_text(one) for row, this in zip(values, meant, strict=True) if this for one in row.values()}
    texts = {one for one in said if one is not None and len(one) >= _LEAST}
    left = frame.filter(~pl.Series(meant))
    buffer = io.BytesIO()
    left.write_parquet(buffer, compression="zstd", compression_level=3)
    return (buffer.getvalue() if len(left) else None), sum(meant), texts


def items_aside(data: bytes, wanted: Wanted, columns: Collection[str]) -> set[str]:
    """Return the hashes in these (binary) columns of the rows that are meant, among rows that were set aside."""
    values = [json.loads(text) for text in pl.read_parquet(io.BytesIO(data), columns=["values"])["values"]]
    meant = [row for row in values if wanted.is_in(_text(row.get(wanted.column)))]
    return {row[name] for row in meant for name in columns if isinstance(row.get(name), str)}


def clean_report(report: Report, wanted: Wanted, texts: Collection[str]) -> Report:
    """Return the report without what it quotes of the rows: examples that name any of it are dropped, smallest and
    largest values that are it are left out, and the value itself is struck from sentences."""
    quoted = _naming([*_forms(wanted), *texts])
    return Report.from_json(_clean(report.to_json(), _naming(_telling(wanted)), quoted))


def clean_text(text: str, wanted: Wanted) -> str:
    """Return the text with the value struck out."""
    return _naming(_telling(wanted)).sub("[erased]", text)


def names(profile: bytes, wanted: Wanted) -> bool:
    """Say whether a profile, as JSON, has the value among its texts."""
    return any(json.dumps(one, ensure_ascii=False).encode() in profile for one in (wanted.text, wanted.hashed))


def _forms(wanted: Wanted) -> list[str]:
    number = _parsed(wanted.text, pl.Float64())
    return [wanted.text, wanted.hashed, *([] if number is None else [str(number), f"{number:g}"])]


def _telling(wanted: Wanted) -> list[str]:
    """A number of three digits stands in many a sentence that speaks of something else."""
    return [one for one in _forms(wanted) if not (one.replace(".", "").isdecimal() and len(one) <= _LEAST)]


def _clean(value: Any, struck: re.Pattern[str], quoted: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return struck.sub("[erased]", value)
    if isinstance(value, list | tuple):
        return [_clean(one, struck, quoted) for one in value]
    if not isinstance(value, dict):
        return value
    cleaned: dict[str, Any] = {}
    for name, one in value.items():
        if name == "examples":
            cleaned[name] = [example for example in one if not quoted.search(example)]
        elif name in ("low", "high") and isinstance(one, str) and quoted.fullmatch(one):
            cleaned[name] = None
        else:
            cleaned[name] = _clean(one, struck, quoted)
    return cleaned


def _naming(texts: Collection[str]) -> re.Pattern[str]:
    longest_first = sorted({text for text in texts if text}, key=lambda text: (-len(text), text))
    listed = "|".join(map(re.escape, longest_first)) or r"\Z\A"
    return re.compile(rf"(?<!\w)(?:{listed})(?!\w)")


def _text(value: object) -> str | None:
    return None if value is None else value if isinstance(value, str) else json.dumps(value)


def _parsed(text: str, dtype: pl.DataType) -> Any:
    try:
        if dtype.is_integer():
            return int(text)
        if dtype.is_float():
            return float(text)
        if dtype == pl.Boolean:
            return {"true": True, "false": False}[text.strip().lower()]
        return date.fromisoformat(text) if dtype == pl.Date else parse_time(text)
    except (ValueError, KeyError):
        return None
