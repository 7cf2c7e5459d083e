"""Diffs and three-way merges of rows against plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.data.records import DatasetVersion
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Personal
from modelloop.data.types import type_of
from modelloop.data.versions import layout
from modelloop.data.versions.diff import (
    ColumnShift,
    Retyped,
    RowChanges,
    counted_changes,
    keyed_changes,
    schema_changes,
    shifts,
)
from modelloop.data.versions.merging import ancestor, compare, for_kept_rows, merge, named, side
from modelloop.ground.core.hashing import hash_bytes

Row = tuple[int | None, str | None]
Table = dict[tuple[int, str], Row]
SCHEMA = {"id": pl.Int64, "place": pl.String, "x": pl.Int64, "text": pl.String}
KEY = ("id", "place")

keys = st.tuples(st.integers(0, 5), st.sampled_from(["a", "b"]))
values = st.tuples(st.none() | st.integers(-2, 2), st.none() | st.sampled_from(["p", "q", ""]))
tables = st.dictionaries(keys, values, max_size=8)


def frame(table: Table) -> pl.LazyFrame:
    rows = [(*key, *row) for key, row in table.items()]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").lazy()


def keyed(old: pl.LazyFrame, new: pl.LazyFrame, key: Sequence[str], examples: int = 10) -> RowChanges:
    """The diff by key of two tables that are kept as parts."""
    blobs: dict[str, bytes] = {}

    def put(data: bytes) -> str:
        blobs[hash_bytes(data)] = data
        return hash_bytes(data)

    store = layout.Store(put, blobs.__getitem__, lambda _: None)
    words = {type_of(kind): str(kind) for kind in ColumnType if kind != "binary"}
    schema = tuple((name, words[dtype]) for name, dtype in old.collect_schema().items())
    first = layout.append((), old.collect(), schema, store)
    second = layout.replace(first, new.collect(), schema, key, store)
    found = layout.rows_changed(first, second, schema, key, store).collect()
    return keyed_changes(found, key, old, new, examples=examples)


def table(rows: pl.DataFrame) -> Table:
    return {(r[0], r[1]): (r[2], r[3]) for r in rows.select(list(SCHEMA)).iter_rows()}


@given(tables, tables)
@settings(max_examples=150, deadline=None)
def test_a_keyed_diff_is_that_of_dictionaries(old: Table, new: Table) -> None:
    got = keyed(frame(old), frame(new), KEY, 100)
    both = [key for key in old if key in new]
    assert got.added == len(new.keys() - old.keys())
    assert got.removed == len(old.keys() - new.keys())
    assert got.changed == sum(old[key] != new[key] for key in both)
    for place, name in enumerate(("x", "text")):
        assert got.by_column.get(name, 0) == sum(old[key][place] != new[key][place] for key in both)
    assert len(got.examples) == got.added + got.removed + got.changed
    for one in got.examples:
        shown = one.after or one.before
        assert shown is not None
        key = (shown["id"], shown["place"])
        assert (one.before is None) == (key not in old)
        assert (one.after is None) == (key not in new)


@given(st.lists(values, max_size=12), st.lists(values, max_size=12))
@settings(max_examples=150, deadline=None)
def test_a_diff_without_key_counts_rows_as_often_as_they_are_there(old: list[Row], new: list[Row]) -> None:
    schema = {"x": pl.Int64, "text": pl.String}
    frames = [pl.DataFrame(rows, schema=schema, orient="row").lazy() for rows in (old, new)]
    got = counted_changes(*frames)
    assert (got.added, got.removed) == (
        (Counter(new) - Counter(old)).total(),
        (Counter(old) - Counter(new)).total(),
    )


def oracle(base: Table, ours: Table, theirs: Table) -> tuple[Table, set[tuple[int, str]]]:
    """Three-way merge of dictionaries: a key that one side left alone is as the other has it."""
    merged: Table = {}
    conflicts = set()
    for key in base.keys() | ours.keys() | theirs.keys():
        was, mine, other = base.get(key), ours.get(key), theirs.get(key)
        state = other if mine == was else mine
        if mine not in (was, other) and other != was:
            conflicts.add(key)
        if state is not None:
            merged[key] = state
    return merged, conflicts


@given(tables, st.data())
@settings(max_examples=250, deadline=None)
def test_a_three_way_merge_is_that_of_dictionaries(base: Table, data: st.DataObject) -> None:
    def edited() -> Table:
        edits = data.draw(st.dictionaries(st.sampled_from([*base, (9, "z"), (8, "z")]), st.none() | values, max_size=4))
        return {key: row for key, row in {**base, **edits}.items() if row is not None}

    ours, theirs = edited(), edited()
    expected, conflicts = oracle(base, ours, theirs)
    got = merge(side(frame(base), frame(ours), KEY), side(frame(base), frame(theirs), KEY), KEY)
    assert got.conflicts == len(conflicts)
    assert {(key["id"], key["place"]) for key in got.keys} <= conflicts
    if not conflicts:
        kept = frame(ours).filter(~named(got.gone)).join(got.rows.lazy(), on=list(KEY), how="anti")
        assert table(pl.concat([kept.collect(), got.rows])) == expected


def test_no_more_than_ten_conflicts_are_named() -> None:
    base: Table = {(n, "a"): (0, "p") for n in range(30)}
    mine: Table = dict.fromkeys(base, (1, "p"))
    other: Table = dict.fromkeys(base, (2, "p"))
    got = merge(side(frame(base), frame(mine), KEY), side(frame(base), frame(other), KEY), KEY)
    assert (got.conflicts, len(got.keys), len(got.rows)) == (30, 10, 0)


def test_a_table_that_is_all_key() -> None:
    old, new = (pl.DataFrame({"id": ids}).lazy() for ids in ([1, 2], [2, 3]))
    assert sorted(compare(old, new, ["id"])["__what"]) == ["added", "removed"]
    got = merge(side(old, new, ["id"]), side(old, old, ["id"]), ["id"])
    assert (got.conflicts, len(got.rows), len(got.gone)) == (0, 0, 0)


def test_nan_equals_nan_and_missing_is_not_zero() -> None:
    rows = {"id": [1, 2], "x": [float("nan"), None]}
    other = {"id": [1, 2], "x": [float("nan"), 0.0]}
    got = keyed(pl.LazyFrame(rows), pl.LazyFrame(other), ["id"])
    assert (got.changed, got.examples[0].before, got.examples[0].after) == (
        1,
        {"id": 2, "x": None},
        {"id": 2, "x": 0.0},
    )


def test_what_became_of_columns() -> None:
    before = (("a", "integer"), ("b", "string"), ("c", "string"))
    after = (("a", "float"), ("c", "string"), ("d", "time"))
    assert schema_changes(before, after) == (("d",), ("b",), (Retyped("a", "integer", "float"),))


def test_distributions_are_compared_column_by_column() -> None:
    old = pl.LazyFrame({"x": [1.0, 2.0, 3.0, None], "c": ["a", "b", None, "b"], "ok": [True, True, False, False]})
    new = pl.LazyFrame({"x": [10.0, 20.0, 30.0, 40.0], "c": ["b", "z", "z", "z"], "ok": [True, True, True, False]})
    x, c, ok = shifts(old, new, (("x", "float"), ("c", "string"), ("ok", "boolean")))
    assert (x.null_rate, x.mean, x.moved) == ((0.25, 0.0), (2.0, 25.0), True)
    assert {level: (was, now) for level, was, now in x.quantiles}[0.5] == (2.0, 30.0)
    assert (c.new, c.gone) == (("z",), ("a",))
    assert ok.mean == (0.5, 0.75)
    assert shifts(old, old.limit(0), (("x", "float"),))[0].mean == (2.0, None)
    assert not any(one.moved for one in shifts(old, old, (("x", "float"), ("c", "string"))))
    assert ColumnShift("n", (0.0, 0.0), (1.0, 2.0)).moved


def version(number: int, parent: int | None, merged: int | None = None) -> tuple[int, DatasetVersion]:
    fields: dict[str, Any] = dict.fromkeys(DatasetVersion.__slots__, None)
    return number, DatasetVersion(**{**fields, "number": number, "parent": parent, "merged": merged})


def test_the_common_ancestor_is_the_newest_one_merges_counted() -> None:
    line = dict([version(1, None), version(2, 1), version(3, 1), version(4, 2, merged=3), version(5, 3)])
    assert ancestor(line, 2, 3) == 1
    assert ancestor(line, 4, 5) == 3
    assert ancestor(line, 2, 2) == 2
    assert ancestor(dict([version(1, None), version(2, None)]), 1, 2) is None


def test_rows_that_were_hashed_are_not_held_to_the_pattern_of_an_address() -> None:
    mail = ColumnSettings(ColumnType.STRING, pattern=".+@.+", personal=Personal.HASH, unique=True)
    picture = ColumnSettings(ColumnType.BINARY, nullable=True)
    kept = for_kept_rows(ContractSettings({"mail": mail, "picture": picture})).columns
    assert (kept["mail"].pattern, kept["mail"].personal, kept["mail"].unique) == (None, None, True)
    assert (kept["picture"].type, kept["picture"].nullable) == (ColumnType.STRING, True)
