"""Splits: later rows or whole groups, nothing on both sides, nothing lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput, LeakFound
from modelloop.prepare.separation import no_time_overlap
from modelloop.prepare.split import (
    by_group,
    by_stratum,
    by_time,
    k_fold,
    k_fold_by_group,
    k_fold_by_stratum,
    k_fold_by_time,
    no_shared_keys,
)

START = datetime(2013, 1, 1, tzinfo=UTC)


def days(numbers: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"day": numbers, "t": [START + timedelta(days=n) for n in numbers]})


def test_the_newest_stretch_is_held_out() -> None:
    train, holdout = by_time(days(list(range(30))), "t", holdout=timedelta(days=7))
    assert holdout["day"].to_list() == list(range(23, 30))
    assert train["day"].to_list() == list(range(23))
    train, _ = by_time(days(list(range(30))), "t", holdout=timedelta(days=7), gap=timedelta(days=2))
    assert train["day"].max() == 20


@settings(deadline=None, max_examples=40)
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


ROWS = pl.DataFrame({"id": range(200), "y": [n % 10 == 0 for n in range(200)], "g": [f"g{n % 23}" for n in range(200)]})
ROWS = ROWS.with_columns(t=pl.lit(START) + pl.duration(hours=pl.col("id") // 3))


def test_strata_keep_their_shares() -> None:
    train, holdout = by_stratum(ROWS, ["y"], share=0.25, seed=1)
    assert sorted([*train["id"], *holdout["id"]]) == list(range(200))
    assert (holdout["y"].sum(), len(holdout)) == (5, 50)
    missing = ROWS.with_columns(y=pl.when(pl.col("id") < 40).then(pl.col("y")))
    assert by_stratum(missing, "y", share=0.5)[1]["y"].null_count() == 80
    with pytest.raises(InvalidInput, match="no column 'z'"):
        by_stratum(ROWS, ["z"], share=0.5)
    with pytest.raises(InvalidInput, match="key="):
        by_stratum(ROWS.with_columns(x=pl.concat_list("id")), ["y"], share=0.5)


@pytest.mark.parametrize(
    "split",
    [
        lambda rows: [by_time(rows, "t", holdout=0.3)],
        lambda rows: [by_group(rows, "g", share=0.3, seed=2)],
        lambda rows: [by_stratum(rows, ["y"], share=0.3, seed=2)],
        lambda rows: k_fold(rows, 4, seed=2),
        lambda rows: k_fold(rows, 4, seed=2, key=["id"]),
        lambda rows: k_fold_by_stratum(rows, ["y"], 4, seed=2),
        lambda rows: k_fold_by_group(rows, "g", 4, seed=2),
        lambda rows: k_fold_by_time(rows, "t", 4),
    ],
)
def test_sides_do_not_depend_on_the_order_of_rows_and_frames_may_be_lazy(split: Any) -> None:
    shuffled = ROWS.sample(fraction=1, shuffle=True, seed=9)
    plain, other, lazy = split(ROWS), split(shuffled), split(ROWS.lazy())
    assert len(plain) == len(other) == len(lazy)
    for (train, holdout), (train2, holdout2), (train3, holdout3) in zip(plain, other, lazy, strict=True):
        assert set(train["id"]) == set(train2["id"])
        assert set(holdout["id"]) == set(holdout2["id"])
        assert not set(train["id"]) & set(holdout["id"])
        assert train3.collect().equals(train)
        assert holdout3.collect().equals(holdout)
        assert (train["id"].is_sorted(), holdout["id"].is_sorted()) == (True, True)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 7), st.integers(0, 9))
def test_folds_hold_every_row_out_once(folds: int, seed: int) -> None:
    for pairs in (
        k_fold(ROWS, folds, seed=seed),
        k_fold_by_stratum(ROWS, ["y"], folds, seed=seed),
        k_fold_by_group(ROWS, "g", folds, seed=seed),
    ):
        assert sorted(row for _, holdout in pairs for row in holdout["id"]) == list(range(200))
    sizes = [len(holdout) for _, holdout in k_fold(ROWS, folds, seed=seed)]
    assert max(sizes) - min(sizes) <= 1
    shares = [int(holdout["y"].sum()) for _, holdout in k_fold_by_stratum(ROWS, ["y"], folds, seed=seed)]
    assert max(shares) - min(shares) <= 1
    for train, holdout in k_fold_by_group(ROWS, "g", folds, seed=seed):
        assert not set(train["g"]) & set(holdout["g"])


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 6), st.integers(0, 5))
def test_folds_go_forward_in_time(folds: int, hours: int) -> None:
    gap = timedelta(hours=hours)
    pairs = k_fold_by_time(ROWS, "t", folds, gap=gap)
    assert len(pairs) == folds
    for train, holdout in pairs:
        no_time_overlap(train, holdout, "t", gap=gap)
    ends = [holdout["t"].max() for _, holdout in pairs]
    assert ends == sorted(ends)
    assert ends[-1] == ROWS["t"].max()


def test_folds_that_cannot_be_are_refused() -> None:
    for split in (
        lambda: k_fold(ROWS, 1),
        lambda: k_fold(ROWS[:3], 4),
        lambda: k_fold_by_group(ROWS, "g", 24),
        lambda: k_fold_by_time(ROWS[:4], "t", 2),
        lambda: k_fold_by_time(ROWS, "t", 2, gap=timedelta(days=9)),
        lambda: k_fold(ROWS[:0], 2),
    ):
        with pytest.raises(InvalidInput):
            split()  # type: ignore[no-untyped-call]
