"""Bytes that a whole new file adds, of which 1 % differs in one column, beside those of the table."""

from __future__ import annotations

from ..commits import plain_size, tables, whole_file
from ..measure import Measured, Work, versions


def _run() -> Measured:
    given = tables()
    return Measured(whole_file(given).bytes / 1e6, plain_size(given) / 1e6, "MB")


WORK = Work(
    "bytes of a whole new file, 1 % of it changed, no key",
    f"the table as one Parquet file ({versions('polars')})",
    0.15,
    _run,
)
