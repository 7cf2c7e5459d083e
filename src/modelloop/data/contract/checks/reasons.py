"""Why rows are set aside: all that they break, row by row. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from .rows import Mark


def reasons(marks: Sequence[Mark]) -> pl.DataFrame:
    """Return row (from 0, ascending) and reasons, for each row that broke something."""
    if not marks:
        return pl.DataFrame(schema={"row": pl.UInt32, "reasons": pl.List(pl.String)})
    told = pl.Series("reasons", [reason(one) for one in marks])
    which = pl.Series(np.repeat(np.arange(len(marks), dtype=np.uint32), [len(one.rows) for one in marks]))
    rows = pl.concat([one.rows for one in marks]).alias("row")
    listed = pl.DataFrame([rows, told.gather(which)])
    return listed.group_by("row", maintain_order=True).agg("reasons").sort("row")


def reason(mark: Mark) -> str:
    """Return what a row breaks, in words."""
    return f"{mark.check.column}: {mark.check.check}, expected {mark.check.expected}"
