"""Cells: contents, what is shared, what is read, what stays of removed rows, how many parts there are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.data.records import Part, Schema
from modelloop.data.versions.layout import Store, append, compact, remove, replace, rows_changed, scan, upsert
from modelloop.data.versions.layout.contents import content_of
from modelloop.ground.core.errors import BlobMissing, InvalidInput
from modelloop.ground.store.blobs import Blobs

SCHEMA: Schema = (("k", "integer"), ("x", "float"), ("s", "string"))


class Counted:
    """A store that remembers what was read and written."""

    def __init__(self, url: str) -> None:
        blobs = Blobs(url)
        self.read: list[str] = []
        self.written: dict[str, int] = {}
        self.blobs = blobs
        self.store = Store(self.put, self.get, blobs.path)

    def get(self, digest: str) -> bytes:
        self.read.append(digest)
        return self.blobs.get(digest)

    def put(self, data: bytes) -> str:
        digest = self.blobs.put(data)
        self.written[digest] = len(data)
        return digest


@pytest.fixture(params=["folder", "remote"])
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> Counted:
    return Counted(f"file://{tmp_path}" if request.param == "folder" else "memory://")


def table(rows: int, first: int = 0) -> pl.DataFrame:
    keys = np.arange(first, first + rows)
    return pl.DataFrame({"k": keys, "x": np.sin(keys), "s": [f"row {k % 97}" for k in keys]})


def blobs_of(parts: tuple[Part, ...]) -> list[str]:
    return [cell.digest for part in parts for cell in part.cells]


KINDS = st.sampled_from([pl.Int64, pl.Float64, pl.String, pl.Boolean, pl.Date, pl.Datetime("us", "UTC")])


@settings(max_examples=60, deadline=None)
@given(st.data(), KINDS, st.integers(0, 90))
def test_equal_values_have_one_content_and_others_another(data: st.DataObject, kind: pl.DataType, rows: int) -> None:
    number = st.none() | st.integers(0, 2)
    values = data.draw(st.lists(number, min_size=rows, max_size=rows))
    column = pl.Series("a", values, pl.Int64)
    made = column.cast(pl.Int32).cast(kind) if kind in (pl.Date, pl.Boolean) else column.cast(kind)
    content = content_of([made])
    cut = data.draw(st.integers(0, rows))
    chunks = pl.concat([made[:cut], made[cut:]], rechunk=False)
    assert content_of([chunks]) == content
    assert content_of([pl.concat([made, made]).slice(rows, rows)]) == content
    if rows:
        place = data.draw(st.integers(0, rows - 1))
        other = column.to_list()
        other[place] = data.draw(number)
        changed = pl.Series("a", other, pl.Int64)
        changed = changed.cast(pl.Int32).cast(kind) if kind in (pl.Date, pl.Boolean) else changed.cast(kind)
        assert (content_of([changed]) == content) == changed.equals(made, null_equal=True)


def test_swapped_rows_signs_and_neighbours_have_other_contents() -> None:
    values = np.random.default_rng(1).integers(-5, 5, 4_000).astype(float)
    seen = {content_of([pl.Series(values)])}
    for one, two in ((0, 1), (0, 125), (7, 3_999), (40, 165)):
        other = values.copy()
        other[one], other[two] = other[two] + 10, other[one] - 10
        seen.add(content_of([pl.Series(other)]))
        other = values.copy()
        other[one], other[two] = -1e3 - one, 1e3 + two
        seen.add(content_of([pl.Series(other)]))
    assert len(seen) == 9
    same = [[0.0, float("nan"), None], [-0.0, -float("nan"), None]]
    assert len({content_of([pl.Series(one, dtype=pl.Float64)]) for one in same}) == 1
    texts = [["ab", "c"], ["a", "bc"], ["abc", ""], ["abc", None], [None, "abc"]]
    assert len({content_of([pl.Series(one, dtype=pl.String)]) for one in texts}) == 5


def test_only_the_cells_asked_for_are_read() -> None:
    counted = Counted("memory://")
    parts = replace((), table(120_000), SCHEMA, (), counted.store)
    assert len(parts) == 8
    assert all(len(part.cells) == 3 for part in parts)
    found = scan(parts, SCHEMA, counted.store).select("x").filter(pl.col("x") > 0.5).collect()
    assert found.equals(table(120_000).select("x").filter(pl.col("x") > 0.5))
    wanted = {cell.digest for part in parts for cell in part.cells if cell.columns == ("x",)}
    assert set(counted.read) == wanted
    streamed = scan(parts, SCHEMA, counted.store).select("x").filter(pl.col("x") > 0.5).collect(engine="streaming")
    assert streamed.equals(found)
    counted.read.clear()
    assert scan(parts, SCHEMA, counted.store).head(10).collect().equals(table(10))
    assert len(counted.read) <= 12
    assert scan(parts, SCHEMA, counted.store).select(pl.len()).collect().item() == 120_000


def test_a_changed_column_of_a_whole_file_costs_its_cells(counted: Counted) -> None:
    old = table(120_000)
    first = replace((), old, SCHEMA, (), counted.store)
    counted.written.clear()
    changed = old.with_columns(x=pl.when(pl.col("k") == 70_000).then(0.5).otherwise("x"))
    second = replace(first, changed, SCHEMA, (), counted.store)
    assert len(counted.written) == 1
    assert scan(second, SCHEMA, counted.store).collect().equals(changed)
    assert scan(first, SCHEMA, counted.store).collect().equals(old)


@pytest.mark.parametrize("where", [0, 61_000, 120_000])
def test_rows_that_come_or_go_leave_the_other_blocks_alone(where: int) -> None:
    counted = Counted("memory://")
    old = table(120_000)
    first = replace((), old, SCHEMA, (), counted.store)
    longer = pl.concat([old[:where], table(500, first=900_000), old[where:]])
    second = replace(first, longer, SCHEMA, (), counted.store)
    assert scan(second, SCHEMA, counted.store).collect().equals(longer)
    assert len(set(blobs_of(second)) - set(blobs_of(first))) <= 6
    third = replace(second, old, SCHEMA, (), counted.store)
    assert scan(third, SCHEMA, counted.store).collect().equals(old)
    assert len(set(blobs_of(third)) - set(blobs_of(second))) <= 6


def test_a_new_column_shares_the_others(counted: Counted) -> None:
    old = table(120_000)
    first = replace((), old, SCHEMA, (), counted.store)
    wider = (*SCHEMA, ("n", "integer"))
    more = old.with_columns(n=pl.col("k") * 2)
    second = replace(first, more, wider, (), counted.store)
    assert set(blobs_of(first)) < set(blobs_of(second))
    assert scan(second, wider, counted.store).collect().equals(more)
    assert scan(first, wider, counted.store).select("n").collect()["n"].null_count() == 120_000
    keyed = replace(append((), old, SCHEMA, counted.store), more, wider, ("k",), counted.store)
    assert scan(keyed, wider, counted.store).sort("k").collect().equals(more)


def test_a_thousand_days_stay_few_parts_and_cost_what_arrives(tmp_path: Path) -> None:
    counted = Counted(f"file://{tmp_path}")
    parts: tuple[Part, ...] = ()
    for day in range(1_000):
        parts = append(parts, table(100, first=100 * day), SCHEMA, counted.store)
    assert len(parts) <= 48
    assert scan(parts, SCHEMA, counted.store).collect().equals(table(100_000))
    held = sum(pl.read_parquet(counted.blobs.get(digest)).height for digest in counted.written)
    assert held <= 4 * 100_000
    assert compact(parts, SCHEMA, counted.store) == parts


def test_an_upsert_writes_what_differs_and_erodes_no_part(counted: Counted) -> None:
    parts = append((), table(300_000), SCHEMA, counted.store)
    counted.written.clear()
    again = table(300_000)[::100].with_columns(s=pl.when(pl.col("k") % 200 == 0).then(pl.lit("new")).otherwise("s"))
    parts2, counts = upsert(parts, again, SCHEMA, ("k",), counted.store)
    assert (counts.added, counts.changed, counts.unchanged) == (0, 1_500, 1_500)
    assert [(part.rows, part.gone) for part in parts2] == [(300_000, 1_500), (1_500, 0)]
    assert sum(counted.written.values()) < 60_000
    same, counts = upsert(parts2, again, SCHEMA, ("k",), counted.store)
    assert (same, counts.unchanged) == (parts2, 3_000)
    found = rows_changed(parts, parts2, SCHEMA, ("k",), counted.store).collect()
    assert found.height == 1_500
    assert found["columns"].to_list() == [["s"]] * 1_500
    for start in range(0, 100_000, 20_000):
        parts2, _ = upsert(parts2, table(20_000, start).with_columns(x=0.0), SCHEMA, ("k",), counted.store)
    assert all(part.gone <= 0.25 * part.rows for part in parts2)
    assert scan(parts2, SCHEMA, counted.store).select(pl.len()).collect().item() == 300_000


def test_a_diff_of_shared_parts_reads_what_they_do_not_share() -> None:
    counted = Counted("memory://")
    parts = append((), table(100_000), SCHEMA, counted.store)
    later = append(parts, table(70_000, first=100_000), SCHEMA, counted.store)
    counted.read.clear()
    found = rows_changed(parts, later, SCHEMA, ("k",), counted.store).collect()
    assert set(found["change"]) == {"added"}
    assert found.height == 70_000
    assert set(counted.read) == {later[1].cells[0].digest}


def test_removed_rows_leave_no_bytes(counted: Counted) -> None:
    mark = "anna@example.org"
    rows = table(60_000).with_columns(s=pl.when(pl.col("k") % 10_000 == 5).then(pl.lit(mark)).otherwise("s"))
    layouts = [append((), rows, SCHEMA, counted.store), replace((), rows, SCHEMA, (), counted.store)]
    hidden, _ = upsert(layouts[0], table(60_000)[5:6], SCHEMA, ("k",), counted.store)
    assert mark in scan(hidden[:1], SCHEMA, counted.store).collect()["s"]
    for parts in (*layouts, hidden):
        clean, count = remove(parts, SCHEMA, counted.store, pl.col("s") == mark)
        assert count == 6
        for digest in blobs_of(clean):
            held = pl.read_parquet(io.BytesIO(counted.blobs.get(digest)))
            assert "s" not in held.columns or mark not in held["s"]
            assert mark.encode() not in counted.blobs.get(digest)
        expected = scan(parts, SCHEMA, counted.store).filter(pl.col("s") != mark).collect()
        assert scan(clean, SCHEMA, counted.store).collect().equals(expected)
        assert set(blobs_of(clean)).isdisjoint(set(blobs_of(parts)) & {parts[0].cells[0].digest}) or parts is layouts[1]
    # versions that shared a part share the new one
    one, _ = remove(layouts[0], SCHEMA, counted.store, pl.col("s") == mark)
    two, _ = remove(hidden, SCHEMA, counted.store, pl.col("s") == mark)
    assert one[0].cells == two[0].cells


def test_a_forgotten_column_is_searched_and_never_comes_back(counted: Counted) -> None:
    parts = append((), table(1_000), SCHEMA, counted.store)
    without = append(parts, table(10, 1_000).drop("s"), SCHEMA[:2], counted.store)
    again = append(without, table(10, 1_010), SCHEMA, counted.store)
    assert scan(again, SCHEMA, counted.store).collect()["s"].null_count() == 1_010
    clean, count = remove(again, SCHEMA[:2], counted.store, pl.col("s") == "row 3")
    assert count == 11
    assert sum(part.live for part in clean) == 1_020 - 11
    nothing, count = remove(again, SCHEMA, counted.store, pl.col("unheard") == "x")
    assert (nothing, count) == (again, 0)


def test_a_type_that_kept_values_cannot_have_is_refused(counted: Counted) -> None:
    parts = append((), table(10), SCHEMA, counted.store)
    other: Schema = (("k", "integer"), ("x", "float"), ("s", "integer"))
    frame = table(10, 10).with_columns(s=1)
    with pytest.raises(InvalidInput, match="Column s is string in the rows that are kept and integer"):
        append(parts, frame, other, counted.store)
    assert scan(replace(parts, frame, other, ("k",), counted.store), other, counted.store).collect().equals(frame)
    with pytest.raises(InvalidInput, match="lack the columns s"):
        append(parts, table(10).drop("s"), SCHEMA, counted.store)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_whole_table_with_a_key_writes_what_differs(counted: Counted, shuffled: bool) -> None:
    old = table(300_000)
    parts = append((), old, SCHEMA, counted.store)
    new = old.filter(pl.col("k") % 1_000 != 7).with_columns(
        x=pl.when(pl.col("k") == 200_000).then(None).otherwise("x"),
        s=pl.when(pl.col("k") % 1_000 == 9).then(pl.lit("ż")).otherwise("s"),
    )
    new = pl.concat([new, table(5, 300_000)])
    counted.written.clear()
    arrived = new.sample(fraction=1, shuffle=True, seed=1) if shuffled else new
    second = replace(parts, arrived, SCHEMA, ("k",), counted.store)
    assert [(part.rows, part.gone) for part in second] == [(300_000, 601), (306, 0)]
    assert sum(counted.written.values()) < 20_000
    assert scan(second, SCHEMA, counted.store).sort("k").collect().equals(new)
    assert replace(second, arrived, SCHEMA, ("k",), counted.store) == second
    found = rows_changed(parts, second, SCHEMA, ("k",), counted.store).collect()
    assert dict(found.group_by("change").len().iter_rows()) == {"removed": 300, "changed": 301, "added": 5}
    anew = replace(second, table(1_000), SCHEMA, ("k",), counted.store)
    assert [part.rows for part in anew] == [1_000]


def test_missing_bytes_and_a_missing_key_are_told(counted: Counted) -> None:
    parts = append((), table(10), SCHEMA, counted.store)
    with pytest.raises(InvalidInput, match="no key"):
        rows_changed(parts, parts, SCHEMA, (), counted.store)
    counted.blobs.remove(parts[0].cells[0].digest)
    with pytest.raises((BlobMissing, pl.exceptions.ComputeError), match=parts[0].cells[0].digest):
        scan(parts, SCHEMA, counted.store).collect()


def test_rows_that_shared_a_key_before_there_was_one_become_one(counted: Counted) -> None:
    twice = pl.DataFrame({"k": [1, 1, 2, None], "x": [0.5, 0.5, 1.0, 2.0], "s": ["a", "a", "b", None]})
    parts = append((), twice, SCHEMA, counted.store)
    arriving = pl.DataFrame({"k": [1, None, 2], "x": [0.5, 2.0, 1.0], "s": ["a", None, "b"]})
    after, counts = upsert(parts, arriving, SCHEMA, ("k",), counted.store)
    assert (counts.added, counts.changed, counts.unchanged) == (0, 1, 2)
    assert scan(after, SCHEMA, counted.store).sort("x").collect().equals(arriving.sort("x"))


def test_all_rows_may_go_and_come_back(counted: Counted) -> None:
    parts = append((), table(100), SCHEMA, counted.store)
    for how in ((), ("k",)):
        assert replace(parts, table(0), SCHEMA, how, counted.store) == ()
    clean, count = remove(parts, SCHEMA, counted.store, pl.col("k") >= 0)
    assert (clean, count) == ((), 100)
    assert scan((), SCHEMA, counted.store).collect().equals(table(0))
    assert append((), table(0), SCHEMA, counted.store) == ()
    again, counts = upsert((), table(100), SCHEMA, ("k", "s"), counted.store)
    assert counts.added == 100
    assert scan(again, SCHEMA, counted.store).collect().equals(table(100))
