"""Streams of loss differences, one row a rollout: what the study of rollouts is tried on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from modelloop.ground.stats.wagers import SHARES, WEIGHTS, matched_differences

MARGIN = 0.01
LENGTH = 2000
ROWS = 8
"""Rows of a request where rows matter."""
Random = np.random.Generator


@dataclass(frozen=True)
class Scenario:
    """One kind of traffic."""

    what: str
    wrong: str
    """Which end of a rollout is wrong here, or, where none is, which one is asked for."""
    seed: int
    draw: Callable[[Random, int], np.ndarray]


def _normal(mean: float, spread: float) -> Callable[[Random, int], np.ndarray]:
    return lambda random, count: random.normal(mean, spread, (count, LENGTH)).clip(-1, 1)


def _rare(size: float, often: float, mean: float) -> Callable[[Random, int], np.ndarray]:
    """Return differences that are `size` in one of many requests, small in the others, `mean` on average."""

    def draw(random: Random, count: int) -> np.ndarray:
        rest = (mean - often * size) / (1 - often)
        small = random.normal(rest, 0.01, (count, LENGTH))
        return np.where(random.random((count, LENGTH)) < often, size, small).clip(-1, 1)

    return draw


def _seasons(sign: float) -> Callable[[Random, int], np.ndarray]:
    """Return differences whose mean swings about the margin: the running mean stays on one side of it, touching."""

    def draw(random: Random, count: int) -> np.ndarray:
        mean = MARGIN + sign * 0.06 * np.sin(2 * np.pi * np.arange(LENGTH) / 400)
        return (mean + random.normal(0, 0.08, (count, LENGTH))).clip(-1, 1)

    return draw


def _days(random: Random, count: int) -> np.ndarray:
    """Return differences of days: each day of 50 requests has its own mean, the margin on average of all days."""
    days = np.repeat(random.normal(0, 0.03, (count, LENGTH // 50)), 50, axis=1)
    drawn = MARGIN + days + random.normal(0, 0.06, (count, LENGTH))
    running = np.cumsum(MARGIN + days, axis=1) / np.arange(1, LENGTH + 1)
    # what is promised is about the running mean: where it is below the margin, a promotion is no error; lift it there
    lift = np.maximum.accumulate(np.maximum(MARGIN - running, 0) * np.arange(1, LENGTH + 1), axis=1)
    return np.asarray((drawn + np.diff(lift, axis=1, prepend=0)).clip(-1, 1))


def _two_arms(random: Random, count: int) -> np.ndarray:
    """Return differences of two arms, 2 of 5 requests to the challenger, worse by the margin in a season that moves."""
    requests = 3 * LENGTH
    season = 0.5 + 0.25 * np.sin(2 * np.pi * np.arange(requests) / requests)
    found = np.empty((count, LENGTH))
    for rollout in found:
        ours = random.random(requests) < 0.4
        losses = (season + random.normal(0, 0.08, requests) + MARGIN * ours).clip(0, 1)
        mine, theirs = np.flatnonzero(ours), np.flatnonzero(~ours)
        rollout[:] = matched_differences(
            losses[mine], losses[theirs], *(np.asarray(each, np.float64) for each in (mine, theirs))
        )[:LENGTH]
    return found


SCENARIOS = {
    "worse by the margin": Scenario("N(.01, .1)", "promoted", 1, _normal(MARGIN, 0.1)),
    "worse by the margin, nearly alike": Scenario("N(.01, .02)", "promoted", 2, _normal(MARGIN, 0.02)),
    "worse by rare large losses": Scenario(".6 in 1 of 50", "promoted", 3, _rare(0.6, 0.02, MARGIN)),
    "worse by very rare, total losses": Scenario("1 in 1 of 100", "promoted", 4, _rare(1.0, 0.01, MARGIN)),
    "worse on average, seasons": Scenario("margin + .06 sin, the bad season first", "promoted", 5, _seasons(1)),
    "worse on average, days that differ": Scenario("days N(margin, .03)", "promoted", 6, _days),
    "at the margin": Scenario("N(.01, .1)", "sent back", 7, _normal(MARGIN, 0.1)),
    "at the margin, rare large gains": Scenario("-.6 in 1 of 50", "sent back", 8, _rare(-0.6, 0.02, MARGIN)),
    "at the margin, seasons": Scenario("margin - .06 sin, the good season first", "sent back", 9, _seasons(-1)),
    "at the margin, two arms 2 : 3, a season": Scenario(".5 + .25 sin + N(0, .08)", "sent back", 10, _two_arms),
    "equal": Scenario("N(0, .1)", "sent back", 11, _normal(0, 0.1)),
    "equal, nearly alike": Scenario("N(0, .02)", "sent back", 12, _normal(0, 0.02)),
    "better": Scenario("N(-.02, .1)", "sent back", 13, _normal(-0.02, 0.1)),
    "clearly worse": Scenario("N(.05, .1)", "promoted", 14, _normal(0.05, 0.1)),
}


def by_request(random: Random, count: int, promote: float, back: float) -> SimpleNamespace:
    """Return the verdicts after each row's outcome where a request counts once, by the mean of its rows told so far."""
    rows, order = _rows(random, count)
    place, number = order // ROWS, order % ROWS
    told = np.cumsum(rows, axis=2) / np.arange(1, ROWS + 1)
    now = np.take_along_axis(told.reshape(count, -1), place * ROWS + number, axis=1)
    then = np.take_along_axis(told.reshape(count, -1), place * ROWS + np.maximum(number - 1, 0), axis=1)
    return _path(now, np.where(number > 0, then, np.nan), promote, back)


def by_row(random: Random, count: int, promote: float, back: float) -> SimpleNamespace:
    """Return the verdicts of somebody who takes each row for evidence of its own."""
    rows, order = _rows(random, count)
    drawn = np.take_along_axis(rows.reshape(count, -1), order, axis=1)
    return _path(drawn, np.full(drawn.shape, np.nan), promote, back)


def _rows(random: Random, count: int, requests: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return differences [rollout, request, row] that share most of their spread, and the order of the outcomes."""
    shared = random.normal(0, 0.12, (count, requests, 1))
    rows = (MARGIN + shared + random.normal(0, 0.04, (count, requests, ROWS))).clip(-1, 1)
    late = np.arange(requests * ROWS) // ROWS + random.exponential(10, (count, requests * ROWS))
    late = np.sort(late.reshape(count, requests, ROWS), axis=2).reshape(count, -1)  # rows in their order
    return rows, np.argsort(late, axis=1, kind="stable")


def _path(now: np.ndarray, then: np.ndarray, promote: float, back: float) -> SimpleNamespace:
    """Return the capital's path where each step replaces one value (NaN: adds one)."""

    def grown(sign: float) -> np.ndarray:
        found = np.full(now.shape, -np.inf)
        limit = sign * MARGIN
        for share, weight in zip(SHARES, WEIGHTS, strict=True):
            steps = np.log1p(share * (sign * now - limit) / (limit + 1))
            steps -= np.where(np.isnan(then), 0.0, np.log1p(share * (sign * np.nan_to_num(then) - limit) / (limit + 1)))
            found = np.logaddexp(found, np.cumsum(steps, axis=1) + math.log(weight))
        return found

    return SimpleNamespace(better=grown(-1) >= -math.log(promote), worse=grown(1) >= -math.log(back))
