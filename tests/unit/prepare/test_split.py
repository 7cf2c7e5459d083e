"""Splits: later rows or whole groups, nothing on both sides, nothing lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput, LeakFound
from modelloop.prepare.split import by_group, by_time, no_shared_keys

START = datetime(2013, 1, 1, tzinfo=UTC)


def days(numbers: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"day": numbers, "t": [START + timedelta(days=n) for n in numbers]})


def test_the_newest_stretch_is_held_out() -> None:
    train, holdout = by_time(days(list(range(30))), "t", holdout=timedelta(days=7))
    assert holdout["day"].to_list() == list(range(23, 30))
    assert train["day"].to_list() == list(range(23))
    train, _ = by_time(days(list(range(30))), "t", holdout=timedelta(days=7), gap=timedelta(days=2))
    assert train["day"].max() == 20


@given(st.lists(st.integers(0, 20), min_size=2, max_size=60), st.floats(0.01, 0.99))
def test_a_share_is_met_from_below_and_moments_stay_together(numbers: list[int], share: float) -> None:
    try:
        train, holdout = by_time(days(numbers), "t", holdout=share)
    except InvalidInput:
        assert len(set(numbers)) == 1 or sum(n == max(numbers) for n in numbers) > share * len(numbers) - 1
        return
    assert len(train) + len(holdout) == len(numbers)
    assert train["day"].max() < holdout["day"].min()  # type: ignore[operator]
    assert len(holdout) <= share * len(numbers) + 1e-9


def test_groups_stay_whole_and_where_they_are() -> None:
    frame = pl.DataFrame({"plane": [f"N{n % 50}" for n in range(500)], "x": range(500)})
    train, holdout = by_group(frame, "plane", share=0.3, seed=4)
    assert not set(train["plane"]) & set(holdout["plane"])
    assert len(train) + len(holdout) == 500
    more = pl.concat([frame, pl.DataFrame({"plane": ["new"], "x": [1]}, schema=frame.schema)])
    assert set(holdout["plane"]) <= set(by_group(more, "plane", share=0.3, seed=4)[1]["plane"])
    assert set(by_group(frame, "plane", share=0.3, seed=5)[1]["plane"]) != set(holdout["plane"])


def test_shared_keys_are_a_leak() -> None:
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
    no_shared_keys(frame[:1], frame[1:], ["a", "b"])
    with pytest.raises(LeakFound, match="1 of 2 holdout rows"):
        no_shared_keys(frame[:2], frame[1:], ["a", "b"])


def test_a_side_without_rows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="0 training"):
        by_time(days([1, 2]), "t", holdout=timedelta(days=9))
    with pytest.raises(InvalidInput, match="share"):
        by_time(days([1, 2]), "t", holdout=1.5)
    with pytest.raises(InvalidInput, match="missing in 1 rows"):
        by_time(
            pl.concat([days([1, 2]), pl.DataFrame({"day": [3], "t": [None]})], how="vertical_relaxed"), "t", holdout=0.5
        )
    with pytest.raises(InvalidInput, match="share"):
        by_group(days([1, 2]), "day", share=0)
