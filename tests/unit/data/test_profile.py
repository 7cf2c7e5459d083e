"""A profile is exact for its batch, small, and can be merged within what it promises."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.data.insight.profile import BUCKETS, CATEGORIES, Profile, merge, profile
from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.stats.quantiles import Sample

NUMBERS = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=60)
TEXTS = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c", "ü", ""])), max_size=60)

START = datetime(2024, 1, 1, tzinfo=UTC)


def table(seed: int, rows: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "x": random.normal(size=rows),
            "skewed": random.lognormal(size=rows),
            "few": random.integers(0, 30, rows),
            "id": np.arange(rows) + seed * rows,
            "city": random.choice(["Rome", "Oslo", "Paris"], rows),
            "code": [f"c{value}" for value in random.integers(0, 5_000, rows)],
            "at": [
                datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=int(s)) for s in random.integers(0, 10**6, rows)
            ],
        }
    )


@settings(deadline=None)
@given(NUMBERS, TEXTS)
def test_one_batch_is_exact(numbers: list[float | None], texts: list[str | None]) -> None:
    size = min(len(numbers), len(texts))
    frame = pl.DataFrame({"x": numbers[:size], "t": texts[:size]}, schema={"x": pl.Float64, "t": pl.String})
    found = profile(frame)
    values = [value for value in numbers[:size] if value is not None]
    counts = Counter(value for value in texts[:size] if value is not None)
    x, t = found.column("x"), found.column("t")
    assert x is not None
    assert t is not None
    assert (found.rows, x.nulls, t.nulls) == (size, size - len(values), size - counts.total())
    assert x.distinct == len(set(values))
    assert t.distinct == len(counts)
    if values:
        assert x.numbers is not None
        assert x.numbers.mean == pytest.approx(np.mean(values), abs=1e-6)
        assert x.numbers.std == pytest.approx(np.std(values, ddof=1) if len(values) > 1 else 0.0, abs=1e-6)
        assert list(x.numbers.values) == sorted(set(values))
    if counts:
        assert t.categories is not None
        assert dict(t.categories.top) == counts
        assert [count for _, count in t.categories.top] == sorted(counts.values(), reverse=True)
    assert Profile.from_bytes(found.to_bytes()) == found


def test_kinds_of_columns() -> None:
    frame = pl.DataFrame(
        {
            "flag": [True, False, None],
            "day": [date(2024, 1, 1), date(2024, 1, 3), None],
            "at": pl.Series([0, None, -86_400_000], dtype=pl.Datetime("ms")),
            "nothing": pl.Series([None, None, None], dtype=pl.Float64),
            "null": [None, None, None],
            "list": [[1], [2], None],
            "kind": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            "odd": [math.nan, math.inf, 1.0],
            "big": pl.Series([2**64 - 1, 1, 2], dtype=pl.UInt64),
        }
    )
    found = profile(frame)
    kinds = {one.name: (one.kind, one.nulls) for one in found.columns}
    assert kinds == {
        "flag": ("category", 1), "day": ("time", 1), "at": ("time", 1), "nothing": ("none", 3), "null": ("none", 3),
        "list": ("none", 1), "kind": ("category", 0), "odd": ("number", 2), "big": ("number", 0),
    }  # fmt: skip
    day, at = found.column("day"), found.column("at")
    assert day is not None
    assert day.numbers is not None
    assert day.numbers.values[0] == datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1e6
    assert at is not None
    assert at.numbers is not None
    assert at.numbers.values[0] == -86_400 * 1e6


def test_ids_are_known_by_their_values() -> None:
    identity = {one.name: one.identity for one in profile(table(1, 5_000)).columns}
    assert identity == {
        "x": False, "skewed": False, "few": False, "id": True, "city": False, "code": False, "at": False
    }  # fmt: skip
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "uuid": [f"{value:032x}" for value in range(3_000)],
            "hash": random.integers(0, 2**62, 3_000),
            "cents": random.integers(0, 10**9, 3_000),
            "measure": random.integers(0, 100_000, 3_000),
        }
    )
    found = profile(frame)
    assert [one.identity for one in found.columns] == [True, True, False, False]
    assert not any(one.identity for one in profile(frame.head(40)).columns)


def test_many_categories_keep_the_commonest_and_a_hash_of_all() -> None:
    random = np.random.default_rng(2)
    values = [f"v{value}" for value in random.zipf(1.3, 30_000) % 9_000]
    (found,) = profile(pl.DataFrame({"v": values})).columns
    counts = Counter(values)
    assert found.categories is not None
    assert len(found.categories.top) == CATEGORIES
    assert all(counts[value] == count for value, count in found.categories.top)
    assert found.categories.rest == len(values) - sum(count for _, count in found.categories.top)
    buckets = [0] * BUCKETS
    for value in values:
        buckets[zlib.crc32(value.encode()) % BUCKETS] += 1
    assert list(found.categories.buckets) == buckets


def test_it_is_small_and_lazy_frames_give_the_same() -> None:
    frame = table(3, 20_000)
    found = profile(frame)
    assert profile(frame.lazy()) == found
    assert len(found.to_bytes()) / len(found.columns) < 30_000
    assert [one.name for one in profile(frame, only=["city", "x"]).columns] == ["city", "x"]


def test_bytes_that_are_no_profile_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no profile"):
        Profile.from_bytes(b'{"rows": "many"}')


def test_merging_batches_is_close_to_the_whole() -> None:
    batches = [table(seed, rows) for seed, rows in ((1, 20_000), (2, 5_000), (3, 30_000))]
    whole = pl.concat(batches)
    merged = profile(batches[0])
    for batch in batches[1:]:
        merged = merge(merged, profile(batch))
    direct = profile(whole)
    assert merged.rows == direct.rows == len(whole)
    for one, other in zip(merged.columns, direct.columns, strict=True):
        assert (one.name, one.kind, one.nulls) == (other.name, other.kind, other.nulls)
        if one.numbers and other.numbers:
            assert one.numbers.mean == pytest.approx(other.numbers.mean, rel=1e-9, abs=1e-9)
            assert one.numbers.std == pytest.approx(other.numbers.std, rel=1e-6)
    x = np.linspace(-4, 4, 999)
    points = merged.column("x").numbers.points  # type: ignore[union-attr]
    assert np.abs(points.at(x) - Sample(np.sort(whole["x"].to_numpy())).at(x)).max() <= 3 / 1023
    assert merged.column("few").numbers.on == direct.column("few").numbers.on  # type: ignore[union-attr]
    assert merged.column("city").categories == direct.column("city").categories  # type: ignore[union-attr]
    code, exact = merged.column("code"), direct.column("code")
    assert code is not None
    assert exact is not None
    assert code.categories is not None
    assert exact.categories is not None
    assert code.categories.buckets == exact.categories.buckets
    assert merged.column("id").distinct == len(whole)  # type: ignore[union-attr]


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_merging_categories_is_exact(first: list[str | None], second: list[str | None]) -> None:
    parts = [profile(pl.DataFrame({"t": values}, schema={"t": pl.String})) for values in (first, second)]
    whole = profile(pl.DataFrame({"t": first + second}, schema={"t": pl.String}))
    merged = merge(*parts)
    assert merged.rows == whole.rows
    one, other = merged.columns[0], whole.columns[0]
    assert (one.nulls, one.distinct, one.categories) == (other.nulls, other.distinct, other.categories)


def test_columns_that_come_go_or_turn_are_missing_on_the_other_side() -> None:
    first = profile(pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": [1, 2]}))
    second = profile(pl.DataFrame({"a": [3.0], "c": ["text"], "d": [True]}))
    columns = {one.name: (one.kind, one.nulls) for one in merge(first, second).columns}
    assert columns == {"a": ("number", 0), "b": ("category", 1), "c": ("none", 0), "d": ("category", 2)}


def test_an_empty_table() -> None:
    empty: dict[str, Any] = {"x": pl.Float64, "t": pl.String}
    found = profile(pl.DataFrame(schema=empty))
    assert [(one.kind, one.nulls) for one in found.columns] == [("none", 0), ("none", 0)]
    assert merge(found, found).rows == 0


@pytest.mark.parametrize("late", [False, True])
def test_long_columns_are_counted_exactly(late: bool) -> None:
    """They are counted by hashes; not where a value first comes late."""
    values = [f"v{value}" for value in np.random.default_rng(5).integers(0, 300, 150_000)]
    values[-2:] = ["late", "late"] if late else values[-2:]
    (found,) = profile(pl.DataFrame({"v": [*values, None]})).columns
    assert found.categories is not None
    assert dict(found.categories.top) == Counter(values)
    assert (found.nulls, found.distinct, found.categories.rest) == (1, 300 + late, 0)


def test_numbers_near_the_largest_float() -> None:
    found = profile(pl.DataFrame({"x": [1.7e308, -1.7e308, 1.0] * 50}))
    assert Profile.from_bytes(found.to_bytes()) == found
    merged = merge(found, found).column("x")
    assert merged is not None
    assert merged.numbers is not None
    assert math.isfinite(merged.numbers.mean)
    assert math.isfinite(merged.numbers.std)
