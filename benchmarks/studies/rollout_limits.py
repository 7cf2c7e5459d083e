"""Errors and latency at their limits: how often a version that keeps them is sent back all the same."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from modelloop.deploy.settings import RolloutSettings
from modelloop.deploy.verdicts.budget import shares
from modelloop.deploy.verdicts.stages import LIVE
from modelloop.ground.stats.rates import rate_evidence
from modelloop.ground.stats.running_quantile import most_within

LENGTH = 1000
POLICY = RolloutSettings(max_latency_ms=50.0)
BUDGET = shares(POLICY, LIVE)


def errors(rollouts: int) -> dict[str, Any]:
    """Try a rate of errors at the limit, and five times as large."""
    return _rates(POLICY.max_error_rate, 5 * POLICY.max_error_rate, BUDGET["errors"], rollouts, seed=21)


def moving_errors(rollouts: int) -> dict[str, Any]:
    """Try a rate that moves and is at most the limit on average: good hours first, then as many bad ones."""
    limit = POLICY.max_error_rate
    rate = np.where(np.arange(LENGTH) % 200 < 100, 0.0, 2 * limit)
    wrong, _ = _crossed(rate, limit, BUDGET["errors"], rollouts, seed=22)
    found, mean = _crossed(np.minimum(1, 5 * rate), limit, BUDGET["errors"], rollouts, seed=23)
    return {"wrong": wrong, "allowed": BUDGET["errors"], "broken by": "5 times", "found": found, "mean requests": mean}


def milliseconds(rollouts: int) -> dict[str, Any]:
    """Try a median at the limit: half the requests take longer; and one that three quarters exceed."""
    found = _rates(0.5, 0.75, BUDGET["milliseconds"], rollouts, seed=24)
    return found | {"broken by": "3 of 4 requests longer"}


def latency(rollouts: int) -> dict[str, Any]:
    """Try medians whose ratio is the one allowed, and twice that."""
    ratio, alpha = POLICY.max_latency_ratio, BUDGET["latency"]
    wrong, _ = _slower(ratio, alpha, rollouts, seed=25)
    found, mean = _slower(2 * ratio, alpha, rollouts, seed=26)
    return {"wrong": wrong, "allowed": alpha, "broken by": "twice the ratio", "found": found, "mean requests": mean}


LIMITS: dict[str, Callable[[int], dict[str, Any]]] = {
    "errors at 1 %": errors,
    "errors at 1 % on average, moving": moving_errors,
    "median latency at the limit": milliseconds,
    "ratio of medians at the limit": latency,
}


def _rates(limit: float, broken: float, alpha: float, rollouts: int, *, seed: int) -> dict[str, Any]:
    wrong, _ = _crossed(np.full(LENGTH, limit), limit, alpha, rollouts, seed=seed)
    found, mean = _crossed(np.full(LENGTH, broken), limit, alpha, rollouts, seed=seed + 100)
    times = f"{broken / limit:g} times"
    return {"wrong": wrong, "allowed": alpha, "broken by": times, "found": found, "mean requests": mean}


def _crossed(rate: np.ndarray, limit: float, alpha: float, rollouts: int, *, seed: int) -> tuple[float, float]:
    """Return the share of streams ever called above the limit, and the mean number of requests until then."""
    counts = np.cumsum(np.random.default_rng(seed).random((rollouts, LENGTH)) < rate, axis=1)
    called = counts >= _least(limit, alpha)
    first = np.where(called.any(axis=1), called.argmax(axis=1) + 1, LENGTH)
    return round(float(called.any(axis=1).mean()), 4), round(float(first.mean()), 1)


def _least(limit: float, alpha: float) -> np.ndarray:
    """Return for each number of requests how many failures are too many."""
    least, found = 1, []
    for asked in range(1, LENGTH + 1):
        while least <= asked and rate_evidence(least, asked, limit) < -math.log(alpha):
            least += 1
        found.append(least)
    return np.array(found)


def _slower(ratio: float, alpha: float, rollouts: int, *, seed: int, length: int = 300) -> tuple[float, float]:
    """Return how often, and when on average, the medians of two log-normal latencies are called too far apart."""
    random = np.random.default_rng(seed)
    places = [(n - most_within(n, 0.5, alpha / 2), most_within(n, 0.5, alpha / 2)) for n in range(1, length + 1)]
    called, ends = 0, 0
    for _ in range(rollouts):
        old, new = random.lognormal(1, 0.5, length), ratio * random.lognormal(1, 0.5, length)
        olds: list[float] = []
        news: list[float] = []
        for n, (fewest, most) in enumerate(places, 1):
            bisect.insort(olds, old[n - 1])
            bisect.insort(news, new[n - 1])
            if fewest > 0 and most < n and news[fewest - 1] > POLICY.max_latency_ratio * olds[most]:
                called, ends = called + 1, ends + n
                break
        else:
            ends += length
    return round(called / rollouts, 4), round(ends / rollouts, 1)
