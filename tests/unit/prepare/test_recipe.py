"""Recipes against plain Python, word for word; and what is said when tables do not fit."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from modelloop.ground.core.errors import InvalidInput
from modelloop.prepare.leak import prove_no_future
from modelloop.prepare.pointintime import Past
from modelloop.prepare.recipe import (
    STEPS,
    Recipe,
    as_of,
    cast,
    deduplicate,
    derive,
    drop_null,
    filter,
    join,
    only_values,
    rename,
    select,
    union,
    window_aggregates,
)

START = datetime(2013, 1, 1, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")
SCHEMA = {"id": pl.Int64, "g": pl.String, "t": TIME, "v": pl.Float64}
PAST = Past("t", "t", ("g",), timedelta(minutes=9), strict=True)

rows_of = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 3)),
        st.sampled_from(["a", "b", None]),
        st.one_of(st.none(), st.integers(0, 20).map(lambda n: START + timedelta(minutes=n))),
        st.one_of(st.none(), st.integers(-9, 9).map(float)),
    ),
    max_size=14,
)


def table(rows: list[Any]) -> pl.LazyFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").lazy()


def dicts(rows: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(SCHEMA, row, strict=True)) for row in rows]


EVERY = Recipe(
    Recipe("flights", [union("flights")]),
    [
        filter("v > -5 AND g IN ('a', 'b')"),
        only_values("id", (0, 1, 2)),
        drop_null(["t"]),
        deduplicate(["id", "t"], "last", "v"),
        join(Recipe("planes", [rename({"seats": "places"})]), on={"id": "plane"}, suffix="_plane"),
        window_aggregates("flights", PAST, {"mean": ("mean", "v"), "rows": ("count",)}),  # type: ignore[dict-item]
        derive("ratio", "v / nullif(mean, 0)"),
        rename({"v": "value"}),
        as_of("flights", PAST, ["v"]),
        cast({"rows": "float64", "id": "string"}),
        select(["id", "g", "t", "value", "v", "mean", "rows", "ratio", "places"]),
    ],
)
PLANES = pl.LazyFrame({"plane": [0, 1, None], "seats": [100, 200, 300]}, schema={"plane": pl.Int64, "seats": pl.Int64})


def test_every_step_is_here() -> None:
    assert {step.kind for step in EVERY.steps} | {"union"} == set(STEPS)
    assert EVERY.tables == ("flights", "planes")


@settings(deadline=None, max_examples=40)
@given(rows_of)
def test_json_round_trip_gives_the_same_table(rows: list[Any]) -> None:
    again = Recipe.from_bytes(EVERY.to_bytes())
    assert (again, again.digest) == (EVERY, EVERY.digest)
    frames = {"flights": table(rows), "planes": PLANES}
    lazy = EVERY(frames)
    assert isinstance(lazy, pl.LazyFrame)
    made = lazy.collect()
    assert made.schema == EVERY.check({name: frame.collect_schema() for name, frame in frames.items()})
    assert_frame_equal(made, again.run(frames).frame)


def test_frames_may_be_in_memory_and_the_engine_may_stream() -> None:
    rows = [(n % 4, "ab"[n % 2], START + timedelta(minutes=n * 7 % 50), float(n)) for n in range(200)]
    frames = {"flights": table(rows).collect(), "planes": PLANES.collect()}
    made = EVERY(frames)
    assert_frame_equal(made.collect(), made.collect(engine="streaming"))
    assert Recipe("planes", []).run(frames).frame.equals(frames["planes"])


@settings(deadline=None, max_examples=40)
@given(rows_of, st.sampled_from(["first", "last"]), st.sampled_from(["", "t"]))
def test_deduplicate(rows: list[Any], keep: Any, order: str) -> None:
    best: dict[Any, int] = {}
    for at, row in enumerate(rows):
        key = row[:2]
        if key not in best:
            best[key] = at
            continue
        oldest = datetime(1, 1, 1, tzinfo=UTC)
        new, old = ((rows[one][2] or oldest) if order else START for one in (at, best[key]))
        if (keep == "last" and new >= old) or (keep == "first" and new < old):
            best[key] = at
    expected = [rows[at] for at in sorted(best.values())]
    made = Recipe("x", [deduplicate(["id", "g"], keep, order)])({"x": table(rows)}).collect()
    assert made.rows() == expected


@settings(deadline=None, max_examples=40)
@given(rows_of)
def test_deduplicate_whole_rows_and_drop_null(rows: list[Any]) -> None:
    made = Recipe("x", [deduplicate()])({"x": table(rows)}).collect()
    assert made.rows() == list(dict.fromkeys(rows))
    full = Recipe("x", [drop_null()])({"x": table(rows)}).collect()
    assert full.rows() == [row for row in rows if None not in row]


@settings(deadline=None, max_examples=40)
@given(rows_of, st.sampled_from(["left", "inner", "semi", "anti"]), st.lists(st.integers(0, 3) | st.none(), max_size=5))
def test_join(rows: list[Any], how: Any, keys: list[int | None]) -> None:
    right = [(key, f"n{at}") for at, key in enumerate(keys)]
    doubled = [key for key, count in Counter(keys).items() if key is not None and count > 1]
    frames = {"x": table(rows), "y": pl.DataFrame(right, {"id": pl.Int64, "w": pl.String}, orient="row").lazy()}
    recipe = Recipe("x", [join("y", on="id", how=how)])
    if doubled and how in ("left", "inner"):
        with pytest.raises(InvalidInput, match="many_to_one, but"):
            recipe(frames).collect()
        with pytest.raises(InvalidInput, match=r"Step 1 \(join\).*more than once in y"):
            recipe.run(frames)
        recipe = Recipe("x", [join("y", on="id", how=how, cardinality="many_to_many")])
    expected = []
    for row in rows:
        found = [name for key, name in right if key is not None and key == row[0]]
        if how == "left":
            expected += [(*row, name) for name in found or [None]]
        elif how == "inner":
            expected += [(*row, name) for name in found]
        elif bool(found) is (how == "semi"):
            expected.append(row)
    made = recipe.run(frames)
    assert made.frame.rows() == expected
    (count,) = made.counts
    assert (count.before, count.after) == (len(rows), len(expected))
    assert count.unmatched == sum(row[0] not in [key for key in keys if key is not None] for row in rows)


@settings(deadline=None, max_examples=40)
@given(rows_of, rows_of)
def test_windows_and_as_of_are_what_the_rule_says(rows: list[Any], facts: list[Any]) -> None:
    recipe = Recipe(
        "x",
        [
            window_aggregates("y", PAST, {"sum": ("sum", "v"), "most": ("max", "v"), "rows": ("count",)}),  # type: ignore[dict-item]
            rename({"v": "own"}),
            as_of("y", PAST, ["v"]),
        ],
    )
    served = recipe.run({"x": table(rows), "y": table(facts)})
    for row in served.frame.iter_rows(named=True):
        past = [
            (fact["t"], at, fact["v"])
            for at, fact in enumerate(dicts(facts))
            if row["t"] and fact["t"] and row["g"] and fact["g"] == row["g"]
            if row["t"] - timedelta(minutes=9) <= fact["t"] < row["t"]
        ]
        known = [value for _, _, value in past if value is not None]
        assert row["rows"] == len(past)
        assert row["sum"] == sum(known)
        assert row["most"] == max(known, default=None)
        assert row["v"] == (max(past)[2] if past else None)
    assert served.counts[2].unmatched == sum(row["rows"] == 0 for row in served.frame.iter_rows(named=True))


@settings(deadline=None, max_examples=40)
@given(rows_of, rows_of)
def test_union_rename_select_and_filter(rows: list[Any], more: list[Any]) -> None:
    recipe = Recipe("x", [union("y"), filter("v >= 0"), rename({"v": "w"}), select(["w", "g"])])
    made = recipe({"x": table(rows), "y": table(more).select("v", "t", "g", "id")}).collect()
    assert made.rows() == [(row[3], row[1]) for row in [*rows, *more] if row[3] is not None and row[3] >= 0]


def test_cast() -> None:
    frame = pl.LazyFrame({"d": ["2013-05-06", "x"], "t": ["2013-05-06T07:08:09+02:00", None], "n": ["1", "?"]})
    recipe = Recipe("x", [cast({"d": "date", "t": "datetime", "n": "int64"}, strict=False)])
    made = recipe({"x": frame}).collect()
    assert made.rows() == [(date(2013, 5, 6), datetime(2013, 5, 6, 5, 8, 9, tzinfo=UTC), 1), (None, None, None)]
    with pytest.raises(InvalidInput, match=r"Step 2 \(cast\)"):
        Recipe("x", [select(["n"]), cast({"n": "int64"})]).run({"x": frame})


def test_expressions() -> None:
    frame = pl.LazyFrame({"a": [1, 2], "s": ["x", "y"], "t": [START, START]})
    steps = [
        derive("b", "case when a > 1 then 'many' else upper(s) end"),
        derive("hour", "date_part('hour', t)"),
        derive("quoted", '"a" * 2 + coalesce(a, 0)'),
        derive("select_", "'select; over(' || s"),
    ]
    made = Recipe("x", steps)({"x": frame}).collect()
    assert made["b"].to_list() == ["X", "many"]
    assert made["quoted"].to_list() == [3, 6]
    assert made["select_"].to_list() == ["select; over(x", "select; over(y"]


@pytest.mark.parametrize(
    "sql",
    [
        "max(a)",
        "sum(a) OVER (PARTITION BY s)",
        "(select 1)",
        "a in (select b from c)",
        "read_csv('x')",
        "random()",
        "a;b",
        "count(*)",
        "row_number()",
        "a +",
        "",
        "first_value(a)",
        "*",
    ],
)
def test_an_expression_sees_one_row_and_nothing_else(sql: str) -> None:
    with pytest.raises(InvalidInput):
        derive("x", sql)
    with pytest.raises(InvalidInput):
        filter(sql)


FRAMES = {
    "x": table([]),
    "y": table([]),
    "planes": PLANES,
    "naive": pl.LazyFrame({"t": [datetime(2013, 1, 1)], "g": ["a"]}),  # noqa: DTZ001
}


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (filter("nope > 1"), "no column 'nope'"),
        (filter("v + 1"), "not true or false"),
        (filter("s = 1 and v > 'a'"), "no column 's'"),
        (only_values("g", [1]), "cannot be 1"),
        (drop_null(["nope"]), "no column 'nope'"),
        (deduplicate("nope"), "no column 'nope'"),
        (union("planes"), "g is String and absent"),
        (union("nowhere"), "no table 'nowhere'"),
        (select(["nope"]), "no column 'nope'"),
        (rename({"nope": "x"}), "no column 'nope'"),
        (rename({"v": "g"}), "called 'g'"),
        (derive("w", "g - 1"), "Step 2 \\(derive\\)"),
        (cast({"nope": "date"}), "no column 'nope'"),
        (join("planes", on="id"), "no column 'id'"),
        (join("planes", on={"g": "plane"}), "'g' is String on the left and 'plane' is Int64"),
        (join("y", on="id", suffix=""), "taken"),
        (as_of("y", Past("t", "t", ("g",)), ["v"]), "column 'v' already"),
        (as_of("planes", Past("t", "t"), ["seats"]), "no column 't'"),
        (window_aggregates("y", PAST, {"v": ("sum", "v")}), "column 'v' already"),  # type: ignore[dict-item]
        (window_aggregates("y", PAST, {"w": ("sum", "g")}), "not a number"),  # type: ignore[dict-item]
        (window_aggregates("naive", PAST, {"w": ("count",)}), "time zones"),  # type: ignore[dict-item]
    ],
)
def test_what_does_not_fit_is_found_before_anything_runs(step: Any, says: str) -> None:
    def never(_: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("computed")

    frames = FRAMES | {"x": FRAMES["x"].map_batches(never)}
    with pytest.raises(InvalidInput, match=says) as error:
        Recipe("x", [drop_null(), step])(frames)
    assert str(error.value).startswith(f"Step 2 ({step.kind})")


@pytest.mark.parametrize(
    "make",
    [
        lambda: select([]),
        lambda: select(["a", "a"]),
        lambda: only_values("a", []),
        lambda: only_values("a", [None]),
        lambda: deduplicate(["a"], "any"),  # type: ignore[arg-type]
        lambda: deduplicate(order="t"),
        lambda: join("y", on=[]),
        lambda: join("y", on="a", how="cross"),  # type: ignore[arg-type]
        lambda: join("y", on="a", cardinality="few"),  # type: ignore[arg-type]
        lambda: as_of("y", PAST, []),
        lambda: window_aggregates("y", PAST, {}),
        lambda: window_aggregates("y", PAST, {"a": ("median", "v")}),  # type: ignore[dict-item]
        lambda: cast({"a": "money"}),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(InvalidInput):
        make()


def test_hostile_json_is_refused() -> None:
    good = EVERY.to_json()
    step = good["steps"][0]
    bodies = [
        {},
        good | {"form": 2},
        good | {"steps": 3},
        good | {"steps": [step | {"step": "os.system"}]},
        good | {"steps": [step | {"version": 9}]},
        good | {"steps": [step | {"extra": 1}]},
        good | {"steps": [step | {"where": "max(a)"}]},
        good | {"steps": [{}]},
        good | {"table": 3},
        good | {"steps": [good["steps"][5] | {"past": {"at": 1}}]},
        good | {"steps": [good["steps"][5] | {"aggregates": {"a": {}}}]},
    ]
    for body in bodies:
        with pytest.raises(InvalidInput):
            Recipe.from_bytes(json.dumps(body).encode())
    for data in (b"\xff", b"[]", b"{"):
        with pytest.raises(InvalidInput):
            Recipe.from_bytes(data)


def test_explain_says_every_step_in_words() -> None:
    said = EVERY.explain()
    for words in ("Take flights", "Keep the rows where v > -5", "many to one, checked", "9 minutes before t", "places"):
        assert words in said
    assert len(said.splitlines()) >= len(EVERY.steps) + 3


def test_a_recipe_knows_nothing_of_the_future() -> None:
    flights = pl.DataFrame({"id": range(50), "g": ["a", "b"] * 25, "v": [float(n % 7) for n in range(50)]})
    flights = flights.with_columns(t=pl.lit(START) + pl.duration(minutes=pl.col("id") * 3))
    recipe = Recipe("asked", [window_aggregates("known", PAST, {"m": ("mean", "v")}), filter("id > 3")])  # type: ignore[dict-item]

    def build(asked: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
        return recipe({"asked": asked.lazy(), "known": known.lazy()}).collect()

    dated = {"asked": None, "known": "t"}
    assert prove_no_future(build, {"asked": flights, "known": flights}, known_at=dated, at="t") > 0
