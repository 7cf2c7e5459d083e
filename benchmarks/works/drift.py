"""Drift of 1M against 1M rows, 20 columns, both tables at hand, beside a program written by hand for these columns."""

import math
import time
from collections.abc import Callable

import numpy as np
import polars as pl
from scipy.special import chdtrc, kolmogorov

from modelloop.data.insight.drift import drift_exact
from modelloop.data.settings import SourceDriftSettings

from ..measure import Measured, Work, paired, versions

ROWS = 1_000_000
IDS = "id"
Found = dict[str, tuple[float, ...]]


def table(seed: int, rows: int = ROWS, shift: float = 0.0) -> pl.DataFrame:
    """Return 10 float, 5 integer (one an id) and 5 string columns (2 to 1,000 categories); three have gaps."""
    random = np.random.default_rng(seed)
    columns: dict[str, pl.Series | np.ndarray] = {}
    for k in range(10):
        values = (random.normal(size=rows), random.lognormal(size=rows), random.random(rows))[k % 3]
        series = pl.Series(values + (shift if k == 1 else 0.0))
        columns[f"n{k:02}"] = series.set(pl.Series(random.random(rows) < 0.02), None) if k < 3 else series
    for k, top in enumerate((2, 50, 1_000, 100_000)):
        columns[f"i{k}"] = random.integers(0, top, rows)
    columns[IDS] = np.arange(rows) + seed * rows
    for k, top in enumerate((2, 5, 20, 200, 1_000)):
        weights = 1 / np.sqrt(np.arange(1, top + 1))
        names = pl.Series([f"category {j:04}" for j in range(top)])
        columns[f"c{k}"] = names.gather(random.choice(top, rows, p=weights / weights.sum()))
    return pl.DataFrame(columns)


def by_hand(reference: pl.DataFrame, now: pl.DataFrame) -> Found:
    """Return KS, its p-value, W1 / IQR, PSI and JS of numbers; chi-square, its p-value, PSI and JS of categories."""
    found: Found = {}
    for name in reference.columns:
        a, b = reference[name], now[name]
        if a.dtype == pl.String:
            found[name] = categories(a, b)
        elif name != IDS:
            x, y = np.sort(a.drop_nulls().to_numpy()), np.sort(b.drop_nulls().to_numpy())
            found[name] = numbers(x, y, a.null_count() / len(a), b.null_count() / len(b))
    return found


def numbers(x: np.ndarray, y: np.ndarray, missing: float, missing_now: float) -> tuple[float, ...]:
    n, m = len(x), len(y)
    largest = ks(x, y)
    low, high = x[n // 4], x[3 * n // 4]
    deciles = np.unique(x[[k * n // 10 for k in range(1, 10)]])
    fine = np.unique(x[[k * (n - 1) // 32 for k in range(33)]])
    e, a = (np.maximum(shares(v, deciles), 1e-4) for v in (x, y))
    p, q = (np.append(shares(v, fine) * (1 - gone), gone) for v, gone in ((x, missing), (y, missing_now)))
    return (
        largest,
        float(kolmogorov(largest * math.sqrt(n * m / (n + m)))),
        w1(x, y) / float(high - low or 1),
        float(((a - e) * np.log(a / e)).sum()),
        js(p, q),
    )


def categories(a: pl.Series, b: pl.Series) -> tuple[float, ...]:
    counts = (one.to_frame("v").lazy().group_by("v").len() for one in (a, b))
    both = next(counts).join(next(counts), on="v", how="full").select(pl.col("len", "len_right").fill_null(0)).collect()
    observed = both.to_numpy().T.astype(float)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / observed.sum()
    chi2 = float(((observed - expected) ** 2 / expected).sum())
    p, q = observed / observed.sum(axis=1, keepdims=True)
    e, f = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    return chi2, float(chdtrc(observed.shape[1] - 1, chi2)), float(((f - e) * np.log(f / e)).sum()), js(p, q)


def ks(x: np.ndarray, y: np.ndarray, cuts: int = 16_384) -> float:
    """Cut both at quantiles; read only the bins that can hold the largest difference."""
    n, m = len(x), len(y)
    at = np.unique(x[:: n // cuts])
    i = np.concatenate(([0], np.searchsorted(x, at, side="right"), [n]))
    j = np.concatenate(([0], np.searchsorted(y, at, side="right"), [m]))
    best = float(np.abs(i / n - j / m).max())
    bound = np.maximum(i[1:] / n - j[:-1] / m, j[1:] / m - i[:-1] / n)
    for k in np.flatnonzero(bound > best)[np.argsort(-bound[bound > best])]:
        if bound[k] <= best:
            break
        xs, ys = x[i[k] : i[k + 1]], y[j[k] : j[k + 1]]
        inside = np.concatenate((xs, ys))
        f = (i[k] + np.searchsorted(xs, inside, side="right")) / n
        g = (j[k] + np.searchsorted(ys, inside, side="right")) / m
        best = max(best, float(np.abs(f - g).max()))
    return best


def w1(x: np.ndarray, y: np.ndarray) -> float:
    n, m = len(x), len(y)
    if n == m:
        return float(np.abs(x - y).mean())
    total, i, j = 0.0, 0, 0
    while i < n:  # in blocks, for the cache
        end = min(n, i + 65_536)
        until = end * m // n
        steps = np.concatenate((np.arange(i + 1, end + 1) * m, np.arange(j + 1, until + 1) * n))
        steps.sort(kind="stable")
        weight = np.diff(steps, prepend=i * m)
        steps -= 1
        total += float((np.abs(x[steps // m] - y[steps // n]) * weight).sum())
        i, j = end, until
    return total / (n * m)


def shares(ordered: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.diff(np.searchsorted(ordered, edges, side="right") / len(ordered), prepend=0.0, append=1.0)


def js(p: np.ndarray, q: np.ndarray) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (p + q) / 2
        return math.sqrt(max(0.0, float(np.nansum(p * np.log2(p / middle)) + np.nansum(q * np.log2(q / middle))) / 2))


def timed(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _run() -> Measured:
    reference, now, settings = table(0), table(1, shift=0.5), SourceDriftSettings()
    ours, theirs = drift_exact(reference, now, settings), by_hand(reference, now)
    for one in ours.columns:
        if one.ks is not None:
            assert math.isclose(one.ks, theirs[one.name][0], abs_tol=1e-12)
        if one.chi2 is not None:
            assert math.isclose(one.chi2, theirs[one.name][0], rel_tol=1e-9)
    assert ours.drifted == ("n01",)
    a, b = paired(
        lambda: timed(lambda: drift_exact(reference, now, settings)),
        lambda: timed(lambda: by_hand(reference, now)),
        rounds=7,
    )
    return Measured(a, b, "CPU s", {"rows": ROWS, "columns": reference.width})


WORK = Work(
    "drift_exact: 1M against 1M rows, 20 columns",
    f"KS, W1, PSI, JS, chi-square by hand ({versions('numpy', 'polars', 'scipy')})",
    1.5,
    _run,
)
