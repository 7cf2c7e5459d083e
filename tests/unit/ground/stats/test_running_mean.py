"""Bounds on a mean that may change: they must hold at all looks at once, also where days differ."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelloop.ground.stats.sequential import running_mean_sequence

LOOKS = range(100, 1001, 25)


def _missed(streams: np.ndarray, means: np.ndarray, alpha: float) -> float:
    """Return the share of streams whose running conditional mean leaves the bounds at any look."""
    missed = 0
    for stream, mean in zip(streams, means, strict=True):
        for count in LOOKS:
            low, high = running_mean_sequence(stream[:count], alpha=alpha)
            if not low <= mean[:count].mean() <= high:
                missed += 1
                break
    return missed / len(streams)


def test_it_covers_at_all_looks_of_a_skewed_stream() -> None:
    random = np.random.default_rng(1)
    streams = random.exponential(size=(300, 1000)) * 0.1
    assert _missed(streams, np.full((300, 1000), 0.1), alpha=0.1) <= 0.1


def test_it_covers_the_running_mean_where_each_day_has_its_own() -> None:
    random = np.random.default_rng(2)
    days = np.repeat(random.normal(0, 0.1, size=(300, 20)), 50, axis=1)
    streams = days + random.normal(0, 0.05, size=days.shape)
    assert _missed(streams, days, alpha=0.1) <= 0.1


def test_it_is_no_wider_than_needed() -> None:
    values = np.random.default_rng(3).normal(0, 0.05, 500)
    low, high = running_mean_sequence(values, alpha=0.05)
    fixed = 1.96 * 0.05 / math.sqrt(500)
    assert fixed < (high - low) / 2 < 2.0 * fixed


@pytest.mark.parametrize("values", [[], [0.3]])
def test_too_few_values_bound_nothing(values: list[float]) -> None:
    assert running_mean_sequence(np.array(values), alpha=0.05) == (-math.inf, math.inf)
