"""Bytes that a commit of 10,000 changed rows of a million adds, beside those of the table."""

from __future__ import annotations

from ..commits import keyed, plain_size, tables
from ..measure import Measured, Work, versions


def _run() -> Measured:
    given = tables()
    return Measured(keyed(given).bytes / 1e6, plain_size(given) / 1e6, "MB")


WORK = Work("bytes of a 1 % change, by key", f"the table as one Parquet file ({versions('polars')})", 0.02, _run)
