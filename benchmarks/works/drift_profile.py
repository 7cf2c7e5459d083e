"""Drift of 1M rows against a stored profile, beside a program that stored 1,024 quantiles and counts by hand."""

import math
from typing import Any

import numpy as np
import polars as pl

from modelloop.data.insight.drift import compare
from modelloop.data.insight.profile import Profile, profile
from modelloop.data.settings import SourceDriftSettings

from ..measure import Measured, Work, paired, versions
from .drift import IDS, ROWS, js, table, timed


def store(reference: pl.DataFrame) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name in reference.columns:
        column = reference[name].drop_nulls()
        if column.dtype == pl.String:
            kept[name] = column.to_frame("v").group_by("v").len()
        elif name != IDS:
            ordered = np.sort(column.to_numpy())
            points = np.unique(ordered[np.linspace(0, len(ordered) - 1, 1024).astype(int)])
            reached = np.searchsorted(ordered, points, side="right") / len(ordered)
            kept[name] = points, reached, len(ordered), reference[name].null_count() / len(reference)
    return kept


def by_hand(kept: dict[str, Any], now: pl.DataFrame) -> dict[str, tuple[float, ...]]:
    """Return KS, W1 / IQR, PSI and JS of numbers; chi-square, PSI and JS of categories."""
    found = {}
    for name, stored in kept.items():
        column = now[name]
        if column.dtype == pl.String:
            counts = column.drop_nulls().to_frame("v").lazy().group_by("v").len()
            both = (
                stored.lazy().join(counts, on="v", how="full").select(pl.col("len", "len_right").fill_null(0)).collect()
            )
            observed = both.to_numpy().T.astype(float)
            expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / observed.sum()
            p, q = observed / observed.sum(axis=1, keepdims=True)
            chi2 = float(((observed - expected) ** 2 / expected).sum())
            found[name] = chi2, psi(p, q), js(p, q)
        else:
            points, reached, _, missing = stored
            ordered = np.sort(column.drop_nulls().to_numpy())
            there = np.searchsorted(ordered, points, side="right") / len(ordered)
            cuts, fine = (np.unique(np.searchsorted(reached, np.arange(1, k) / k)) for k in (10, 32))
            e, a = (np.diff(f[cuts], prepend=0.0, append=1.0) for f in (reached, there))
            p, q = (np.diff(f[fine], prepend=0.0, append=1.0) for f in (reached, there))
            gone = column.null_count() / len(column)
            iqr = float(np.subtract(*points[np.searchsorted(reached, (0.75, 0.25))])) or 1.0
            moved = float((np.abs(reached - there)[:-1] * np.diff(points)).sum()) / iqr
            distance = js(np.append(p * (1 - missing), missing), np.append(q * (1 - gone), gone))
            found[name] = float(np.abs(reached - there).max()), moved, psi(e, a), distance
    return found


def psi(expected: np.ndarray, actual: np.ndarray) -> float:
    e, a = np.maximum(expected, 1e-4), np.maximum(actual, 1e-4)
    return float(((a - e) * np.log(a / e)).sum())


def _run() -> Measured:
    reference, now, settings = table(0), table(1, shift=0.5), SourceDriftSettings()
    stored, kept = Profile.from_bytes(profile(reference).to_bytes()), store(reference)
    ours, theirs = compare(stored, now, settings), by_hand(kept, now)
    for one in ours.columns:
        if one.ks is not None:
            assert math.isclose(one.ks, theirs[one.name][0], abs_tol=2 / 1023)
    assert ours.drifted == ("n01",)
    a, b = paired(
        lambda: timed(lambda: compare(stored, now, settings)), lambda: timed(lambda: by_hand(kept, now)), rounds=9
    )
    building = sorted(timed(lambda: profile(reference)) for _ in range(5))[2]
    notes = {"rows": ROWS, "profile_bytes": len(stored.to_bytes()), "profile_cpu_s": round(building, 3)}
    return Measured(a, b, "CPU s", notes)


WORK = Work(
    "drift of 1M rows against a stored profile, 20 columns",
    f"1,024 quantiles and counts by hand ({versions('numpy', 'polars')})",
    1.5,
    _run,
)
