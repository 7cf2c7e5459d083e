"""What a table looked like, in a third of a megabyte: what later arrivals are compared with. Pure.

Of one batch everything is exact but `distinct` of long text columns. Merged profiles are as good as `merge` says.
"""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ...ground.core.later import polars as pl
from ...ground.stats.quantiles import Points, merge_points, points_of

if TYPE_CHECKING:
    import numpy.typing as npt

CATEGORIES = 1024
"""Values of a text column that are kept with their counts; the rest is counted together."""
BUCKETS = 256
HASHES = 65_536
"""Where there are more, all rows are also counted by a hash of their value, which favours no value for its count."""
_IDENTITY_FROM = 50
"""Rows; of fewer nobody can tell an id from a chance."""
_START = 4096
"""Rows looked at first, for what they rule out."""
_HEAD = 65_536
_FEW = 4096
"""Distinct values in the head of a column, up to which it is expected to have them all."""
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of a column of numbers or times (microseconds since 1970): moments, and the distribution at points."""

    mean: float
    std: float
    values: tuple[float, ...]
    on: tuple[int, ...]
    """Rows that have the value."""
    between: tuple[int, ...]
    """Rows between the value before and this one."""

    @property
    def points(self) -> Points:
        """Return the distribution."""
        return Points(np.array(self.values), np.array(self.on, dtype=np.int64), np.array(self.between, dtype=np.int64))

    @property
    def low(self) -> float:
        """Return the smallest value."""
        return self.values[0]

    @property
    def high(self) -> float:
        """Return the largest value."""
        return self.values[-1]

    @property
    def iqr(self) -> float:
        """Return the range of the middle half."""
        low, high = self.points.quantile(np.array([0.25, 0.75]))
        return float(high - low)


@dataclass(frozen=True, slots=True)
class Categories:
    """Of a column of text or truth values: the commonest values with their counts, and the rest."""

    top: tuple[tuple[str, int], ...]
    rest: int = 0
    """Rows with other values."""
    buckets: tuple[int, ...] = ()
    """All rows by a hash of their value, where there is a rest."""
    seen: bytes = b""
    """And a bit for each of 65,536 hashes: whether any value has it."""


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column."""

    name: str
    kind: str
    """number, time, category, or none: nothing in it, or nothing that can be compared."""
    nulls: int
    distinct: int
    """An estimate for text with many values, and after merging."""
    identity: bool = False
    """Nearly every row has a value of its own, as an id has: there is no distribution to compare."""
    numbers: Numbers | None = None
    categories: Categories | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A table."""

    rows: int
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str) -> ColumnProfile | None:
        """Return a column, or None."""
        return next((one for one in self.columns if one.name == name), None)

    def to_bytes(self) -> bytes:
        """Return JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, body: bytes) -> Profile:
        """Read what `to_bytes` wrote."""
        try:
            return msgspec.json.decode(body, type=cls)
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"This is no profile: {error}.", hint="Make it anew from its version.") from None


def profile(
    frame: pl.DataFrame | pl.LazyFrame, *, counts: Mapping[str, pl.DataFrame] | None = None, only: Iterable[str] = ()
) -> Profile:
    """Return the profile of a table; a lazy one is read a column at a time.

    `counts` spares work: the distinct values (`value`, `count`) of columns where they are known. `only`: these columns.
    """
    names = list(only) or frame.collect_schema().names()
    columns = []
    rows = len(frame) if isinstance(frame, pl.DataFrame) else 0
    for name in names:
        series = frame.get_column(name) if isinstance(frame, pl.DataFrame) else frame.select(name).collect().to_series()
        rows = len(series)
        columns.append(column_profile(series, (counts or {}).get(name)))
    return Profile(rows, tuple(columns))


def column_profile(series: pl.Series, counts: pl.DataFrame | None = None) -> ColumnProfile:
    """Return the profile of a column."""
    kind = kind_of(series.dtype)
    if kind in ("number", "time"):
        return _of_numbers(series.name, kind, sorted_numbers(series), len(series))
    if kind == "category":
        return _of_categories(series, counts)
    return ColumnProfile(series.name, "none", series.null_count(), 0)


def kind_of(dtype: pl.DataType) -> str:
    """Return what a column of this type is compared as: number, time, category or none."""
    if dtype.is_numeric():
        return "number"
    if isinstance(dtype, pl.Date | pl.Datetime | pl.Time | pl.Duration):
        return "time"
    return "category" if isinstance(dtype, pl.String | pl.Boolean | pl.Categorical | pl.Enum) else "none"


def sorted_numbers(series: pl.Series) -> npt.NDArray[Any]:
    """Return the values in order: integers and times (microseconds) as int64, others as float64; missing ones left out.

    What is no finite number is missing.
    """
    present = series.drop_nulls() if series.null_count() else series
    if present.dtype == pl.Date:
        present = present.cast(pl.Datetime("us"))
    if isinstance(present.dtype, pl.Datetime | pl.Duration):
        present = present.dt.cast_time_unit("us")
    if present.dtype.is_integer() or present.dtype.is_temporal():
        wide = present.dtype in (pl.UInt64, pl.Int128, pl.UInt128)
        return np.sort(present.to_physical().cast(pl.Float64 if wide else pl.Int64).to_numpy())
    values = np.sort(present.cast(pl.Float64).to_numpy())  # NaN goes to the end
    last = len(values)
    if last and not (math.isfinite(values[0]) and math.isfinite(values[-1])):
        values = values[np.isfinite(values)]
    return values


def _moments(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Return mean and standard deviation; Polars needs no copy for them."""
    shown = pl.Series(values)
    mean, std = _number(shown.mean()), _number(shown.std())
    if math.isfinite(mean) and math.isfinite(std):
        return mean, std
    largest = max(abs(float(values[0])), abs(float(values[-1])))  # squares do not fit into a float: take parts of it
    shown = pl.Series(values / largest)
    return _number(shown.mean()) * largest, min(_number(shown.std()) * largest, _LARGEST)


def _number(found: object) -> float:
    return float(found) if isinstance(found, int | float) else 0.0


def is_identity(ordered: npt.NDArray[Any]) -> bool:
    """Say whether sorted whole numbers name rows: each its own, and close together or too large to measure anything."""
    if ordered.dtype.kind != "i" or len(ordered) < _IDENTITY_FROM:
        return False
    low, high = int(ordered[0]), int(ordered[-1])
    if high - low > 100 * len(ordered) and max(abs(low), abs(high)) < 10**12:
        return False
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + 1 >= 0.999 * len(ordered)


def hashed(values: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return a number below 65,536 for each value (CRC-32: the same everywhere and always)."""
    return np.fromiter((zlib.crc32(value.encode()) % HASHES for value in values), dtype=np.int64)


def bucket_counts(values: Iterable[tuple[str, int]]) -> npt.NDArray[np.int64]:
    """Return the rows by a hash of their value."""
    pairs = list(values)
    counts = [count for _, count in pairs]
    return np.bincount(hashed(v for v, _ in pairs) % BUCKETS, weights=counts, minlength=BUCKETS).astype(np.int64)


def seen_hashes(categories: Categories) -> npt.NDArray[np.bool_]:
    """Return for each of 65,536 hashes whether any value has it."""
    if categories.seen:
        return np.unpackbits(np.frombuffer(categories.seen, dtype=np.uint8)).astype(bool)
    found = np.zeros(HASHES, dtype=bool)
    found[hashed(value for value, _ in categories.top)] = True
    return found


def category_counts(series: pl.Series) -> pl.DataFrame | None:
    """Return the distinct values with their counts (`value`, `count`), or None if nearly every row has its own.

    That is estimated first: counting a million different texts costs ten times the estimate.
    """
    present = series.drop_nulls() if series.null_count() else series
    if present.dtype == pl.String and len(present) > CATEGORIES and _all_differ(present):
        return None
    counted = _counted_by_hash(present) if len(present) > 2 * _HEAD else None
    if counted is None:
        counted = present.alias("value").to_frame().group_by("value").agg(pl.len().alias("count"))
    return counted.with_columns(pl.col("value").cast(pl.String))


def _counted_by_hash(present: pl.Series) -> pl.DataFrame | None:
    """Count a long column by sorting 64-bit hashes, twice as fast as grouping; None if its head lacks some values."""
    known = present.head(_HEAD).unique()
    if len(known) > _FEW:
        return None
    hashes = np.sort(present.hash().to_numpy())
    ends = np.append(np.flatnonzero(hashes[1:] != hashes[:-1]), len(hashes) - 1)
    if len(ends) != len(known):
        return None
    order = np.argsort(known.hash().to_numpy())
    counts = np.diff(ends, prepend=-1)
    return pl.DataFrame({"value": known.gather(order), "count": pl.Series(counts, dtype=pl.UInt32)})


def _all_differ(texts: pl.Series) -> bool:
    """Say whether nearly every text occurs once; the first thousands say it mostly, an estimate the rest."""
    start = texts.head(_START)
    if start.n_unique() < 0.9 * len(start):
        return False
    return len(texts) <= _START or _number(texts.approx_n_unique()) >= 0.95 * len(texts)


def merge(first: Profile, second: Profile) -> Profile:
    """Return the profile of the rows of both.

    Exact: rows, missing values, moments, counts of columns that had no rest. Distributions are exact where both had at
    most 1,024 values together; else the share of values up to any number is off by at most the larger of 2 / 1,023 for
    one merge, and 1 / 1,023 more for each merge after it. A column that only one of them has is missing in the other.
    """
    one, other = ({column.name: column for column in part.columns} for part in (first, second))
    merged = [
        _merge(one.get(name) or _absent(name, first.rows), other.get(name) or _absent(name, second.rows))
        for name in {**one, **other}
    ]
    return Profile(first.rows + second.rows, tuple(merged))


def _of_numbers(name: str, kind: str, values: npt.NDArray[Any], rows: int) -> ColumnProfile:
    if not len(values):
        return ColumnProfile(name, "none", rows, 0)
    distinct = int(np.count_nonzero(values[1:] != values[:-1])) + 1
    mean, std = _moments(values)
    identity = kind == "number" and is_identity(values)
    numbers = _numbers(mean, std, points_of(values))
    return ColumnProfile(name, kind, rows - len(values), distinct, identity, numbers)


def _of_categories(series: pl.Series, counts: pl.DataFrame | None) -> ColumnProfile:
    nulls = series.null_count()
    if nulls == len(series):
        return ColumnProfile(series.name, "none", nulls, 0)
    counted = counts if counts is not None else category_counts(series)
    if counted is None:
        distinct = min(int(_number(series.approx_n_unique())), len(series) - nulls)
        return ColumnProfile(series.name, "category", nulls, distinct, identity=True)
    identity = len(counted) >= _IDENTITY_FROM and len(counted) >= 0.95 * (len(series) - nulls)
    categories = None if identity and len(counted) > CATEGORIES else _categories(counted)
    return ColumnProfile(series.name, "category", nulls, len(counted), identity, categories=categories)


def counted_categories(series: pl.Series) -> Categories | None:
    """Return the counts of all values, the largest first, or None if nearly every row has its own."""
    return _of_categories(series, None).categories


def _categories(counted: pl.DataFrame) -> Categories:
    """Return what is kept of counts, the largest first."""
    ordered = counted.sort("count", "value", descending=[True, False])
    pairs = list(zip(ordered["value"].to_list(), ordered["count"].to_list(), strict=True))
    if len(pairs) <= CATEGORIES:
        return Categories(tuple(pairs))
    rest = sum(count for _, count in pairs[CATEGORIES:])
    everything = Categories(tuple(pairs))
    return _cut(pairs, rest, buckets_of(everything), seen_hashes(everything))


def _cut(
    pairs: list[tuple[str, int]], rest: int, buckets: npt.NDArray[np.int64], seen: npt.NDArray[np.bool_]
) -> Categories:
    return Categories(tuple(pairs[:CATEGORIES]), rest, tuple(buckets.tolist()), np.packbits(seen).tobytes())


def _numbers(mean: float, std: float, points: Points) -> Numbers:
    return Numbers(mean, std, tuple(points.values.tolist()), tuple(points.on.tolist()), tuple(points.between.tolist()))


def _absent(name: str, rows: int) -> ColumnProfile:
    return ColumnProfile(name, "none", rows, 0)


def _merge(first: ColumnProfile, second: ColumnProfile) -> ColumnProfile:
    nulls = first.nulls + second.nulls
    if first.kind == "none" or second.kind == "none":
        return replace(second if first.kind == "none" else first, nulls=nulls)
    if first.kind != second.kind:
        return ColumnProfile(first.name, "none", nulls, 0)
    identity = first.identity or second.identity
    numbers = _merge_numbers(first.numbers, second.numbers) if first.numbers and second.numbers else None
    categories = None
    if first.categories and second.categories:
        categories = _merge_categories(first.categories, second.categories)
    distinct = max(first.distinct, second.distinct)
    if first.identity and second.identity:
        distinct = first.distinct + second.distinct
    elif numbers and not any(numbers.between):
        distinct = len(numbers.values)
    elif categories and not categories.rest:
        distinct = len(categories.top)
    return ColumnProfile(first.name, first.kind, nulls, distinct, identity, numbers, categories)


def _merge_numbers(first: Numbers, second: Numbers) -> Numbers:
    """Moments by Chan, Golub and LeVeque (1979)."""
    one, other = first.points, second.points
    n, m = one.rows, other.rows
    apart = second.mean - first.mean
    mean = first.mean * (n / (n + m)) + second.mean * (m / (n + m))
    within = first.std * first.std * (n - 1) + second.std * second.std * (m - 1)
    squares = within + apart * apart * (n * m / (n + m))
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers near the largest float
        return _numbers(mean, min(math.sqrt(squares / (n + m - 1)), _LARGEST), merge_points(one, other))


def _merge_categories(first: Categories, second: Categories) -> Categories:
    """Add the counts. A value among the rest of one is counted too low: by that one's rows of it."""
    counts = dict(first.top)
    for value, count in second.top:
        counts[value] = counts.get(value, 0) + count
    pairs = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = first.rest + second.rest + sum(count for _, count in pairs[CATEGORIES:])
    if not rest:
        return Categories(tuple(pairs))
    return _cut(pairs, rest, buckets_of(first) + buckets_of(second), seen_hashes(first) | seen_hashes(second))


def buckets_of(categories: Categories) -> npt.NDArray[np.int64]:
    """Return all rows by a hash of their value."""
    return np.array(categories.buckets, dtype=np.int64) if categories.buckets else bucket_counts(categories.top)
