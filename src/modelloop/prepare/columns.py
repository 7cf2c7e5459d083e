"""From Polars frames to the plain columns that a transform reads. The only place where preparation meets both.

Polars is not imported here: whoever hands over a frame has it already, and the gateway never does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from .records import Columns

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

    Frame = pl.DataFrame | pl.LazyFrame


def from_frame(frame: Frame, names: Iterable[str] | None = None) -> Columns:
    """Return the named columns (all, if none are named) as float64, int64, bool or object (str or None).

    Whole numbers and booleans with nulls become float64 with NaN. Dates and times become ISO 8601 text, as a caller of
    the endpoint sends them. Bytes stay bytes, and lists of numbers of one length become arrays of more dimensions.
    Durations and other nested values raise InvalidInput. Of a lazy frame only the named columns are collected.
    """
    schema = frame.collect_schema()
    wanted = list(schema.names() if names is None else names)
    absent = [name for name in wanted if name not in schema]
    if absent:
        raise InvalidInput(
            f"The frame has no column {', '.join(map(repr, absent))}.", hint=f"It has: {', '.join(schema.names())}."
        )
    taken: pl.DataFrame = frame.lazy().select(wanted).collect()
    return {name: _column(taken.get_column(name)) for name in wanted}


def columns_of(given: Columns | Frame, reads: Mapping[str, bool], raw: Collection[str] = ()) -> Columns:
    """Return the columns to fit on: `reads` names them and says whether times may stand there; `raw`: where bytes may.

    A column that is absent is left out; the op that wants it says so. Others may be of any type.
    """
    if isinstance(given, Mapping):
        return given
    schema = given.collect_schema()
    for name, times in reads.items():
        if name in schema and schema[name].is_temporal() and not times:
            raise InvalidInput(
                f"The column {name!r} holds {schema[name]}; only date_part, elapsed and flag_missing read times.",
                hint="Make numbers of it first: date_part(column, 'hour').",
            )
        if name in schema and str(schema[name]) == "Binary" and name not in raw:
            raise InvalidInput(
                f"The column {name!r} holds bytes; only picture reads them.", hint="Make text of it first."
            )
    return from_frame(given, [name for name in schema.names() if name in reads])


def _column(series: pl.Series) -> npt.NDArray[Any]:
    dtype = series.dtype
    kind = str(dtype).partition("(")[0]
    if dtype.is_float() or dtype.is_decimal():
        return series.to_numpy().astype(np.float64)
    if dtype.is_integer():
        return series.to_numpy().astype(np.float64 if series.null_count() else np.int64)
    if kind == "Boolean":
        if not series.null_count():
            return series.to_numpy().astype(np.bool_)
        return np.array([np.nan if value is None else float(value) for value in series.to_list()], np.float64)
    if kind in ("String", "Categorical", "Enum"):
        return np.array(series.to_list(), dtype=object)
    if kind == "Binary":
        made = np.empty(len(series), dtype=object)
        made[:] = series.to_list()
        return made
    if kind in ("Array", "List"):
        return _nested(series)
    if kind == "Null":
        return np.full(len(series), None, dtype=object)
    if kind in ("Date", "Datetime"):
        moments = series.dt.cast_time_unit("us") if kind == "Datetime" else series
        return np.array(moments.dt.to_string("iso:strict").to_list(), dtype=object)
    raise _no_column(series)


def _nested(series: pl.Series) -> npt.NDArray[Any]:
    """Return lists of one length, however deep, as one array with the rows first."""
    try:
        found = series.to_numpy() if str(series.dtype).startswith("Array") else np.array(series.to_list())
    except ValueError as error:  # lists of several lengths
        raise InvalidInput(f"The lists of the column {series.name!r} have several lengths.") from error
    if found.dtype.kind not in "fiub":
        raise _no_column(series)
    return found


def _no_column(series: pl.Series) -> InvalidInput:
    dtype = series.dtype
    return InvalidInput(
        f"The column {series.name!r} holds {dtype}; a transform reads numbers, booleans, strings, dates and times.",
        hint="Make one of these first, for example pl.col(...).dt.total_seconds() of a duration.",
    )
