"""Mean regrets with intervals, and where a method differs from random search."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelloop.ground.stats.interval import resampled_means

AT = (10, 25, 50, 100)
COUNTS = sorted({*AT, *np.geomspace(1, 100, 40).round().astype(int).tolist()})
"""Trials at which a curve is kept."""
REPEATS = 2000


def curve(regrets: np.ndarray) -> dict[str, list[float]]:
    """Return mean and 95 % bootstrap interval over searches [searches, trials], by trial count."""
    means = resampled_means(regrets, seed=1, repeats=REPEATS)
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    found = {"mean": regrets.mean(axis=0), "low": low, "high": high}
    counts = [count for count in COUNTS if count <= regrets.shape[1]]
    drawn = {name: [float(f"{values[count - 1]:.4g}") for count in counts] for name, values in found.items()}
    return {"trials": [float(count) for count in counts]} | drawn


def beside(regrets: np.ndarray, random: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return the difference from random search with the same seeds: its interval, and what may be said of it."""
    found = {}
    for count in AT:
        if count > regrets.shape[1] or np.isnan(regrets[:, count - 1]).any():
            continue
        pairs = regrets[:, [count - 1]] - random[: len(regrets), [count - 1]]
        low, high = np.quantile(resampled_means(pairs, seed=2, repeats=REPEATS), (0.025, 0.975))
        difference = float(pairs.mean())
        says = "better" if high < 0 else "worse" if low > 0 else "no difference shown"
        found[str(count)] = {"difference": round(difference, 4), "low": round(float(low), 4),
                             "high": round(float(high), 4), "says": says}  # fmt: skip
    return found
