"""Shared data: what goes onto a shelf comes back equal, mapped, read-only; what has no safe form is refused."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from polars.testing import assert_frame_equal, assert_series_equal
from polars.testing.parametric import dataframes

from modelloop.ground.core.errors import InvalidInput
from modelloop.train.parallel.shelf import Shelf, as_given, open_value

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


def there_and_back(value: Any) -> Any:
    shelf = Shelf()
    try:
        told = json.loads(json.dumps(shelf.put("it", value)))
        return open_value(told, shelf.folder)
    finally:
        shelf.close()


@given(PLAIN)
@settings(max_examples=50, deadline=None)
def test_plain_values_come_back(value: Any) -> None:
    assert there_and_back(value) == value


@given(arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)))
@settings(max_examples=50, deadline=None)
def test_arrays_come_back(value: Any) -> None:
    found = there_and_back(value)
    assert found.dtype == value.dtype
    assert type(found) is np.ndarray
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, value)


@given(
    dataframes(
        min_cols=1,
        max_cols=5,
        max_size=50,
        allow_chunks=True,
        excluded_dtypes=[pl.Object],
    )
)
@settings(max_examples=60, deadline=None)
def test_frames_come_back(frame: pl.DataFrame) -> None:
    assert_frame_equal(there_and_back(frame), frame, categorical_as_str=True)


def test_frames_of_every_kind_of_column() -> None:
    n = 300
    frame = pl.DataFrame(
        {
            "text": [None if i % 7 == 0 else "x" * (i % 40) for i in range(n)],
            "lists": [[1, 2], None, []] * (n // 3),
            "structs": [{"x": i, "y": f"q{i}"} for i in range(n)],
            "bytes": [b"abc" * i for i in range(n)],
            "nothing": [None] * n,
            "times": [dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) for i in range(n)],
            "enum": pl.Series(["u", "v", None] * (n // 3), dtype=pl.Enum(["u", "v", "w"])),
            "wide": pl.Series([[1.0, 2.0]] * n, dtype=pl.Array(pl.Float32, 2)),
            "huge": pl.Series([2**100] * n, dtype=pl.Int128),
        }
    ).with_columns(cat=pl.col("text").cast(pl.Categorical), money=pl.col("huge").cast(pl.Float64) % 7)
    for part in (frame, frame[7:211], frame.head(0), frame.filter(pl.col("money") > 1)):
        assert_frame_equal(there_and_back(part), part, categorical_as_str=True)
    assert_series_equal(there_and_back(frame["text"]), frame["text"])


def test_any_arrow_table_comes_back_as_a_polars_frame() -> None:
    class Table:
        def __init__(self, frame: pl.DataFrame) -> None:
            self._frame = frame

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return self._frame.__arrow_c_stream__(requested_schema)

    frame = pl.DataFrame({"a": [1, 2]})
    assert_frame_equal(there_and_back(Table(frame)), frame)
    assert_frame_equal(as_given({"t": Table(frame)})["t"], frame)


def test_a_mapped_file_is_not_written_again(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(1000.0))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    shelf = Shelf()
    told = shelf.put("x", mapped)
    assert not list(shelf.folder.glob("*.npy"))
    np.testing.assert_array_equal(open_value(told, shelf.folder), mapped)
    assert open_value(shelf.put("x", mapped[3:7]), shelf.folder).tolist() == [3.0, 4.0, 5.0, 6.0]
    shelf.close()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "'it' is a object, which has no safe form"),
        (np.array([object()]), "ndarray of object"),
        (np.ma.masked_array([1.0], [True]), "MaskedArray"),
        ({"a": {(1, 2): 3}}, "has a key"),
        ({"a": [1, {2}]}, r"it\['a'\]\[1\]' is a set|a'\]\[1\]"),
        (pl.LazyFrame({"a": [1]}), "LazyFrame.*collect"),
    ],
)
def test_what_has_no_safe_form_is_refused(value: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        there_and_back(value)


def test_tensors_come_back() -> None:
    torch = pytest.importorskip("torch")
    found = there_and_back({"w": torch.arange(6.0).reshape(2, 3)})
    assert torch.equal(found["w"], torch.arange(6.0).reshape(2, 3))
    with pytest.raises(InvalidInput, match=r"tensor\.float\(\)"):
        there_and_back(torch.ones(2, dtype=torch.bfloat16))


def test_what_a_killed_process_left_is_removed() -> None:
    text = (
        "import os\nfrom modelloop.train.parallel.shelf import Shelf\n"
        "print(Shelf().folder, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, check=False)
    left = Path(done.stdout.strip())
    assert left.exists()
    living = Shelf()
    assert not left.exists()
    other = Shelf()
    assert living.folder.exists()
    assert living.folder.stat().st_mode & 0o077 == 0
    living.close()
    other.close()


@pytest.mark.parametrize("made", ["np.ones(1_000_000)", "pl.DataFrame({'a': np.ones(1_000_000)})", "bytes(8_000_000)"])
def test_a_full_disk_is_told(made: str) -> None:
    text = (
        "import resource, numpy as np, polars as pl\nfrom modelloop.train.parallel.shelf import Shelf\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        f"Shelf().put('x', {made})"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert "StoreUnavailable: There is no room in" in done.stderr
    assert "Set TMPDIR" in done.stderr
