"""Point-in-time joins against a plain Python oracle, at the boundaries above all."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput
from modelloop.prepare.pointintime import Aggregate, Past, latest, window, window_count, window_mean, window_sum

START = datetime(2013, 1, 1, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")
LEFT = {"at": TIME, "g": pl.String, "h": pl.Int64}
RIGHT = {"known": TIME, "g": pl.String, "h": pl.Int64, "v": pl.Float64}

moments = st.one_of(st.none(), st.integers(0, 12).map(lambda minutes: START + timedelta(minutes=minutes)))
keys = st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, None]))
values = st.one_of(st.none(), st.just(math.nan), st.integers(-5, 5).map(float), st.floats(-1e3, 1e3))
lefts = st.lists(st.tuples(moments, keys), max_size=8)
rights = st.lists(st.tuples(moments, keys, values), max_size=20)
durations = st.integers(0, 5).map(lambda minutes: timedelta(minutes=minutes))


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    until = draw(durations)
    since = draw(st.one_of(st.none(), durations.map(lambda more: until + more + timedelta(minutes=1))))
    return Past("at", "known", draw(st.sampled_from([(), ("g",), ("g", "h")])), since, until, draw(st.booleans()))


def tables(left: list[Any], right: list[Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    return (
        pl.DataFrame([(at, *key) for at, key in left], schema=LEFT, orient="row"),
        pl.DataFrame([(known, *key, value) for known, key, value in right], schema=RIGHT, orient="row"),
    )


def seen(one: dict[str, Any], right: pl.DataFrame, past: Past) -> list[dict[str, Any]]:
    """The rule, word for word."""
    if one["at"] is None:
        return []
    rows = []
    for fact in right.iter_rows(named=True):
        if fact["known"] is None or any(one[key] is None or one[key] != fact[key] for key in past.by):
            continue
        begin = None if past.since is None else one["at"] - past.since
        end = one["at"] - past.until
        if past.strict:
            inside = fact["known"] < end and (begin is None or fact["known"] >= begin)
        else:
            inside = fact["known"] <= end and (begin is None or fact["known"] > begin)
        if inside:
            rows.append(fact)
    return rows


@settings(deadline=None, max_examples=100)
@given(lefts, rights, pasts())
def test_windows_hold_what_was_known_and_nothing_else(left: list[Any], right: list[Any], past: Past) -> None:
    asked, facts = tables(left, right)
    made = window_mean(asked, facts, past, value="v", name="mean")
    made = window_sum(made, facts, past, value="v", name="sum")
    made = window_count(made, facts, past, name="count")
    assert made.select(asked.columns).equals(asked)
    for row in made.iter_rows(named=True):
        window = seen(row, facts, past)
        known = [fact["v"] for fact in window if fact["v"] is not None and math.isfinite(fact["v"])]
        assert row["count"] == len(window)
        assert row["sum"] == pytest.approx(sum(known), abs=1e-9)
        assert (row["mean"] is None) if not known else row["mean"] == pytest.approx(sum(known) / len(known), abs=1e-9)


@settings(deadline=None, max_examples=100)
@given(lefts, rights, pasts())
def test_latest_is_the_last_row_known(left: list[Any], right: list[Any], past: Past) -> None:
    asked, facts = tables(left, right)
    facts = facts.with_row_index("nr")
    made = latest(asked, facts, past, values=["v", "nr"])
    assert made.select(asked.columns).equals(asked)
    for row in made.iter_rows(named=True):
        window = seen(row, facts, past)
        newest = max(window, key=lambda fact: (fact["known"], fact["nr"]), default={"nr": None})
        assert row["nr"] == newest["nr"]


HOWS: dict[str, Any] = {
    "sum": sum,
    "mean": lambda known: statistics.fmean(known) if known else None,
    "count": len,
    "min": lambda known: min(known, default=None),
    "max": lambda known: max(known, default=None),
    "std": lambda known: statistics.stdev(known) if len(known) > 1 else None,
}


@settings(deadline=None, max_examples=100)
@given(lefts, rights, pasts(), st.booleans())
def test_every_aggregate_is_what_the_rule_says(left: list[Any], right: list[Any], past: Past, lazy: bool) -> None:
    asked, facts = tables(left, right)
    facts = facts.with_row_index("nr")
    wanted = {how: Aggregate(how, "v") for how in (*HOWS, "last")} | {"rows": Aggregate("count")}  # type: ignore[arg-type]
    made = window(asked, facts, past, wanted)
    if lazy:
        made = window(asked.lazy(), facts.lazy(), past, wanted).collect()
    assert made.select(asked.columns).equals(asked)
    for row in made.iter_rows(named=True):
        seen_rows = seen(row, facts, past)
        rows = [fact for fact in seen_rows if fact["v"] is not None and math.isfinite(fact["v"])]
        newest = max(rows, key=lambda fact: (fact["known"], fact["nr"]), default={"v": None})
        assert row["last"] == newest["v"]
        assert row["rows"] == len(seen_rows)
        for how, rule in HOWS.items():
            expected = rule([fact["v"] for fact in rows])
            assert row[how] == (None if expected is None else pytest.approx(expected, abs=1e-5)), how


def test_times_of_any_unit_and_age_and_lazy_frames() -> None:
    old = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), None]
    facts = pl.DataFrame({"known": old, "v": [1.0, 2.0, 3.0]}, schema={"known": TIME, "v": pl.Float64})
    asked = pl.DataFrame({"at": [datetime(2013, 1, 1, tzinfo=UTC), old[1], None]}, schema={"at": TIME})
    past = Past("at", "known", strict=True)
    assert latest(asked, facts, past, values=["v"])["v"].to_list() == [1, 1, None]
    ms = facts.with_columns(pl.col("known").dt.cast_time_unit("ms"))
    assert window_count(asked.lazy(), ms.lazy(), past, name="n").collect()["n"].to_list() == [1, 1, 0]


def test_the_ends_of_the_window() -> None:
    facts = pl.DataFrame({"known": [START + timedelta(hours=h) for h in (8, 9, 10, 11)], "v": [1.0, 2.0, 4.0, 8.0]})
    asked = pl.DataFrame({"at": [START + timedelta(hours=12)]})
    past = Past("at", "known", since=timedelta(hours=4), until=timedelta(hours=2))
    assert window_sum(asked, facts, past, value="v", name="s")["s"].to_list() == [6.0]  # 8:00 is out, 10:00 is in
    nanosecond = facts.with_columns(pl.col("known").dt.cast_time_unit("ns") + pl.duration(nanoseconds=1))
    assert window_sum(asked, nanosecond, past, value="v", name="s")["s"].to_list() == [3.0]


def test_what_cannot_be_joined_is_refused_in_words() -> None:
    asked, facts = tables([(START, ("a", 1))], [(START, ("a", 1), 1.0)])
    with pytest.raises(InvalidInput, match="future"):
        Past("at", "known", until=timedelta(minutes=-1))
    with pytest.raises(InvalidInput, match="empty"):
        Past("at", "known", since=timedelta(1), until=timedelta(1))
    with pytest.raises(InvalidInput, match="no column 'nope'"):
        window_count(asked, facts, Past("at", "known", ("nope",)), name="n")
    with pytest.raises(InvalidInput, match="time zones"):
        window_count(asked.with_columns(pl.col("at").dt.replace_time_zone(None)), facts, Past("at", "known"), name="n")
    with pytest.raises(InvalidInput, match="not times"):
        window_count(asked, facts.with_columns(known="v"), Past("at", "known"), name="n")
    with pytest.raises(InvalidInput, match="'g' is String on the left and Int64"):
        window_count(asked, facts.with_columns(g=pl.lit(1, pl.Int64)), Past("at", "known", ("g",)), name="n")
    with pytest.raises(InvalidInput, match="by 'median'"):
        Aggregate("median", "v")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="needs a column"):
        Aggregate("sum")
    with pytest.raises(InvalidInput, match="already"):
        latest(asked, facts, Past("at", "known"), values=["g"])
