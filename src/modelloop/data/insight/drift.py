"""An arrival compared with a reference, column by column, with one promise over all columns. Pure.

A column drifted if its change is significant (Kolmogorov-Smirnov or chi-square, and missing values besides) after
Benjamini and Yekutieli's correction over the columns, and if its Jensen-Shannon distance is beyond the margin. So where
nothing changed, at most a share `false_alarms` of all reports says that anything did; and a change too small to matter
is none, however many rows prove it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from ...ground.core.later import polars as pl
from ...ground.stats.multiple import benjamini_yekutieli
from ..records import ColumnDrift, SourceDrift
from ..settings import SourceDriftSettings
from .apart import Apart, Counted, categories_apart, exploded, missing_apart, null_rate, numbers_apart
from .profile import (
    Categories,
    ColumnProfile,
    Profile,
    column_profile,
    counted_categories,
    is_identity,
    kind_of,
    sorted_numbers,
)

_IDENTITY = "not compared: nearly every row has a value of its own, as an id has"
_GONE = "not compared: the column is not there any more"
_EXTRA = "not compared: the reference does not have this column"
_UNLIKE = "only missing values are compared: values of this type are not"


@dataclass(frozen=True, slots=True)
class _Found:
    """What came of one column."""

    apart: Apart | None = None
    before: Counted = (0, 0)
    after: Counted = (0, 0)
    error: str = ""


def compare(
    reference: Profile, now: Profile | pl.DataFrame, settings: SourceDriftSettings, reference_name: str = ""
) -> SourceDrift:
    """Compare an arrival with a stored profile.

    Distribution functions are known to 1 / 1,023 of the rows; p-values take what is certain, so they err on the side of
    silence.
    """
    there = {one.name: one for one in reference.columns}
    rows = len(now) if isinstance(now, pl.DataFrame) else now.rows
    columns: Mapping[str, ColumnProfile | pl.Series]
    columns = {one.name: one for one in (now.iter_columns() if isinstance(now, pl.DataFrame) else now.columns)}
    found = {
        name: _guarded(partial(_of_profiles, there.get(name), columns.get(name), reference.rows, rows))
        for name in {**there, **columns}
        if name not in settings.ignore
    }
    return _report(found, (reference.rows, rows), settings, reference_name)


def drift_exact(
    reference: pl.DataFrame, now: pl.DataFrame, settings: SourceDriftSettings, reference_name: str = ""
) -> SourceDrift:
    """Compare two tables that are both at hand: every statistic is exact."""
    there, here = ({one.name: one for one in frame.iter_columns()} for frame in (reference, now))
    found = {
        name: _guarded(partial(_of_series, there.get(name), here.get(name)))
        for name in {**there, **here}
        if name not in settings.ignore
    }
    return _report(found, (len(reference), len(now)), settings, reference_name)


def _guarded(compared: Callable[[], _Found]) -> _Found:
    """Return what was found; a column that cannot be compared must not cost the others their report."""
    try:
        return compared()
    except (pl.exceptions.PolarsError, ArithmeticError, ValueError, TypeError) as error:
        return _Found(error=f"not compared: {str(error).strip().splitlines()[0]}")


def _of_profiles(
    old: ColumnProfile | None, now: ColumnProfile | pl.Series | None, rows_before: int, rows_after: int
) -> _Found:
    if old is None or now is None:
        return _Found(error=_EXTRA if old is None else _GONE)
    before = (rows_before - old.nulls, old.nulls)
    new = column_profile(now) if isinstance(now, pl.Series) else now
    after = (rows_after - new.nulls, new.nulls)
    if "none" in (old.kind, new.kind):
        unlike = (old.kind == "none" and before[0]) or (new.kind == "none" and after[0])
        return _Found(missing_apart(before, after), before, after, _UNLIKE if unlike else "")
    if old.kind != new.kind:
        return _Found(None, before, after, f"not compared: it was a {old.kind}, it is a {new.kind} now")
    if old.identity and new.identity:
        return _Found(None, before, after, _IDENTITY)
    if old.numbers and new.numbers:
        return _Found(numbers_apart(old.numbers.points, new.numbers.points, before, after), before, after)
    return _of_categories(old.categories, new.categories, before, after)


def _of_series(old: pl.Series | None, new: pl.Series | None) -> _Found:
    if old is None or new is None:
        return _Found(error=_EXTRA if old is None else _GONE)
    kinds = kind_of(old.dtype), kind_of(new.dtype)
    if kinds[0] == kinds[1] and kinds[0] in ("number", "time"):
        return _of_numbers(old, new, kinds[0])
    before, after = (len(old) - old.null_count(), old.null_count()), (len(new) - new.null_count(), new.null_count())
    if "none" in kinds or not before[0] or not after[0]:
        unlike = (kinds[0] == "none" and before[0]) or (kinds[1] == "none" and after[0])
        return _Found(missing_apart(before, after), before, after, _UNLIKE if unlike else "")
    if kinds[0] != kinds[1]:
        return _Found(None, before, after, f"not compared: it was a {kinds[0]}, it is a {kinds[1]} now")
    return _of_categories(counted_categories(old), counted_categories(new), before, after)


def _of_numbers(old: pl.Series, new: pl.Series, kind: str) -> _Found:
    first, second = sorted_numbers(old), sorted_numbers(new)
    before, after = (len(first), len(old) - len(first)), (len(second), len(new) - len(second))
    if not len(first) or not len(second):
        return _Found(missing_apart(before, after), before, after)
    if kind == "number" and is_identity(first) and is_identity(second):
        return _Found(None, before, after, _IDENTITY)
    return _Found(numbers_apart(first, second, before, after), before, after)


def _of_categories(old: Categories | None, new: Categories | None, before: Counted, after: Counted) -> _Found:
    """Compare what is known of categories; nothing is of a column in which nearly every row has a value of its own."""
    if old and new:
        return _Found(categories_apart(old, new, before, after), before, after)
    one = old or new
    if one is None or one.rest:
        return _Found(None, before, after, _IDENTITY)
    return _Found(exploded(one, before, after, now=new is None), before, after)


def _report(
    found: Mapping[str, _Found], rows: tuple[int, int], settings: SourceDriftSettings, reference_name: str
) -> SourceDrift:
    """Decide over all columns together."""
    tested = [name for name, one in found.items() if one.apart]
    adjusted = benjamini_yekutieli([apart.p_value for one in found.values() if (apart := one.apart)])
    significant = {name for name, p in zip(tested, adjusted, strict=True) if p <= settings.false_alarms}
    columns = tuple(_column(name, one, name in significant, settings.margin) for name, one in found.items())
    return SourceDrift(reference_name, rows, settings.false_alarms, settings.margin, columns)


def _column(name: str, found: _Found, significant: bool, margin: float) -> ColumnDrift:
    apart = found.apart or Apart(0.0, 1.0)
    return ColumnDrift(
        name=name,
        distance=apart.distance,
        psi=apart.psi,
        ks=apart.ks,
        wasserstein=apart.wasserstein,
        chi2=apart.chi2,
        null_rate=(null_rate(found.before), null_rate(found.after)),
        new_values=apart.new_values,
        p_value=apart.p_value,
        drifted=significant and apart.distance > margin,
        error="; ".join(part for part in (found.error, apart.note) if part),
    )
