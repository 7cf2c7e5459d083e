"""The footer of Parquet files: its counts are those of the table, and damaged ones are told as such."""

from __future__ import annotations

import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.data.formats.footer import check_parquet, footer


def written(frame: pl.DataFrame, **how: object) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, **how)  # type: ignore[arg-type]
    return buffer.getvalue()


def of(data: bytes) -> bytes:
    length = int.from_bytes(data[-8:-4], "little")
    return data[-8 - length : -8]


@given(rows=st.integers(0, 300), columns=st.integers(1, 40), group=st.integers(1, 100), statistics=st.booleans())
def test_its_counts_are_those_of_the_table(rows: int, columns: int, group: int, statistics: bool) -> None:
    frame = pl.DataFrame({f"c{n}": [f"{n}-{row}" if row % 3 else None for row in range(rows)] for n in range(columns)})
    frame = frame.cast(pl.String)
    told = footer(of(written(frame, row_group_size=group, statistics=statistics, compression="uncompressed")))
    assert (told.rows, told.values) == (rows, rows * columns)
    texts = sum(len(value) for value in frame.to_series().unique().drop_nulls())
    assert told.unpacked >= texts


def test_what_lists_hold_counts() -> None:
    frame = pl.DataFrame({"a": [[1] * 1000, [2] * 2000]})
    assert footer(of(written(frame))).values == 3000


@given(data=st.data())
def test_a_damaged_footer_is_told(data: st.DataObject) -> None:
    whole = bytearray(of(written(pl.DataFrame({"a": [1, 2], "b": ["x", None]}))))
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        told = footer(cut)
    except ValueError as error:
        assert "footer" in str(error)  # noqa: PT017 - or it can still be read
    else:
        assert isinstance(told.rows, int)


@given(st.binary(max_size=200))
def test_noise_is_no_footer(noise: bytes) -> None:
    try:
        footer(noise)
    except ValueError as error:
        assert "footer" in str(error)  # noqa: PT017 - or it means something by chance


def test_marks_and_lengths() -> None:
    sound = written(pl.DataFrame({"a": range(10)}))
    told = check_parquet(len(sound), sound[:4], sound)
    assert told is not None
    assert told.rows == 10
    for wrong in (b"PAR1", sound[:-1], sound[:-8] + b"\xff\xff\xff\x7fPAR1"):
        with pytest.raises(ValueError, match=r"Parquet|footer"):
            check_parquet(len(wrong), wrong[:4], wrong)
