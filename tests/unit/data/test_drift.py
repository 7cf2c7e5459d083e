"""Drift: statistics are SciPy's, real changes are found; what cannot be compared says so and costs no report."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.spatial.distance
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.data.insight.drift import compare, drift_exact
from modelloop.data.insight.profile import merge, profile
from modelloop.data.records import ColumnDrift, SourceDrift
from modelloop.data.settings import SourceDriftSettings

SETTINGS = SourceDriftSettings()


def both(reference: pl.DataFrame, now: pl.DataFrame, settings: SourceDriftSettings = SETTINGS) -> list[SourceDrift]:
    """Return the same comparison made in all three ways."""
    stored = profile(reference)
    return [
        drift_exact(reference, now, settings, "trips:1"),
        compare(stored, now, settings, "trips:1"),
        compare(stored, profile(now), settings, "trips:1"),
    ]


def column(report: SourceDrift, name: str) -> ColumnDrift:
    return next(one for one in report.columns if one.name == name)


def one_column(reference: list[Any], now: list[Any], dtype: Any = None) -> list[ColumnDrift]:
    frames = [pl.DataFrame({"c": values}, schema={"c": dtype} if dtype else None) for values in (reference, now)]
    return [report.columns[0] for report in both(*frames)]


def normal(size: int, seed: int, loc: float = 0.0) -> pl.DataFrame:
    return pl.DataFrame({"x": np.random.default_rng(seed).normal(loc, size=size)})


@pytest.mark.parametrize(("n", "m"), [(300, 300), (500, 200), (5_000, 7_000), (90_000, 40_000)])
def test_numbers_have_scipys_statistics(n: int, m: int) -> None:
    a, b = normal(n, 1), normal(m, 2, 0.1)
    exact, *others = [report.columns[0] for report in both(a, b)]
    x, y = a["x"].to_numpy(), b["x"].to_numpy()
    assert exact.ks == pytest.approx(scipy.stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-9)
    low, high = np.quantile(x, [0.25, 0.75], method="inverted_cdf")
    assert exact.wasserstein == pytest.approx(scipy.stats.wasserstein_distance(x, y) / (high - low), rel=1e-9)
    deciles = np.quantile(x, np.arange(1, 10) / 10, method="inverted_cdf")
    shares = [np.bincount(np.searchsorted(deciles, v, side="left"), minlength=10) / len(v) for v in (x, y)]
    floored = [np.maximum(one, 1e-4) for one in shares]
    assert exact.psi == pytest.approx(float(((floored[1] - floored[0]) * np.log(floored[1] / floored[0])).sum()))
    for other in others:
        assert other.ks == pytest.approx(exact.ks, abs=2 / 1023)
        assert other.wasserstein == pytest.approx(exact.wasserstein, abs=0.005)
        assert other.psi == pytest.approx(exact.psi, abs=0.005)
        assert other.distance == pytest.approx(exact.distance, abs=0.02)
        assert other.p_value >= exact.p_value * (1 - 1e-9)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("abcd"), min_size=20, max_size=150),
    st.lists(st.sampled_from("abce"), min_size=20, max_size=150),
)
def test_categories_have_scipys_statistics(first: list[str], second: list[str]) -> None:
    for found in one_column(first, second):
        names = sorted({*first, *second})
        table = np.array([[values.count(name) for name in names] for values in (first, second)], dtype=float)
        expected = float(np.nan_to_num(scipy.spatial.distance.jensenshannon(*table, base=2)))
        assert found.distance**2 == pytest.approx(expected**2, abs=1e-9)
        assert found.new_values == pytest.approx(sum(value not in first for value in second) / len(second))
        least = min(table.sum(axis=1)) / table.sum() * table.sum(axis=0)
        if len(names) > 1 and (least >= 5).all():
            chi2 = scipy.stats.chi2_contingency(table, correction=False)
            assert found.chi2 == pytest.approx(chi2.statistic, rel=1e-9, abs=1e-9)
            assert found.p_value == pytest.approx(chi2.pvalue, abs=1e-9)


def test_a_shift_of_three_tenths_of_a_deviation_is_found_in_five_thousand_rows() -> None:
    names = [f"x{k}" for k in range(20)]
    for seed in range(5):
        random = np.random.default_rng(seed)
        reference = pl.DataFrame({name: random.normal(size=5_000) for name in names})
        now = pl.DataFrame({name: random.normal(0.3 if name == "x7" else 0, size=5_000) for name in names})
        for report in both(reference, now):
            assert report.drifted == ("x7",)
            assert column(report, "x7").p_value < 1e-6


def test_a_million_rows_do_not_make_every_difference_matter() -> None:
    for report in both(normal(300_000, 1), normal(300_000, 2, 0.05)):
        (found,) = report.columns
        assert found.p_value < 1e-6
        assert not found.drifted
    sharp = SourceDriftSettings(margin=0.0)
    assert drift_exact(normal(300_000, 1), normal(300_000, 2, 0.05), sharp).drifted == ("x",)


def test_missing_values_are_a_test_of_their_own() -> None:
    random = np.random.default_rng(3)
    values = random.normal(size=1_000)
    now = [value if keep else None for value, keep in zip(values, random.random(1_000) < 0.1, strict=True)]
    for found in one_column(values.tolist(), now):
        assert found.drifted
        assert found.null_rate == (0.0, pytest.approx(now.count(None) / 1_000))
        assert found.p_value < 1e-12
    for found in one_column(["a", "b"] * 200, ["a", None] * 200):
        assert found.drifted


def test_a_column_that_became_empty_is_drift_and_one_that_always_was_is_not() -> None:
    for found in one_column([1.0, 2.0] * 50, [None] * 100, pl.Float64):
        assert found.drifted
        assert found.distance == pytest.approx(1)
        assert found.null_rate == (0.0, 1.0)
    for found in one_column([None] * 100, [None] * 100, pl.Float64):
        assert not found.drifted
        assert (found.distance, found.p_value) == (0, 1)
    for found in one_column([None] * 100, ["a"] * 100, pl.String):
        assert found.drifted


def test_what_is_the_same_is_no_drift() -> None:
    random = np.random.default_rng(4)
    frame = pl.DataFrame(
        {
            "x": random.normal(size=2_000),
            "n": random.integers(0, 9, 2_000),
            "flag": random.random(2_000) < 0.3,
            "city": random.choice(["Rome", "Oslo"], 2_000),
            "day": [date(2024, 1, 1) + timedelta(days=int(d)) for d in random.integers(0, 90, 2_000)],
        }
    )
    for report in both(frame, frame):
        assert [one.distance for one in report.columns] == [0.0] * 5
        assert [one.p_value for one in report.columns] == [1.0] * 5
        assert report.drifted == ()
        assert report.reference == "trips:1"
        assert report.rows == (2_000, 2_000)


def test_truth_values_dates_and_times() -> None:
    random = np.random.default_rng(5)
    days = [date(2024, 1, 1) + timedelta(days=int(d)) for d in random.integers(0, 90, 1_000)]
    for found in one_column(days, [day + timedelta(days=60) for day in days]):
        assert found.drifted
        assert found.ks is not None
    for found in one_column([True] * 300 + [False] * 700, [True] * 500 + [False] * 500):
        assert found.drifted
        assert found.chi2 is not None
        assert found.new_values == 0


def test_constants() -> None:
    for found in one_column([7.0] * 100, [7.0] * 80):
        assert not found.drifted
        assert (found.distance, found.ks, found.psi) == (0, 0, 0)
    for found in one_column([7.0] * 100, [8.0] * 100):
        assert found.drifted
        assert found.distance == pytest.approx(1)
        assert found.ks == 1
        assert found.wasserstein is None
    for found in one_column(["a"] * 100, ["a"] * 100):
        assert not found.drifted


def test_values_outside_the_range_of_the_reference_count() -> None:
    for found in one_column([0, 1] * 500, [0, 1, 5, 6] * 250):
        assert found.drifted
        assert found.distance > 0.3


def test_new_categories() -> None:
    for found in one_column(["a", "b"] * 500, ["a", "b"] * 450 + ["c"] * 100):
        assert found.drifted
        assert found.new_values == pytest.approx(0.1)


def test_ids_are_not_compared() -> None:
    ids = [f"{value:08x}" for value in range(4_000)]
    for found in [*one_column(ids[:2_000], ids[2_000:]), *one_column(list(range(2_000)), list(range(2_000, 4_000)))]:
        assert not found.drifted
        assert "as an id has" in found.error
        assert found.p_value == 1


def test_categories_that_explode_are_drift_though_they_look_like_ids_now() -> None:
    now = [f"free text {value}" for value in range(3_000)]
    for found in one_column(["a", "b", "c"] * 1_000, now):
        assert found.drifted
        assert found.new_values > 0.99
    for found in one_column(now, ["a", "b", "c"] * 1_000):
        assert found.drifted


def test_many_categories_without_change_are_no_alarm() -> None:
    """The commonest values of one sample are less common in the next one: comparing just them would see drift."""
    random = np.random.default_rng(6)
    for _ in range(3):
        a, b = (pl.DataFrame({"c": [f"v{v}" for v in random.integers(0, 8_000, 30_000)]}) for _ in range(2))
        for report in both(a, b):
            (found,) = report.columns
            assert not found.drifted
            assert found.p_value > 1e-3
            assert found.new_values < 0.1  # some of 8,000 were never seen
        others = pl.DataFrame({"c": [f"w{v}" for v in random.integers(0, 8_000, 30_000)]})
        for report in both(a, others):
            assert report.drifted == ("c",)
            assert report.columns[0].new_values > 0.9


def test_columns_that_cannot_be_compared_say_why_and_the_others_are() -> None:
    reference = pl.DataFrame({"x": np.arange(100) / 7, "gone": [1.0] * 100, "kind": [1.5] * 100, "list": [[1]] * 100})
    now = pl.DataFrame({"x": np.arange(100) / 7 + 9, "new": [1.0] * 100, "kind": ["a"] * 100, "list": [[2]] * 100})
    for report in both(reference, now):
        assert report.drifted == ("x",)
        errors = {one.name: one.error for one in report.columns}
        assert errors["x"] == ""
        assert "not there any more" in errors["gone"]
        assert "does not have this column" in errors["new"]
        assert "it was a number, it is a category now" in errors["kind"]
        assert "values of this type are not" in errors["list"]


def test_few_rows_are_not_tested() -> None:
    for found in one_column([1.0, 2.0, 3.0], [100.0, 200.0]):
        assert found.p_value == 1
        assert not found.drifted
        assert "not tested: 3 values against 2" in found.error
    for found in one_column(["a"] * 5, ["b"] * 5):
        assert found.p_value == 1
        assert not found.drifted
    for found in one_column([1.0] * 30, [2.0] * 30):
        assert found.drifted


def test_no_rows_at_all() -> None:
    empty = pl.DataFrame({"x": []}, schema={"x": pl.Float64})
    for report in [*both(normal(100, 1), empty), *both(empty, normal(100, 1)), *both(empty, empty)]:
        assert report.drifted == ()
        assert all(math.isfinite(one.distance) for one in report.columns)


def test_numbers_that_are_none_count_as_missing() -> None:
    values = [1.0, 2.0, 3.0, 4.0] * 100
    broken = [math.nan, math.inf, 3.0, 4.0] * 100
    for found in one_column(values, broken):
        assert found.null_rate == (0.0, 0.5)
        assert found.drifted


def test_ignored_columns_are_left_out() -> None:
    a = normal(100, 1).with_columns(y=pl.lit(1.0))
    settings = SourceDriftSettings(ignore=("y",))
    assert [one.name for report in both(a, a.drop("y"), settings) for one in report.columns] == ["x"] * 3


def test_a_merged_profile_is_a_reference_too() -> None:
    parts = [normal(20_000, seed) for seed in (1, 2, 3)]
    reference = profile(parts[0])
    for part in parts[1:]:
        reference = merge(reference, profile(part))
    assert compare(reference, normal(20_000, 9), SETTINGS).drifted == ()
    assert compare(reference, normal(20_000, 9, 0.4), SETTINGS).drifted == ("x",)
