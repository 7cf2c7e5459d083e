"""What is logged, by what it is: a number, a table, a figure, or something that is kept as a file.

No library is imported here: a value of a library that nobody imported cannot exist. What may still change after the
call is copied at once; what takes long (encoding a table) is left to the background.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

PREVIEW_ROWS = 10_000
"""So many rows a table has in its JSON form; Parquet or CSV beside it holds all."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A file to be kept: what makes its bytes, or where it lies."""

    path: str
    make: Callable[[], bytes] | None = None
    source: Path | None = None


def as_number(value: Any) -> float | None:
    """Return the number that `value` is (also a numpy scalar, a tensor of one element, a Decimal), else None."""
    if isinstance(value, (str, bytes, bytearray, Mapping)):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "size", None) is not None:
        return _of_one_element(value)
    if hasattr(value, "__float__") and not hasattr(value, "__len__"):
        try:
            return float(value)
        except (TypeError, ValueError):
            return None
    return None


def pieces(name: str, value: Any, step: int | None) -> list[Piece]:
    """Return the files that stand for a value; none where it is of a kind that has no file.

    A table becomes Parquet (CSV where its library cannot write that) and JSON, a figure PNG or HTML.
    """
    place = name if step is None else f"{name}/{step:08d}"
    if isinstance(value, os.PathLike):
        return _files(place, Path(value))
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return [Piece(place, lambda: data)]
    if isinstance(value, str):
        return [Piece(_suffixed(place, ".txt"), lambda: value.encode(errors="replace"))]
    for kind in (_figure, _frame, _rows, _array, _document):
        found = kind(place, value)
        if found:
            return found
    return []


def _of_one_element(value: Any) -> float | None:
    size = value.size() if callable(value.size) else value.size
    count = 1
    for length in size if isinstance(size, tuple) else (size,):
        count *= int(length)
    if count != 1:
        return None
    try:
        return float(value.item())
    except (TypeError, ValueError):
        return None


def _files(place: str, path: Path) -> list[Piece]:
    if path.is_dir():
        return [
            Piece(f"{place}/{Path(folder, file).relative_to(path).as_posix()}", source=Path(folder, file).absolute())
            for folder, _, files in os.walk(path)
            for file in sorted(files)
            if _stays_inside(Path(folder, file), path)
        ]
    return [Piece(_suffixed(place, path.suffix), source=path.absolute())]


def _stays_inside(file: Path, folder: Path) -> bool:
    """Say whether a file is one, and no link to what lies elsewhere."""
    return file.is_file() and (not file.is_symlink() or file.resolve().is_relative_to(folder.resolve()))


def _figure(place: str, value: Any) -> list[Piece]:
    figure = value.get_figure() if hasattr(value, "get_figure") and not hasattr(value, "savefig") else value
    place = f"figures/{place}"
    if hasattr(figure, "savefig"):  # matplotlib, seaborn; not to be drawn by two threads, hence at once
        return _now(_suffixed(place, ".png"), lambda out: figure.savefig(out, format="png", bbox_inches="tight"))
    if hasattr(figure, "to_plotly_json"):
        html: str = figure.to_html(include_plotlyjs="cdn")
        told: str = figure.to_json()
        return [Piece(f"{place}.html", html.encode), Piece(f"{place}.plotly.json", told.encode)]
    if hasattr(figure, "save") and hasattr(figure, "getbbox") and hasattr(figure, "mode"):  # PIL
        return _now(_suffixed(place, ".png"), lambda out: figure.save(out, format="PNG"))
    return []


def _now(path: str, write: Callable[[io.BytesIO], Any]) -> list[Piece]:
    buffer = io.BytesIO()
    write(buffer)
    data = buffer.getvalue()
    return [Piece(path, lambda: data)]


def _frame(place: str, value: Any) -> list[Piece]:
    """Return the pieces of a frame of Polars, pandas or Arrow, told by what it can do."""
    place = f"tables/{place}"
    if hasattr(value, "collect") and hasattr(value, "lazy"):
        value = value.collect()
    if hasattr(value, "write_parquet") and hasattr(value, "iter_rows"):
        frame = value.clone()
        return [
            Piece(f"{place}.parquet", lambda: _written(frame.write_parquet)),
            Piece(f"{place}.json", lambda: _table(frame.columns, frame.head(PREVIEW_ROWS).rows())),
        ]
    if hasattr(value, "to_parquet") and hasattr(value, "itertuples"):
        copy = value.copy()
        return [_of_pandas(place, copy), Piece(f"{place}.json", lambda: _pandas_json(copy))]
    if hasattr(value, "to_pylist") and hasattr(value, "column_names"):
        return _rows(place.removeprefix("tables/"), value.to_pylist())
    return []


def _of_pandas(place: str, frame: Any) -> Piece:
    try:  # pyarrow or fastparquet may be missing: it says so with an ImportError, before it looks at the frame
        frame.head(0).to_parquet(io.BytesIO())
    except (ImportError, ValueError, TypeError):
        return Piece(f"{place}.csv", lambda: frame.to_csv(index=False).encode())
    return Piece(f"{place}.parquet", lambda: _written(frame.to_parquet))


def _pandas_json(frame: Any) -> bytes:
    rows = list(frame.head(PREVIEW_ROWS).astype(object).itertuples(index=False, name=None))
    return _table([str(name) for name in frame.columns], rows)


def _rows(place: str, value: Any) -> list[Piece]:
    """Return the pieces of a list of mappings."""
    if not isinstance(value, list | tuple) or not value or not all(isinstance(row, Mapping) for row in value):
        return []
    rows = [dict(row) for row in value]
    columns = list(dict.fromkeys(str(name) for row in rows for name in row))
    return [
        Piece(f"tables/{place}.csv", lambda: _csv(columns, rows)),
        Piece(
            f"tables/{place}.json",
            lambda: _table(columns, [[row.get(name) for name in columns] for row in rows[:PREVIEW_ROWS]]),
        ),
    ]


def _array(place: str, value: Any) -> list[Piece]:
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        value = value.detach().cpu().numpy()
    if not hasattr(value, "__array_interface__") or not hasattr(value, "dtype") or value.dtype.hasobject:
        return []
    head, body = _npy_head(value), value.tobytes()
    return [Piece(_suffixed(place, ".npy"), lambda: head + body)]


def _npy_head(array: Any) -> bytes:
    """Return the head of numpy's own file format, version 1, for a C-ordered array."""
    described = array.dtype.descr if array.dtype.names else array.dtype.str
    told = f"{{'descr': {described!r}, 'fortran_order': False, 'shape': {tuple(array.shape)!r}, }}"
    told += " " * (-(10 + len(told) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(told).to_bytes(2, "little") + told.encode("latin-1")


def _document(place: str, value: Any) -> list[Piece]:
    if not isinstance(value, Mapping | list | tuple):
        return []
    text = json.dumps(value, ensure_ascii=False, default=str, indent=1)  # at once: it may change
    return [Piece(_suffixed(place, ".json"), lambda: text.encode(errors="replace"))]


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Return a table as MLflow's `log_table` writes it."""
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return orjson.dumps({"columns": list(columns), "data": [list(row) for row in rows]}, default=str, option=options)


def _csv(columns: Sequence[str], rows: Sequence[Mapping[Any, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([row.get(name) for name in columns] for row in rows)
    return out.getvalue().encode(errors="replace")


def _written(write: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _suffixed(place: str, suffix: str) -> str:
    return place if not suffix or Path(place).suffix == suffix or Path(place).suffix in _KNOWN else place + suffix


_KNOWN = frozenset((".txt", ".md", ".json", ".html", ".csv", ".png", ".jpg", ".svg", ".pdf", ".npy", ".yaml", ".log"))
