"""Parts of moments, and the time between two, as ONNX nodes over whole microseconds (int64).

The runtimes make the microseconds: ONNX knows no time. What they need to know of a time zone travels in the manifest,
as this machine's database has it: a device need not have one, and its answers do not change with its updates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Any

from ...prepare.ops.moments import zone_of
from .nodes import DOUBLE, INT64, Nodes

NONE = -(2**63)
"""Stands where a moment is missing."""
KNOWN_UNTIL = 2200
"""The year in which a bundle's knowledge of a time zone ends; later moments are refused in it."""
_SECOND, _DAY = 1_000_000, 86_400_000_000
_LENGTHS = {"seconds": _SECOND, "minutes": 60 * _SECOND, "hours": 3600 * _SECOND, "days": _DAY}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOOK = 6 * 3600
"""Seconds between two looks at a zone: no zone changed its clocks twice within so few."""


def zone_table(name: str) -> dict[str, Any]:
    """Return what the runtimes know of a zone: `offsets[i]` seconds hold before `at[i]` (UTC seconds), the last one
    until `until`."""
    zone, end = zone_of(name), _second(datetime(KNOWN_UNTIL, 1, 1, tzinfo=UTC))
    moment, step = datetime(1850, 1, 1, tzinfo=zone), timedelta(seconds=_LOOK)  # what `fromutc` takes: UTC's clock
    now = _second(moment.replace(tzinfo=UTC))
    ahead, offsets, at = zone.fromutc(moment) - moment, [_offset(zone, now)], []
    while now < end:
        now, moment = now + _LOOK, moment + step
        if (found := zone.fromutc(moment) - moment) != ahead:
            at.append(_change(zone, now - _LOOK, now))
            offsets.append(_offset(zone, now))
            ahead = found
    return {"offsets": offsets, "at": at, "until": end}


def _second(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def _offset(zone: tzinfo, second: int) -> int:
    found = (_EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset() or timedelta()
    return found // timedelta(seconds=1)


def _change(zone: tzinfo, low: int, high: int) -> int:
    """Return the first second of the new offset, which lies behind `low` and not behind `high`."""
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def part_of(nodes: Nodes, part: str, name: str) -> str:
    """Write a part of a moment; returns float64, NaN where it is missing."""
    missing = _missing(nodes, name)
    times = nodes.where(missing, nodes.numbers(0, INT64), name)
    if part == "epoch":
        found = nodes.add("Div", nodes.cast(times, DOUBLE), nodes.numbers(1e6))
    else:
        found = nodes.cast(_PARTS[part](nodes, times), DOUBLE)
    return nodes.where(missing, nodes.numbers(float("nan")), found)


def length_of(nodes: Nodes, unit: str, until: str, since: str | None, moment: int | None) -> str:
    """Write the time between two moments; returns float64, NaN where one is missing."""
    zero, missing = nodes.numbers(0, INT64), _missing(nodes, until)
    if since is None:
        begun = nodes.numbers(int(moment or 0), INT64)
    else:
        missing = nodes.add("Or", missing, _missing(nodes, since))
        begun = nodes.where(missing, zero, since)
    length = nodes.add("Sub", nodes.where(missing, zero, until), begun)
    found = nodes.add("Div", nodes.cast(length, DOUBLE), nodes.numbers(float(_LENGTHS[unit])))
    return nodes.where(missing, nodes.numbers(float("nan")), found)


def _missing(nodes: Nodes, name: str) -> str:
    return nodes.add("Equal", name, nodes.numbers(NONE, INT64))


class _Whole:
    """Arithmetic of whole numbers over a graph: division rounds down, as Python's does."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    def _of(self, value: str | int) -> str:
        return self._nodes.numbers(value, INT64) if isinstance(value, int) else value

    def plus(self, one: str | int, other: str | int) -> str:
        return self._nodes.add("Add", self._of(one), self._of(other))

    def minus(self, one: str | int, other: str | int) -> str:
        return self._nodes.add("Sub", self._of(one), self._of(other))

    def times(self, one: str | int, other: str | int) -> str:
        return self._nodes.add("Mul", self._of(one), self._of(other))

    def rest(self, one: str, by: int) -> str:
        return self._nodes.add("Mod", one, self._of(by))

    def over(self, one: str, by: int) -> str:
        return self._nodes.add("Div", self.minus(one, self.rest(one, by)), self._of(by))

    def least(self, one: str, bound: int) -> str:
        """Return 1 where a number is at least `bound`, else 0."""
        return self._nodes.cast(self._nodes.add("GreaterOrEqual", one, self._of(bound)), INT64)


def _days(nodes: Nodes, times: str) -> str:
    return _Whole(nodes).over(times, _DAY)


def _weekday(nodes: Nodes, times: str) -> str:
    whole = _Whole(nodes)
    return whole.plus(whole.rest(whole.plus(_days(nodes, times), 3), 7), 1)


def _civil(nodes: Nodes, days: str) -> tuple[str, str, str]:
    """Return year, month and day of a number of days since 1970 (Hinnant, "chrono-compatible low-level date
    algorithms", civil_from_days): years begin in March, so that the leap day comes last."""
    w = _Whole(nodes)
    shifted = w.plus(days, 719_468)
    era = w.over(shifted, 146_097)
    of_era = w.rest(shifted, 146_097)
    years = w.minus(w.plus(w.minus(of_era, w.over(of_era, 1460)), w.over(of_era, 36_524)), w.over(of_era, 146_096))
    year_of_era = w.over(years, 365)
    start = w.minus(w.plus(w.times(year_of_era, 365), w.over(year_of_era, 4)), w.over(year_of_era, 100))
    of_year = w.minus(of_era, start)
    month_from_march = w.over(w.plus(w.times(of_year, 5), 2), 153)
    day = w.plus(w.minus(of_year, w.over(w.plus(w.times(month_from_march, 153), 2), 5)), 1)
    late = w.least(month_from_march, 10)  # January and February belong to the next year
    month = w.minus(w.plus(month_from_march, 3), w.times(late, 12))
    return w.plus(w.plus(year_of_era, w.times(era, 400)), late), month, day


def _day_of_year(nodes: Nodes, days: str) -> str:
    w = _Whole(nodes)
    before = w.minus(_civil(nodes, days)[0], 1)  # whole years before, since the year 1
    leaps = w.plus(w.minus(w.over(before, 4), w.over(before, 100)), w.over(before, 400))
    first = w.minus(w.plus(w.times(before, 365), leaps), 719_162)
    return w.plus(w.minus(days, first), 1)


def _week(nodes: Nodes, times: str) -> str:
    """ISO 8601: the week belongs to the year of its Thursday."""
    w = _Whole(nodes)
    thursday = w.minus(w.plus(_days(nodes, times), 4), _weekday(nodes, times))
    return w.plus(w.over(w.minus(_day_of_year(nodes, thursday), 1), 7), 1)


def _quarter(nodes: Nodes, times: str) -> str:
    w = _Whole(nodes)
    return w.plus(w.over(w.minus(_civil(nodes, _days(nodes, times))[1], 1), 3), 1)


def _clock(by: int, size: int) -> Callable[[Nodes, str], str]:
    return lambda nodes, times: _Whole(nodes).rest(_Whole(nodes).over(times, by), size)


_PARTS: Mapping[str, Callable[[Nodes, str], str]] = MappingProxyType(
    {
        "year": lambda nodes, times: _civil(nodes, _days(nodes, times))[0],
        "quarter": _quarter,
        "month": lambda nodes, times: _civil(nodes, _days(nodes, times))[1],
        "week": _week,
        "day": lambda nodes, times: _civil(nodes, _days(nodes, times))[2],
        "day_of_year": lambda nodes, times: _day_of_year(nodes, _days(nodes, times)),
        "weekday": _weekday,
        "hour": _clock(3600 * _SECOND, 24),
        "minute": _clock(60 * _SECOND, 60),
        "second": _clock(_SECOND, 60),
        "is_weekend": lambda nodes, times: _Whole(nodes).least(_weekday(nodes, times), 6),
    }
)
