"""From bytes to raw frames, so tolerantly that one bad value is one bad value. Pure but for files it is pointed at.

CSV comes as text throughout; the contract makes types of it later. JSON lines keep a column's type where all its values
have the same, else they become text. Parquet and Excel bring their types.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...ground.core.errors import DataRefused
from ...ground.core.later import polars as pl
from ..settings import Format, SourceSettings
from . import blocks as streams
from .csv_text import csv_frames
from .excel import sheet
from .footer import MOST_FOOTER, check_parquet
from .json_lines import json_frames, json_names

BATCH_ROWS = 500_000
MOST_CELLS = 2**24
"""Of a batch: a wide table has fewer rows in it."""
MOST_BYTES = 2**27
"""Of a batch of Parquet, unpacked: so have images."""


@dataclass(frozen=True, slots=True)
class Written:
    """How a file is written."""

    format: Format
    separator: str = ","
    encoding: str = "utf-8"
    sheet: str | None = None

    @classmethod
    def of(cls, source: SourceSettings) -> Written:
        """Return what the project file says of a source's files."""
        return cls(source.format, source.separator, source.encoding, source.sheet)


def parse(data: bytes, form: Format | Written, name: str) -> pl.DataFrame:
    """Return the file's rows; raises DataRefused with the file's name and the reason if it cannot be read."""
    written = form if isinstance(form, Written) else Written(form)
    if written.format in (Format.CSV, Format.JSONL):
        found = list(frames(lambda: [data], written, name, size=len(data)))
        with refusing(written, name, len(data)):
            return found[0] if len(found) == 1 else pl.concat(found, how="vertical_relaxed")
    with refusing(written, name, len(data)):
        if written.format is Format.BINARY:
            raise ValueError("a binary file has no rows: it is one")
        if written.format is Format.EXCEL:
            return sheet(data, written.sheet)
        check_parquet(len(data), data[:4], data[-MOST_FOOTER - 8 :])
        return pl.read_parquet(io.BytesIO(data))


def frames(read: Callable[[], Iterable[bytes]], written: Written, name: str, *, size: int) -> Iterator[pl.DataFrame]:
    """Yield the rows of CSV or JSON lines, never more than a few blocks at a time; raises DataRefused.

    `read` begins anew each time. A name that ends in `.gz` says that the bytes are packed.
    """

    def text() -> Iterator[bytes]:
        plain = streams.unpacked(read()) if name.lower().endswith(".gz") else read()
        return streams.decoded(plain, written.encoding if written.format is Format.CSV else "utf-8")

    with refusing(written, name, size):
        if written.format is Format.JSONL:
            found = json_frames(text(), json_names(text()))
        else:
            found = csv_frames(text(), written.separator)
        for frame in found:
            yield from cut(frame)


def parquet_frames(source: Path | bytes, name: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a Parquet file, a few at a time: unpacked it may be larger than memory; raises DataRefused."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    with refusing(Written(Format.PARQUET), name, size):
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            first = file.read(4)
            file.seek(max(0, size - MOST_FOOTER - 8))
            footer = check_parquet(size, first, file.read())
        table = pl.scan_parquet(source, glob=False, hive_partitioning=False)
        width, height = len(table.collect_schema()), table.select(pl.len()).collect().item()
        step = _step(width)
        if footer is not None and footer.unpacked > MOST_BYTES:
            step = max(1, min(step, height * MOST_BYTES // footer.unpacked))
        for start in range(0, max(height, 1), step):
            yield table.slice(start, step).collect()


def cut(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut a frame into batches."""
    step = _step(frame.width)
    for start in range(0, max(len(frame), 1), step):
        yield frame.slice(start, step)


def _step(width: int) -> int:
    return max(1, min(BATCH_ROWS, MOST_CELLS // max(width, 1)))


@contextmanager
def refusing(written: Written, name: str, size: int) -> Iterator[None]:
    """Turn whatever a reader stumbles over into DataRefused, with the file's name and the reason in one line."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OSError, MemoryError) as error:
        told = str(error).strip()
        reason = told.splitlines()[0][:300] if told else type(error).__name__
        if isinstance(error, pl.exceptions.PanicException):
            reason = "it is damaged: its parts do not fit together"
        raise DataRefused(
            f"{name} cannot be read as {written.format} ({size} bytes): {reason.rstrip('.')}.",
            hint="It may be cut off, still being written, or of another format. Move files in when they are complete.",
        ) from error
