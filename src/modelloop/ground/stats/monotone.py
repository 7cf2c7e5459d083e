"""Fits of a probability to a score: the best rising steps, and the logistic curve of two numbers."""

from __future__ import annotations

from ..core.later import numpy as np
from .interval import Floats

_ROUNDS = 100


def isotonic(x: Floats, y: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Return the distinct x in order and the rising values nearest to y there, in squares (pool adjacent violators).

    Ayer et al. (1955). Rows with one x are one place with their mean.
    """
    weight = np.ones(len(x)) if weights is None else weights
    places, codes = np.unique(x, return_inverse=True)
    codes = codes.reshape(-1)
    mass = np.bincount(codes, weights=weight)
    level = np.bincount(codes, weights=weight * y) / mass
    blocks: list[list[float]] = []  # mean, weight, places
    for value, size in zip(level.tolist(), mass.tolist(), strict=True):
        blocks.append([value, size, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            last = blocks.pop()
            before = blocks[-1]
            both = before[1] + last[1]
            before[0] = (before[0] * before[1] + last[0] * last[1]) / both
            before[1], before[2] = both, before[2] + last[2]
    levels = np.array([block[0] for block in blocks], dtype=np.float64)
    return np.asarray(places, dtype=np.float64), np.repeat(levels, [int(block[2]) for block in blocks])


def logistic(
    x: Floats, target: Floats, weights: Floats | None = None, offset: Floats | None = None, *, slope: bool = True
) -> tuple[Floats, Floats]:
    """Return (intercept, slope) of the most likely logistic curve, and their covariance (Newton, with halved steps).

    `target` may lie between 0 and 1 (Platt's targets); `slope=False` fits the intercept beside a fixed `offset`. Where
    classes are parted completely there is no most likely curve: the numbers are NaN.
    """
    weight = np.ones(len(x)) if weights is None else weights
    design = np.column_stack([np.ones(len(x)), x]) if slope else np.ones((len(x), 1))
    fixed = np.zeros(len(x)) if offset is None else offset
    found = np.zeros(design.shape[1])
    best = _deviance(design @ found + fixed, target, weight)
    lost = np.full(design.shape[1], np.nan), np.full((design.shape[1],) * 2, np.nan)
    for _ in range(_ROUNDS):
        chance = expit(design @ found + fixed)
        spread = weight * chance * (1 - chance)
        information = design.T @ (design * spread[:, None])
        if not np.isfinite(information).all() or np.linalg.cond(information) > 1e14:
            return lost
        step = np.linalg.solve(information, design.T @ (weight * (target - chance)))
        for _ in range(30):
            now = _deviance(design @ (found + step) + fixed, target, weight)
            if now <= best + 1e-12 * abs(best):
                break
            step = step / 2
        found, best = found + step, now
        if np.abs(step).max() < 1e-10 * (1 + np.abs(found).max()):
            return found, np.asarray(np.linalg.inv(information), dtype=np.float64)
    return lost


def expit(odds: Floats) -> Floats:
    """Return the probability of log-odds, without overflow."""
    return np.where(odds >= 0, 1 / (1 + np.exp(-np.abs(odds))), np.exp(-np.abs(odds)) / (1 + np.exp(-np.abs(odds))))


def logit(chance: Floats, sure: float = 1e-7) -> Floats:
    """Return log-odds; nothing counts as surer than `sure`."""
    chance = np.clip(chance, sure, 1 - sure)
    found: Floats = np.log(chance) - np.log1p(-chance)
    return found


def _deviance(odds: Floats, target: Floats, weight: Floats) -> float:
    return float((weight * (np.logaddexp(0, odds) - target * odds)).sum())
