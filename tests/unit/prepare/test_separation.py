"""What training and holdout must not share, and labels that a column gives away."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput, LeakFound
from modelloop.prepare.separation import no_near_duplicates, no_shared_groups, no_target_leak, no_time_overlap

START = datetime(2013, 1, 1, tzinfo=UTC)


def test_shared_groups() -> None:
    train, holdout = pl.DataFrame({"g": ["a", "b", None]}), pl.DataFrame({"g": ["c", None]})
    no_shared_groups(train, holdout, "g")
    with pytest.raises(LeakFound, match=r"1 groups of 'g'.*'b'"):
        no_shared_groups(train, pl.DataFrame({"g": ["b", "b"]}), "g")
    with pytest.raises(InvalidInput, match="no column 'h'"):
        no_shared_groups(train, holdout, "h")
    with pytest.raises(InvalidInput, match="is String in training and Int64"):
        no_shared_groups(train, pl.DataFrame({"g": [1]}), "g")


def test_time_overlap() -> None:
    train, holdout = pl.DataFrame({"t": [START, START + timedelta(1)]}), pl.DataFrame({"t": [START + timedelta(3)]})
    no_time_overlap(train, holdout, "t", gap=timedelta(days=1))
    with pytest.raises(LeakFound, match="1 of 2 training rows are not before"):
        no_time_overlap(train, holdout, "t", gap=timedelta(days=2))
    with pytest.raises(LeakFound):
        no_time_overlap(train, train, "t")
    with pytest.raises(InvalidInput, match="nothing to compare"):
        no_time_overlap(train, holdout[:0], "t")


numbers = st.one_of(st.none(), st.just(math.nan), st.integers(-3, 3).map(lambda n: n * 0.7), st.floats(-2, 2))
rows_of = st.lists(
    st.tuples(st.sampled_from(["A b", " a  B", "ａ b", "c", None]), numbers, numbers), min_size=1, max_size=8
)


@settings(deadline=None, max_examples=100)
@given(rows_of, rows_of, st.sampled_from([0.01, 0.3, 1.0]))
def test_near_duplicates_are_what_the_rule_says(train: list[Any], holdout: list[Any], tolerance: float) -> None:
    schema = {"s": pl.String, "x": pl.Float64, "y": pl.Float64}
    left, right = (pl.DataFrame(rows, schema, orient="row") for rows in (train, holdout))
    plain = {"A b": "a b", " a  B": "a b", "ａ b": "a b"}
    widths = [float(left[name].fill_nan(None).std() or 1.0) * tolerance for name in ("x", "y")]  # type: ignore[arg-type]

    def near(one: Any, other: Any) -> bool:
        if plain.get(one[0], one[0]) != plain.get(other[0], other[0]):
            return False
        for a, b, width in zip(one[1:], other[1:], widths, strict=True):
            lacks = [value is None or math.isnan(value) for value in (a, b)]
            if any(lacks):
                if not all(lacks):
                    return False
            elif abs(a - b) > width:
                return False
        return True

    expected = sum(any(near(row, other) for other in train) for row in holdout)
    if not expected:
        no_near_duplicates(left, right, ["s", "x", "y"], tolerance=tolerance)
        return
    with pytest.raises(LeakFound, match=f"^{expected} of {len(holdout)} holdout rows"):
        no_near_duplicates(left, right, ["s", "x", "y"], tolerance=tolerance)


def test_near_duplicates_among_many_rows() -> None:
    chance = np.random.default_rng(0)
    rows = pl.DataFrame(chance.normal(size=(20_000, 4)), ["a", "b", "c", "d"], orient="row")
    train, holdout = rows[:15_000], rows[15_000:]
    no_near_duplicates(train, holdout, rows.columns)
    moved = pl.concat([holdout, train[:3] + 1e-5])
    with pytest.raises(LeakFound, match=r"^3 of 5003"):
        no_near_duplicates(train, moved, rows.columns)


def labelled(rows: int = 400) -> pl.DataFrame:
    chance = np.random.default_rng(5)
    y = (chance.random(rows) < 0.3).astype(float)
    return pl.DataFrame(
        {
            "y": y,
            "amount": chance.normal(size=rows) + y,
            "key": [f"k{n}" for n in range(rows)],
            "city": [["x", "y", "z"][n] for n in chance.integers(0, 3, rows)],
            "paid": np.where(y > 0, 100.0, -1) + chance.random(rows),
            "reason": ["late" if one else "fine" for one in y],
            "closed_at": [START if one else None for one in y],
        }
    )


def test_target_leaks_are_found_and_others_pass() -> None:
    frame = labelled()
    found = no_target_leak(frame, "y", ["amount", "key", "city"])
    assert 0.3 < found["amount"] < 0.8
    assert found["key"] == 0
    assert found["city"] < 0.3
    assert no_target_leak(frame.with_columns(one=pl.lit("always")), "y", ["one"])["one"] < 0.3
    for leak in ("paid", "reason", "closed_at"):
        with pytest.raises(LeakFound, match=f"'{leak}' alone nearly give"):
            no_target_leak(frame, "y", ["amount", leak])
    with pytest.raises(InvalidInput, match="1 values"):
        no_target_leak(frame.with_columns(y=1.0), "y", ["amount"])


def test_target_leaks_of_a_number() -> None:
    chance = np.random.default_rng(5)
    y = chance.normal(size=300)
    frame = pl.DataFrame({"y": y, "same": np.exp(y), "noise": chance.normal(size=300)})
    assert no_target_leak(frame, "y", ["noise"])["noise"] < 0.3
    with pytest.raises(LeakFound, match="same"):
        no_target_leak(frame, "y", ["same", "noise"])


def test_auc_is_the_share_of_pairs() -> None:
    frame = labelled(60)
    pairs = list(itertools.product(*(frame.filter(pl.col("y") == side)["amount"].to_list() for side in (1, 0))))
    auc = sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)
    assert no_target_leak(frame, "y", ["amount"])["amount"] == pytest.approx(abs(2 * auc - 1))
