"""Columns that came in another unit: the same shape, stretched by a factor that people know. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ....ground.core.later import numpy as np
from ....ground.stats.quantiles import Points
from ....ground.stats.two_sample import ks_points
from ...records import Finding
from ..profile import ColumnProfile
from .looked import EXAMPLES, Looked, number

_FACTORS = {
    1.609344: "miles and kilometres",
    1.852: "nautical miles and kilometres",
    2.54: "inches and centimetres",
    25.4: "inches and millimetres",
    0.3048: "feet and metres",
    0.9144: "yards and metres",
    0.45359237: "pounds and kilograms",
    28.349523125: "ounces and grams",
    3.785411784: "gallons and litres",
    60.0: "minutes and hours, or seconds and minutes",
    24.0: "hours and days",
    3600.0: "seconds and hours",
    1440.0: "minutes and days",
    86400.0: "seconds and days",
    7.0: "days and weeks",
    12.0: "months and years, or pieces and dozens",
    1024.0: "bytes and kibibytes",
    1048576.0: "bytes and mebibytes",
    3.6: "metres a second and kilometres an hour",
    0.514444: "knots and metres a second",
    4.184: "calories and joules",
    6.89475729: "psi and kilopascals",
    33.8638866667: "inches of mercury and hectopascals",
    57.29577951308232: "radians and degrees",
}
_OFFSETS = (
    (1.8, 32.0, "Celsius to Fahrenheit"),
    (1 / 1.8, -32 / 1.8, "Fahrenheit to Celsius"),
    (1.0, 273.15, "Celsius to Kelvin"),
    (1.0, -273.15, "Kelvin to Celsius"),
)
_POWERS = tuple(power for power in range(-9, 10) if power)
_LEAST_VALUES = 20
_NAMED = 3
"""Units named where the data cannot tell them apart."""
_CLOSE = 0.05
"""How well the ratios of quantiles must agree with a factor."""


def units(looked: Looked) -> Iterator[Finding]:
    """Yield columns whose distribution is the reference's, stretched as a change of units stretches it."""
    for column in looked.columns:
        before = looked.before(column.name)
        if before is None or before.kind != "number" or column.kind != "number" or column.identity or before.identity:
            continue
        found = _change(before, column)
        if found is None:
            continue
        rows = len(looked.frame) - column.nulls
        how, old, new = found
        message = (
            f"{column.name!r} seems to have come in another unit: {how}. "
            f"The median is {number(new)}, {number(old)} in the reference, and the shape is the same."
        )
        yield Finding("unit", column.name, rows, message, looked.examples(column.name, range(EXAMPLES)))


def _change(before: ColumnProfile, now: ColumnProfile) -> tuple[str, float, float] | None:
    """Return what was done to the unit, and both medians; None if nothing that is known."""
    if before.numbers is None or now.numbers is None:
        return None
    old, new = before.numbers.points, now.numbers.points
    if min(old.rows, new.rows) < _LEAST_VALUES or min(before.distinct, now.distinct) < 5:
        return None
    raw = ks_points(old, new)[0]
    noise = 1.95 * np.sqrt((old.rows + new.rows) / (old.rows * new.rows))  # exceeded by chance one time in a thousand
    if raw < 0.1 + noise:
        return None
    shares = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    first, second = old.quantile(shares), new.quantile(shares)
    fits = [
        (ks_points(_turned(old, factor, offset), new)[0], words)
        for factor, offset, words in _candidates()
        if _agree(first * factor + offset, second)
    ]
    if not fits:
        return None
    best = min(fits)[0]
    if best > min(raw / 3, 0.05 + noise):
        return None
    words = [words for fit, words in sorted(fits) if fit <= best + noise]
    return " or ".join(words[:_NAMED]), float(first[2]), float(second[2])


def _candidates() -> Iterator[tuple[float, float, str]]:
    for power in _POWERS:
        yield 10.0**power, 0.0, f"values are {10 ** abs(power):,} times as {'large' if power > 0 else 'small'}"
    for factor, words in _FACTORS.items():
        yield factor, 0.0, f"values are {factor:.6g} times as large ({words})"
        yield 1 / factor, 0.0, f"values are divided by {factor:.6g} ({words})"
    for factor, offset, words in _OFFSETS:
        yield factor, offset, f"from {words}"
    yield -1.0, 0.0, "the sign is turned"


def _agree(
    wanted: np.ndarray[tuple[int], np.dtype[np.float64]], found: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> bool:
    """Say whether most quantiles are where the change would put them, next to the width of the distribution."""
    off = np.abs(np.sort(wanted) - found)
    width = max(abs(found[-1] - found[0]), 1e-300)
    near = (off <= _CLOSE * np.abs(found)) | (off <= _CLOSE * width)
    return bool(near.sum() >= 4)


def _turned(points: Points, factor: float, offset: float) -> Points:
    """Return the distribution in another unit."""
    values = points.values * factor + offset
    if factor > 0:
        return Points(values, points.on, points.between)
    between = np.concatenate(([0], points.between[:0:-1]))
    return Points(values[::-1], points.on[::-1], between)
