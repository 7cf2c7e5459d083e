"""Proof that features know nothing of the future: build them again without it and see that nothing changes.

A feature of a row may depend only on what was known at the row's moment. So for a sampled moment t, all that became
known after t is taken out of the tables, everything is built again, and every row up to t must come out as before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from ..ground.core.errors import InvalidInput, LeakFound
from ..ground.core.later import numpy as np
from ..ground.core.later import polars as pl

TOLERANCE = 1e-9
"""Relative; for floating-point sums whose order may differ."""


def prove_no_future(
    build: Callable[..., pl.DataFrame],
    tables: Mapping[str, pl.DataFrame],
    *,
    known_at: Mapping[str, str | None],
    at: str,
    sample: int = 5,
    seed: int = 0,
) -> int:
    """Call `build(**tables)` once whole and `sample` times without the future; return how many row comparisons held.

    `known_at` names, for each table, the column with the moment its rows became known; None says out loud that a table
    was always known. A column that is filled in later than the rest of its row (a result) belongs in its own table.
    `build` must keep the order of rows. Raises LeakFound with the features, the moment and an example.
    """
    undated = sorted(set(tables) - set(known_at))
    if undated:
        raise InvalidInput(
            f"Nothing says when the rows of {undated[0]!r} became known.",
            hint="Name its column in known_at, or give None if all of it was always known.",
        )
    whole = build(**tables)
    moments = whole.get_column(at).drop_nulls().unique().sort()
    if not len(moments):
        raise InvalidInput(f"No row has a value in {at!r}; there is nothing to prove.")
    chosen = np.random.default_rng(seed).choice(len(moments), size=min(sample, len(moments)), replace=False)
    compared = 0
    for cut in (moments[int(index)] for index in sorted(chosen)):
        then = build(**{name: _before(table, known_at[name], cut) for name, table in tables.items()})
        compared += _compare(whole.filter(pl.col(at) <= cut), then.filter(pl.col(at) <= cut), at, cut)
    return compared


def _before(table: pl.DataFrame, known_at: str | None, cut: datetime) -> pl.DataFrame:
    return table if known_at is None else table.filter(pl.col(known_at) <= cut)


def _compare(whole: pl.DataFrame, then: pl.DataFrame, at: str, cut: datetime) -> int:
    if whole.columns != then.columns or len(whole) != len(then):
        raise LeakFound(
            f"Without what became known after {cut}, there are {len(then)} rows up to then instead of {len(whole)}, "
            f"or other columns.",
            hint="Rows must not appear, vanish or change place because of the future.",
        )
    leaks = {}
    for name in whole.columns:
        differs = _differs(whole.get_column(name), then.get_column(name))
        if differs.any():
            leaks[name] = differs
    if not leaks:
        return len(whole)
    first, differs = next(iter(leaks.items()))
    index = int(differs.arg_max() or 0)
    raise LeakFound(
        f"{', '.join(map(repr, leaks))} changed when what became known after {cut} was taken out: {first} of the row "
        f"at {whole[at][index]} is {whole[first][index]} with the future and {then[first][index]} without.",
        hint="Join by the moment a fact became known (prepare.pointintime), not by the moment it is about.",
        detail={"features": {name: int(bad.sum()) for name, bad in leaks.items()}, "cut": str(cut)},
    )


def _differs(a: pl.Series, b: pl.Series) -> pl.Series:
    if not (a.dtype.is_float() and b.dtype.is_numeric()):
        return a.ne_missing(b)
    one, two = a.cast(pl.Float64).fill_nan(None), b.cast(pl.Float64).fill_nan(None)
    near = (one - two).abs() <= TOLERANCE * (1.0 + one.abs())
    return one.ne_missing(two) & ~(near & one.is_finite()).fill_null(value=False)
