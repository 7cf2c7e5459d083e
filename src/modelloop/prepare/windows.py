"""How the rows of time windows are aggregated: by what runs along the facts, or by sliding along rows and facts.

Names that begin with two underscores are columns of the way there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..ground.core.later import polars as pl

ROWS = "__rows"


class Wants(Protocol):
    """An aggregate (`pointintime.Aggregate`)."""

    @property
    def how(self) -> str:
        """Return sum, mean, count, min, max, std or last."""
        ...

    @property
    def column(self) -> str:
        """Return the column, or nothing for a count of rows."""
        ...


def running(facts: pl.LazyFrame, wanted: list[Wants], by: tuple[str, ...], at: str) -> tuple[pl.LazyFrame, list[str]]:
    """Return the facts, which stand in the order of time, with what was known so far; and the names of that."""
    columns = sorted({one.column for one in wanted if one.column})
    values = facts.with_columns(_finite(column).alias(f"__{column}") for column in columns)
    states: dict[str, pl.Expr] = {}
    for one in wanted:
        states |= _states(one, at)
    found = values.with_columns((state.over(by) if by else state).alias(name) for name, state in states.items())
    return found, list(states)


def result(one: Wants, *, lower: str | None) -> pl.Expr:
    """Return the aggregate, from what was known at the end and, if there is a lower bound, at the beginning."""
    bounded = lower is not None
    if not one.column:
        return _gained(ROWS, bounded=bounded)
    key = f"__{one.column}"
    count = _gained(f"{key}_n", bounded=bounded)
    if one.how == "count":
        return count
    if one.how in ("sum", "mean"):
        # without values the sum is exactly 0, whatever rounding left
        total = pl.when(count > 0).then(_gained(f"{key}_sum", bounded=bounded))
        return total.fill_null(0.0) if one.how == "sum" else total / count
    if one.how == "last":
        last = pl.col(f"{key}_last")
        return last if lower is None else pl.when(pl.col(f"{key}_at") > pl.col(lower)).then(last)
    if one.how == "std":
        spread = pl.col(f"{key}_squares") - pl.col(f"{key}_moved").pow(2) / count
        return pl.when(count > 1).then((spread.clip(0.0) / (count - 1)).sqrt())
    return pl.col(f"{key}_{one.how}")


def sliding(
    rows: pl.LazyFrame, facts: pl.LazyFrame, wanted: Mapping[str, Wants], *, by: tuple[str, ...], at: str, width: int
) -> pl.LazyFrame:
    """Return `rows` with min, max or std of the facts up to the row's `at`, and not older than `width` before it.

    Rows and facts of a group stand in one line, and each row looks back along it.
    """
    columns = sorted({one.column for one in wanted.values()})
    values = [_finite(column).alias(f"__{column}_slid") for column in columns]
    past = facts.select(*by, at, *values, pl.lit(value=True).alias("__fact"))
    line = pl.concat([rows.with_columns(pl.lit(value=False).alias("__fact")), past], how="diagonal").sort(
        at, maintain_order=True
    )
    slides = [(name, _slide(one, at, width)) for name, one in wanted.items()]
    line = line.with_columns((slide.over(by) if by else slide).alias(name) for name, slide in slides)
    return line.filter(~pl.col("__fact"))


def _states(one: Wants, at: str) -> dict[str, pl.Expr]:
    if not one.column:
        return {ROWS: pl.int_range(1, pl.len() + 1)}
    key, value = f"__{one.column}", pl.col(f"__{one.column}")
    states = {f"{key}_n": value.is_not_null().cast(pl.Int64).cum_sum()}
    if one.how in ("sum", "mean"):
        states[f"{key}_sum"] = value.fill_null(0.0).cum_sum()
    elif one.how == "last":
        states[f"{key}_last"] = value.forward_fill()
        states[f"{key}_at"] = pl.when(value.is_not_null()).then(pl.col(at)).forward_fill()
    elif one.how == "std":
        # squares around the first value, so that large numbers close together lose nothing
        moved = (value - value.drop_nulls().first()).fill_null(0.0)
        states |= {f"{key}_moved": moved.cum_sum(), f"{key}_squares": moved.pow(2).cum_sum()}
    elif one.how in ("min", "max"):
        so_far = value.cum_min() if one.how == "min" else value.cum_max()
        states[f"{key}_{one.how}"] = so_far.forward_fill()
    return states


def _slide(one: Wants, at: str, width: int) -> pl.Expr:
    value, size = pl.col(f"__{one.column}_slid"), f"{width}i"
    if one.how == "min":
        return value.rolling_min_by(at, window_size=size)
    if one.how == "max":
        return value.rolling_max_by(at, window_size=size)
    return value.rolling_std_by(at, window_size=size, min_samples=2)


def _finite(column: str) -> pl.Expr:
    """Return the value where it is a finite number, else null: one NaN would spoil a running sum for good."""
    number = pl.col(column).cast(pl.Float64)
    return pl.when(number.is_finite()).then(number)


def _gained(name: str, *, bounded: bool) -> pl.Expr:
    """Return what a running sum gained within the window."""
    upper = pl.col(name).fill_null(0)
    return upper - pl.col(f"{name}_before").fill_null(0) if bounded else upper
