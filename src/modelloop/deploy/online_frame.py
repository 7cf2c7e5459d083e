"""From a dataset's rows to the arrays of an online table. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..ground.core.later import polars as pl
from .online import Column, encode
from .settings import OnlineSettings

if TYPE_CHECKING:
    import numpy.typing as npt


def check_columns(name: str, settings: OnlineSettings, known: list[str]) -> None:
    """Raise InvalidInput where the dataset lacks a column that the table needs."""
    wanted = dict.fromkeys([*settings.key, settings.time, *settings.values])
    lost = [column for column in wanted if column not in known]
    if lost:
        raise InvalidInput(
            f"The online table {name!r} needs {', '.join(lost)}, which the dataset {settings.dataset!r} does not have.",
            hint=f"It has: {', '.join(known)}.",
        )
    if not settings.key or not settings.values:
        raise InvalidInput(f"The online table {name!r} names no key or no values.", hint="Name at least one of each.")


def to_table(name: str, settings: OnlineSettings, rows: pl.LazyFrame) -> tuple[bytes, int, dict[str, str]]:
    """Return the table's bytes, how many rows it has, and the datatypes of its values. Raises InvalidInput."""
    check_columns(name, settings, rows.collect_schema().names())
    wanted = list(dict.fromkeys([*settings.key, settings.time, *settings.values]))
    named = pl.all_horizontal(pl.col(settings.time).is_not_null(), *(pl.col(k).is_not_null() for k in settings.key))
    ordered = rows.select(wanted).filter(named).sort(settings.time, maintain_order=True)
    frame = ordered.group_by(settings.key, maintain_order=True).tail(settings.history).collect()
    columns = {column: _column(name, frame[column]) for column in settings.values}
    keys = list(zip(*(_parts(frame[column]) for column in settings.key), strict=True))
    data = encode(settings.key, keys, _moments(name, frame[settings.time]), columns)
    return data, frame.height, {column: made.datatype for column, made in columns.items()}


def _moments(name: str, series: pl.Series) -> npt.NDArray[np.int64]:
    if series.dtype == pl.Date:
        series = series.cast(pl.Datetime("us"))
    if not isinstance(series.dtype, pl.Datetime):
        raise InvalidInput(
            f"The online table {name!r} takes {series.name!r} for the time, which is of the type {series.dtype}.",
            hint="Name a column of dates or times.",
        )
    return series.dt.timestamp("us").to_numpy()


def _parts(series: pl.Series) -> list[Any]:
    """Return a key column's values as a request would send them: times as text."""
    if series.dtype.is_temporal():
        return series.map_elements(lambda value: value.isoformat(), return_dtype=pl.String).to_list()
    return series.to_list()


def _column(name: str, series: pl.Series) -> Column:
    dtype, valid = series.dtype, series.is_not_null().to_numpy() if series.null_count() else None
    if dtype == pl.Boolean:
        return Column("BOOL", series.fill_null(value=False).to_numpy(), valid)
    if dtype.is_integer():
        return Column("INT64", series.fill_null(0).cast(pl.Int64).to_numpy(), valid)
    if dtype.is_numeric():
        return Column("FP64", series.cast(pl.Float64).fill_null(float("nan")).to_numpy())
    if dtype == pl.String or dtype.is_temporal() or dtype in (pl.Categorical, pl.Enum):
        texts = np.array(_parts(series.cast(pl.String) if not dtype.is_temporal() else series), dtype=object)
        return Column("BYTES", texts, valid)
    raise InvalidInput(
        f"The online table {name!r} cannot hold the column {series.name!r} of the type {dtype}.",
        hint="Numbers, booleans, texts and times can be looked up.",
    )
