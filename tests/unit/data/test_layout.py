"""Rows of versions against plain Python: every sequence of verbs, and every earlier version still as it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from modelloop.data.records import Part, Schema
from modelloop.data.versions.layout import Store, append, compact, remove, replace, rows_changed, scan, upsert
from modelloop.data.versions.layout.shapes import dtypes
from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.store.blobs import Blobs

NARROW: Schema = (("k", "integer"), ("x", "float"), ("s", "string"))
WIDE: Schema = (*NARROW, ("t", "time"), ("d", "date"), ("b", "boolean"), ("n", "integer"))
WIDER: Schema = tuple((name, "float" if name == "n" else word) for name, word in WIDE)
Row = dict[str, Any]

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "x": st.none() | st.floats(-1e6, 1e6) | st.just(math.nan) | st.sampled_from([0.0, -0.0, math.inf]),
    "s": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.just("żółw\x00🐢 and more"),
    "t": st.none() | st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    "d": st.none() | st.dates(date(1, 1, 1)),
    "b": st.none() | st.booleans(),
    "n": st.none() | st.integers(-(2**40), 2**40),
}


def store_of(blobs: Blobs) -> Store:
    return Store(blobs.put, blobs.get, blobs.path)


def make_frame(rows: list[Row], schema: Schema) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name, _ in schema} for row in rows], schema=dtypes(schema))


def plain(frame: pl.DataFrame) -> list[Row]:
    """Rows that Python can compare: NaN equals itself, and so do 0.0 and -0.0, as they do to Polars."""
    return [
        {name: "NaN" if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
        for row in frame.iter_rows(named=True)
    ]


def by_key(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["k"])


class Layout(RuleBasedStateMachine):
    """Versions of a dataset beside lists of dictionaries."""

    keyed = True

    def __init__(self) -> None:
        super().__init__()
        self.store = store_of(self.blobs())
        self.schema: Schema = NARROW
        self.parts: tuple[Part, ...] = ()
        self.rows: list[Row] = []
        self.past: list[tuple[tuple[Part, ...], Schema, list[Row]]] = []

    def blobs(self) -> Blobs:
        return Blobs("memory://")

    @initialize(big=st.booleans())
    def start(self, big: bool) -> None:
        """Some histories begin with a part that is large beside what arrives."""
        if big:
            self.put([{"k": 1000 + k, "x": k / 7, "s": f"row {k % 50}"} for k in range(300)], append_rows)

    def arriving(self, data: st.DataObject, *, fresh: bool = False) -> list[Row]:
        held = {row["k"] for row in self.rows}
        keys = st.integers(0, 40).filter(lambda k: not (fresh and self.keyed and k in held))
        names = [name for name, _ in self.schema if name != "k"]
        one = st.fixed_dictionaries({"k": keys, **{name: VALUES[name] for name in names}})
        return data.draw(st.lists(one, max_size=8, unique_by=(lambda row: row["k"]) if self.keyed else None))

    def put(self, rows: list[Row], how: Callable[..., tuple[Part, ...]]) -> None:
        self.past.append((self.parts, self.schema, self.rows))
        frame = make_frame(rows, self.schema)
        self.parts = how(self.parts, frame, self.schema, self.store)
        self.rows = self.rows + plain(frame) if how is append_rows else plain(frame)

    @rule(data=st.data())
    def append(self, data: st.DataObject) -> None:
        self.put(self.arriving(data, fresh=True), append_rows)

    @rule(data=st.data())
    def upsert(self, data: st.DataObject) -> None:
        if not self.keyed:
            return
        rows = self.arriving(data)
        # some of the kept rows arrive again as they are
        taken = {row["k"] for row in rows}
        kept = [row for row in self.rows if row["k"] not in taken]
        again = data.draw(st.lists(st.sampled_from(kept), max_size=4, unique_by=lambda row: row["k"])) if kept else []
        frame = make_frame([*rows, *self.raw(again)], self.schema)
        before = {row["k"]: row for row in self.rows}
        self.past.append((self.parts, self.schema, self.rows))
        self.parts, counts = upsert(self.parts, frame, self.schema, ("k",), self.store)
        came = {row["k"]: row for row in plain(frame)}
        assert counts.added == len(came.keys() - before.keys())
        assert counts.unchanged == sum(before.get(k) == row for k, row in came.items())
        assert counts.added + counts.changed + counts.unchanged == len(came)
        self.rows = list((before | came).values())

    @rule(data=st.data(), keep=st.integers(0, 100))
    def replace(self, data: st.DataObject, keep: int) -> None:
        rows = self.arriving(data)
        taken = {row["k"] for row in rows}
        kept = [row for number, row in enumerate(self.rows) if number * 37 % 100 < keep and row["k"] not in taken]
        middle = len(kept) // 2
        rows = [*self.raw(kept[:middle]), *rows, *self.raw(kept[middle:])]
        self.put(rows, replace_keyed if self.keyed else replace_all)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        known = sorted({row["k"] for row in self.rows})
        gone = data.draw(st.sets(st.sampled_from(known), max_size=5)) if known else set()
        parts, count = remove(self.parts, self.schema, self.store, pl.col("k").is_in(list(gone)))
        assert count >= sum(row["k"] in gone for row in self.rows)
        self.past.append((self.parts, self.schema, self.rows))
        self.parts, self.rows = parts, [row for row in self.rows if row["k"] not in gone]

    @rule()
    def compact(self) -> None:
        self.parts = compact(self.parts, self.schema, self.store)

    @rule()
    def more_columns(self) -> None:
        self.schema = WIDE if self.schema == NARROW else WIDER
        names = [name for name, _ in self.schema]
        self.rows = [{name: row.get(name) for name in names} for row in self.rows]

    def raw(self, rows: list[Row]) -> list[Row]:
        """Undo `plain`."""
        return [row | {"x": math.nan} if row["x"] == "NaN" else row for row in rows]

    @invariant()
    def every_version_reads_as_it_was(self) -> None:
        for parts, schema, rows in [*self.past[-6:], (self.parts, self.schema, self.rows)]:
            found = plain(scan(parts, schema, self.store).collect())
            assert by_key(found) == by_key(rows) if self.keyed else found == rows
            assert sum(part.live for part in parts) == len(rows)

    def teardown(self) -> None:
        for parts, schema, rows in [*self.past, (self.parts, self.schema, self.rows)]:
            found = plain(scan(parts, schema, self.store).collect())
            assert by_key(found) == by_key(rows) if self.keyed else found == rows
        if self.keyed and self.past:
            self.check_changes(*self.past[0])

    def check_changes(self, parts: tuple[Part, ...], _schema: Schema, rows: list[Row]) -> None:
        names = [name for name, _ in self.schema]
        old = {row["k"]: {name: row.get(name) for name in names} for row in rows}
        new = {row["k"]: row for row in self.rows}
        expected: dict[int, tuple[str, list[str]]] = {k: ("added", []) for k in new.keys() - old.keys()}
        expected |= {k: ("removed", []) for k in old.keys() - new.keys()}
        for k in old.keys() & new.keys():
            if different := [name for name in names if old[k][name] != new[k][name]]:
                expected[k] = ("changed", different)
        found = rows_changed(parts, self.parts, self.schema, ("k",), self.store).collect()
        assert {row["k"]: (row["change"], row["columns"]) for row in found.iter_rows(named=True)} == expected


def append_rows(parts: tuple[Part, ...], frame: pl.DataFrame, schema: Schema, store: Store) -> tuple[Part, ...]:
    return append(parts, frame, schema, store)


def replace_keyed(parts: tuple[Part, ...], frame: pl.DataFrame, schema: Schema, store: Store) -> tuple[Part, ...]:
    return replace(parts, frame, schema, ("k",), store)


def replace_all(parts: tuple[Part, ...], frame: pl.DataFrame, schema: Schema, store: Store) -> tuple[Part, ...]:
    return replace(parts, frame, schema, (), store)


class WithoutKey(Layout):
    """Rows may repeat, and their order counts."""

    keyed = False


class InAFolder(Layout):
    """Files are scanned by Polars itself."""

    def blobs(self) -> Blobs:
        self.folder = TemporaryDirectory()
        return Blobs(f"file://{self.folder.name}")

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


QUICK = settings(
    max_examples=10,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestKeyed = Layout.TestCase
TestKeyed.settings = QUICK
TestInAFolder = InAFolder.TestCase
TestInAFolder.settings = QUICK
TestWithoutKey = WithoutKey.TestCase
TestWithoutKey.settings = QUICK


@pytest.fixture
def store(tmp_path: Any) -> Store:
    return store_of(Blobs(f"file://{tmp_path}"))


def test_a_repeated_key_is_refused(store: Store) -> None:
    rows = make_frame([{"k": 1}, {"k": 1}], NARROW)
    with pytest.raises(InvalidInput, match="1 of 2 rows repeat a key"):
        upsert((), rows, NARROW, ("k",), store)
    with pytest.raises(InvalidInput, match="repeat a key"):
        replace((), rows, NARROW, ("k",), store)
    with pytest.raises(InvalidInput, match="not of the columns"):
        upsert((), rows, NARROW, ("nothing",), store)


KEYS: dict[str, list[Any]] = {
    "integer": [1, 2, 3, -(2**62)],
    "string": ["v", "k", "", "\x00row"],  # names of columns, too
    "time": [datetime(2020, 1, n, tzinfo=UTC) for n in (1, 2, 3, 4)],
    "date": [date(2020, 1, n) for n in (1, 2, 3, 4)],
    "float": [1.5, 2.5, -0.5, math.inf],
    "boolean": [True, False],
}


@pytest.mark.parametrize("word", list(KEYS))
@pytest.mark.parametrize("deleted", [False, True])
def test_keys_of_every_type(word: str, deleted: bool) -> None:
    schema: Schema = (("k", word), ("v", "string"))
    blobs = Blobs("memory://")
    store = store_of(blobs)
    before = make_frame([{"k": key, "v": "old"} for key in KEYS[word]], schema)
    parts = append((), before, schema, store)
    if deleted:
        parts, _ = upsert(parts, before[-1:].with_columns(v=pl.lit("newer")), schema, ["k"], store)
    now = before[:2].with_columns(v=pl.lit("new"))
    merged, told = upsert(parts, now, schema, ["k"], store)
    assert (told.added, told.changed) == (0, 2)
    found = dict(scan(merged, schema, store).collect().rows())
    assert found == dict(scan(parts, schema, store).collect().rows()) | dict(now.rows())
    whole = replace(parts, now, schema, ["k"], store)
    assert dict(scan(whole, schema, store).collect().rows()) == dict(now.rows())
    changes = rows_changed(parts, merged, schema, ["k"], store).collect()
    assert set(changes["change"]) == {"changed"}
