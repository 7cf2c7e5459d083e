"""From Polars frames to the plain columns that a transform reads. The only place where preparation meets both.

Polars is not imported here: whoever hands over a frame has it already, and the gateway never does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..ground.core.errors import InvalidInput
from .records import Columns

if TYPE_CHECKING:
    import polars as pl


def from_frame(frame: pl.DataFrame, names: Iterable[str] | None = None) -> Columns:
    """Return the named columns (all, if none are named) as float64, int64, bool or object (str or None).

    Whole numbers and booleans with nulls become float64 with NaN. Times and nested values raise InvalidInput: make
    numbers of them first.
    """
    wanted = list(frame.columns if names is None else names)
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise InvalidInput(
            f"The frame has no column {', '.join(map(repr, absent))}.", hint=f"It has: {', '.join(frame.columns)}."
        )
    return {name: _column(frame.get_column(name)) for name in wanted}


def _column(series: pl.Series) -> npt.NDArray[Any]:
    dtype = series.dtype
    if dtype.is_float() or dtype.is_decimal():
        return series.to_numpy().astype(np.float64)
    if dtype.is_integer():
        return series.to_numpy().astype(np.float64 if series.null_count() else np.int64)
    if str(dtype) == "Boolean":
        if not series.null_count():
            return series.to_numpy().astype(np.bool_)
        return np.array([np.nan if value is None else float(value) for value in series.to_list()], np.float64)
    if str(dtype).partition("(")[0] in ("String", "Categorical", "Enum"):
        return np.array(series.to_list(), dtype=object)
    if str(dtype) == "Null":
        return np.full(len(series), None, dtype=object)
    raise InvalidInput(
        f"The column {series.name!r} holds {dtype}; a transform reads numbers, booleans and strings.",
        hint="Make numbers of it first, for example pl.col(...).dt.hour().",
    )
