"""Any bytes are a table or refused with a reason; what is a table comes back as it was, however it is cut."""

from __future__ import annotations

import csv
import gzip
import io
import json
import string
from contextlib import suppress
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broken_files import Broken, broken_files, parquet, xlsx
from modelloop.data.formats.parse import Written, frames, parse
from modelloop.data.settings import Format
from modelloop.ground.core.errors import DataRefused

CORPUS = broken_files()
TEXT = [Format.CSV, Format.JSONL]


@pytest.mark.parametrize("broken", CORPUS, ids=lambda one: one.name)
def test_a_broken_file_is_refused_with_its_name_and_the_reason(broken: Broken) -> None:
    with pytest.raises(DataRefused) as caught:
        parse(broken.data, Written(broken.format, encoding=broken.encoding), broken.name)
    message = caught.value.message
    assert message.startswith(f"{broken.name} cannot be read as {broken.format} ({len(broken.data)} bytes)")
    assert broken.said in message
    assert message.endswith(".")
    assert ".." not in message
    assert len(message) < 500


@pytest.mark.parametrize("form", [Format.CSV, Format.JSONL, Format.PARQUET, Format.EXCEL])
@given(data=st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_frame_or_refused(form: Format, data: bytes) -> None:
    whole_or_refused(data, form)


@pytest.mark.parametrize("form", TEXT)
@given(data=st.text(alphabet=',;"\n\r\\{}[]:1ab\0é \t', max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_frame_or_refused(form: Format, data: str) -> None:
    whole_or_refused(data.encode(), form)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_damaged_excel_file_is_a_frame_or_refused(damage: list[tuple[int, int]], cut: bool) -> None:
    data = bytearray(xlsx({"One": [["a", "b"], [1, "x"], [2.5, None]]}))
    for place, value in damage:
        data[place % len(data)] = value
    whole_or_refused(bytes(data[: damage[0][0] % len(data)] if cut else data), Format.EXCEL)


@pytest.mark.parametrize("share", range(0, 100, 9))
def test_a_cut_parquet_file_is_refused(share: int) -> None:
    data = parquet()
    with pytest.raises(DataRefused, match="cannot be read as parquet"):
        parse(data[: len(data) * share // 100], Format.PARQUET, "f")


def whole_or_refused(data: bytes, form: Format) -> None:
    with suppress(DataRefused):
        assert isinstance(parse(data, form, "f"), pl.DataFrame)


VALUE = st.text(alphabet=string.ascii_letters + string.digits + ",;\"\n'é€ 😀", min_size=1, max_size=8)
"""Never empty: in CSV that is a missing value."""
TABLES = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(VALUE, min_size=width, max_size=width), min_size=1, max_size=30)
)


@given(rows=TABLES, size=st.integers(1, 40), packed=st.booleans())
@settings(max_examples=150, deadline=None)
def test_csv_comes_back_however_its_blocks_are_cut(rows: list[list[str]], size: int, packed: bool) -> None:
    names = [f"c{n}" for n in range(len(rows[0]))]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([names, *rows])
    data = buffer.getvalue().encode()
    data = gzip.compress(data) if packed else data
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    name = "f.csv.gz" if packed else "f.csv"
    found = pl.concat(frames(lambda: blocks, Written(Format.CSV), name, size=len(data)))
    assert found.columns == names
    assert [list(row) for row in found.rows()] == rows


JSON = st.one_of(st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(allow_nan=False), VALUE)


@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), JSON, min_size=1), min_size=1), size=st.integers(1, 50))
@settings(max_examples=150, deadline=None)
def test_json_lines_come_back_however_their_blocks_are_cut(rows: list[dict[str, object]], size: int) -> None:
    data = "\n".join(json.dumps(row) for row in rows).encode()
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    found = pl.concat(frames(lambda: blocks, Written(Format.JSONL), "f", size=1), how="vertical_relaxed")
    for name in found.columns:
        wanted = [row.get(name) for row in rows]
        got = found[name].to_list()
        if found[name].dtype == pl.String:
            wanted = [value if value is None or isinstance(value, str) else json.dumps(value) for value in wanted]
        assert got == wanted


@given(rows=TABLES)
@settings(max_examples=60, deadline=None)
def test_excel_and_parquet_come_back(rows: list[list[str]]) -> None:
    rows = [[value.strip() or "x" for value in row] for row in rows]
    names = [f"c{n}" for n in range(len(rows[0]))]
    book = parse(xlsx({"S": [names, *rows]}), Format.EXCEL, "f.xlsx")
    assert [list(row) for row in book.rows()] == rows
    buffer = io.BytesIO()
    book.write_parquet(buffer)
    assert parse(buffer.getvalue(), Format.PARQUET, "f").equals(book)


def test_excel_values_come_as_written() -> None:
    data = xlsx({"One": [["id", "x"], [1, 0.5], ["007", "n/a"], [None, None], [2, 3]], "Two": [["other"], ["here"]]})
    assert parse(data, Format.EXCEL, "f").rows() == [("1", "0.5"), ("007", "n/a"), ("2", "3")]
    assert parse(data, Written(Format.EXCEL, sheet="Two"), "f").rows() == [("here",)]
    with pytest.raises(DataRefused, match="no sheet 'Three'; it has One, Two"):
        parse(data, Written(Format.EXCEL, sheet="Three"), "f")


@pytest.mark.parametrize(
    ("data", "written", "rows"),
    [
        (b"\xef\xbb\xbfa,b\n1,2", Written(Format.CSV), [("1", "2")]),
        (b"a;b\n1,5;2\n", Written(Format.CSV, separator=";"), [("1,5", "2")]),
        ("a,b\né,2\n".encode("latin-1"), Written(Format.CSV, encoding="latin-1"), [("é", "2")]),
        ("a,b\né,2\n".encode("utf-16"), Written(Format.CSV, encoding="utf-16"), [("é", "2")]),
        ("a,b\n€,2\n".encode("cp1252"), Written(Format.CSV, encoding="cp1252"), [("€", "2")]),
        (b"a,b\n1,2\r\n\r\n\n", Written(Format.CSV), [("1", "2")]),
        (b"a,b\n1,\n", Written(Format.CSV), [("1", None)]),
        (b"a\n1\n\n2\n", Written(Format.CSV), [("1",), (None,), ("2",)]),
        (b"a,b\n", Written(Format.CSV), []),
        (b'"a\nb",c\n1,2\n', Written(Format.CSV), [("1", "2")]),
        (b'{"a": NaN}\n', Written(Format.JSONL), [(float("nan"),)]),
        (b'{"a": [1, {"b": 2}]}\n\n{"a": null}', Written(Format.JSONL), [('[1, {"b": 2}]',), (None,)]),
        (b'{"a": 18446744073709551617}', Written(Format.JSONL), [(18446744073709551617,)]),
    ],
)
def test_unusual_files_are_read(data: bytes, written: Written, rows: list[tuple[object, ...]]) -> None:
    assert str(parse(data, written, "f").rows()) == str(rows)


def test_ten_thousand_columns_are_no_trouble() -> None:
    wide = ",".join(f"c{n}" for n in range(10_000)) + "\n" + ",".join("1" for _ in range(10_000)) + "\n"
    assert parse(wide.encode(), Format.CSV, "f").shape == (1, 10_000)


def test_an_encoding_that_is_none_is_told() -> None:
    for encoding in ("nonsense", "rot13", "base64"):
        with pytest.raises(DataRefused, match=f"no encoding of text is called '{encoding}'"):
            parse(b"a\n1\n", Written(Format.CSV, encoding=encoding), "f")


def test_lines_are_counted_over_blocks() -> None:
    data = b"a,b\n" + b"1,2\n" * 1000 + b'"x\ny",2\n' + b"1,2,3\n"
    blocks = [data[start : start + 100] for start in range(0, len(data), 100)]
    with pytest.raises(DataRefused, match="line 1004 has 3 fields, the header has 2"):
        list(frames(lambda: blocks, Written(Format.CSV), "f", size=len(data)))
    damaged = [*blocks[:-1], b"\xff\xff"]
    with pytest.raises(DataRefused, match=f"line {data[: len(data) // 100 * 100].count(10) + 1} has the byte 0xff"):
        list(frames(lambda: damaged, Written(Format.CSV), "f", size=len(data)))


def test_batches_are_small_where_a_table_is_wide() -> None:
    data = (
        ",".join(f"c{n}" for n in range(2000)) + "\n" + (",".join("1" for _ in range(2000)) + "\n") * 10_000
    ).encode()
    sizes = [len(one) for one in frames(lambda: [data], Written(Format.CSV), "f", size=len(data))]
    assert sum(sizes) == 10_000
    assert max(sizes) * 2000 <= 2**24


def test_times_of_parquet_stay_times() -> None:
    buffer = io.BytesIO()
    pl.DataFrame({"at": [datetime(2013, 1, 1, tzinfo=UTC)]}).write_parquet(buffer)
    assert parse(buffer.getvalue(), Format.PARQUET, "f").schema["at"] == pl.Datetime("us", "UTC")
