"""Features from dates and times: a part of the calendar or the clock, and the time between two moments.

A moment is ISO 8601 text, as endpoints are sent it and `from_frame` makes it of date and time columns, or a number of
seconds, milliseconds or microseconds since 1970 (UTC). Text without an offset is clock time in `zone`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias
from zoneinfo import ZoneInfo

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ..records import Columns, Datatype, InputColumn
from .form import FittedOp, Floats, Op, Raw, input_of, one_of

if TYPE_CHECKING:
    import numpy.typing as npt

Micros: TypeAlias = "npt.NDArray[np.int64]"
Part = Literal[
    "year", "quarter", "month", "week", "day", "day_of_year", "weekday", "hour", "minute", "second", "is_weekend",
    "epoch",
]  # fmt: skip
_AWARE_EPOCH, _MICRO = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_EPOCH = _AWARE_EPOCH.replace(tzinfo=None)
_SECOND, _DAY = 1_000_000, 86_400_000_000
_PER = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0}
_LENGTHS = {"seconds": _SECOND, "minutes": 60 * _SECOND, "hours": 3600 * _SECOND, "days": _DAY}
_NONE = -(2**63)
_LIMIT = 253_402_300_800_000_000
"""Microseconds until the year 10000: no calendar of Python's goes further."""


@dataclass(frozen=True, slots=True)
class DatePart(Op):
    """A part of a moment as the clocks of `zone` show it; missing stays missing.

    Parts: year, quarter, month, week (ISO), day, day_of_year, weekday (1 Monday to 7 Sunday), hour, minute, second,
    is_weekend (1 on Saturday and Sunday), epoch (seconds since 1970). `unit` is that of a column of numbers: s, ms, us.
    """

    column: str
    part: Part
    zone: str = "UTC"
    unit: Literal["s", "ms", "us"] = "s"
    name: str = ""
    takes_times: ClassVar[bool] = True

    def learn(self, columns: Columns) -> FittedDatePart:
        """Look at the column's type, and read it once, so that text that is no time is found now."""
        name = self.name or f"{self.part}({self.column})"
        fitted = FittedDatePart((input_of(columns, self.column),), self.part, self.zone, self.unit, name)
        fitted.apply(columns[self.column])
        return fitted


@dataclass(frozen=True, slots=True)
class FittedDatePart(FittedOp):
    """A part of a moment."""

    kind: ClassVar[str] = "date_part"
    inputs: tuple[InputColumn, ...]
    part: str
    zone: str
    unit: str
    name: str
    _zone: tzinfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        one_of(self.part, tuple(_PARTS), "part")
        one_of(self.unit, tuple(_PER), "unit")
        object.__setattr__(self, "_zone", zone_of(self.zone))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or part(column)."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Raise InvalidInput for text that is no moment, and for numbers beyond the years 1 to 9999."""
        times = micros(column, self._zone, self.unit, source=self.inputs[0], wall=self.part != "epoch")
        missing = times == _NONE
        found = _PARTS[self.part](np.where(missing, 0, times)).astype(np.float64)
        found[missing] = np.nan
        return [found]


@dataclass(frozen=True, slots=True)
class Elapsed(Op):
    """The time from `since` to the column's moment, in seconds, minutes, hours or days; missing where one is missing.

    `since` is another column, or a fixed moment (a datetime; without a zone it is clock time in `zone`).
    """

    column: str
    since: str | datetime
    unit: Literal["seconds", "minutes", "hours", "days"] = "days"
    zone: str = "UTC"
    numbers: Literal["s", "ms", "us"] = "s"
    name: str = ""
    takes_times: ClassVar[bool] = True

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the column, and the other one if `since` names one."""
        return (self.column, self.since) if isinstance(self.since, str) else (self.column,)

    def learn(self, columns: Columns) -> FittedElapsed:
        """Look at the columns' types, and read them once."""
        both = tuple(input_of(columns, name) for name in self.reads)
        moment = None if isinstance(self.since, str) else _instant(self.since, zone_of(self.zone), wall=False)
        name = self.name or f"{self.unit}({self.column})"
        fitted = FittedElapsed(both, moment, self.unit, self.zone, self.numbers, name)
        fitted.apply(*(columns[one] for one in self.reads))
        return fitted


@dataclass(frozen=True, slots=True)
class FittedElapsed(FittedOp):
    """The time between two moments. `moment`: microseconds since 1970, where no column says when it began."""

    kind: ClassVar[str] = "elapsed"
    inputs: tuple[InputColumn, ...]
    moment: int | None
    unit: str
    zone: str
    numbers: str
    name: str
    _zone: tzinfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        one_of(self.unit, tuple(_LENGTHS), "unit")
        one_of(self.numbers, tuple(_PER), "numbers")
        if (self.moment is None) is not (len(self.inputs) == 2):
            raise InvalidInput(f"{self.name} needs one beginning: another column, or a moment.")
        if self.moment is not None and not abs(int(self.moment)) < _LIMIT:
            raise InvalidInput(f"{self.name} begins at {self.moment} us, which no calendar reaches.")
        object.__setattr__(self, "_zone", zone_of(self.zone))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or unit(column)."""
        return (self.name,)

    def apply(self, column: Raw, since: Raw | None = None) -> list[Raw]:
        """Count microseconds exactly, then divide once."""
        until = micros(column, self._zone, self.numbers, source=self.inputs[0], wall=False)
        if since is None:
            begun = np.full(len(until), int(self.moment or 0), np.int64)
        else:
            begun = micros(since, self._zone, self.numbers, source=self.inputs[1], wall=False)
        missing = (until == _NONE) | (begun == _NONE)
        length = np.where(missing, 0, until) - np.where(missing, 0, begun)
        found = length.astype(np.float64) / _LENGTHS[self.unit]
        found[missing] = np.nan
        return [found]


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its IANA name; raises InvalidInput for others."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError) as error:
        raise InvalidInput(f"There is no time zone {name!r}.", hint="For example Europe/Berlin, or UTC.") from error


def micros(column: Raw, zone: tzinfo, unit: str, *, source: InputColumn, wall: bool) -> Micros:
    """Return microseconds since 1970, in UTC or on the wall clock of `zone`; the smallest int64 where missing."""
    if source.datatype is not Datatype.BYTES:
        return _of_numbers(column.astype(np.float64) * _PER[unit], zone, source=source, wall=wall)
    values = column.tolist()
    read = datetime.fromisoformat
    try:
        found = [_NONE if value is None else _instant(read(value), zone, wall=wall) for value in values]
    except (ValueError, TypeError, OverflowError) as error:
        bad = next(value for value in values if value is not None and not _is_moment(value, zone))
        raise InvalidInput(
            f"The column {source.name!r} holds {str(bad)[:60]!r}, which is no date or time.",
            hint="Expected ISO 8601, such as 2013-01-01T05:00:00+00:00.",
        ) from error
    return np.array(found, np.int64)


def _of_numbers(values: Floats, zone: tzinfo, *, source: InputColumn, wall: bool) -> Micros:
    missing = np.isnan(values)
    outside = ~missing & ~((values > -62_135_596_800e6) & (values < _LIMIT))
    if outside.any():
        raise InvalidInput(
            f"The column {source.name!r} holds a time that lies outside of the years 1 to 9999.",
            hint="Say in which unit its numbers count: s, ms or us.",
        )
    found = np.where(missing, 0.0, np.floor(values)).astype(np.int64)
    if wall and zone is not UTC:
        shown = ((_AWARE_EPOCH + timedelta(microseconds=one)) for one in found.tolist())
        found = np.array([_instant(one, zone, wall=True) for one in shown], np.int64)
    found[missing] = _NONE
    return found


def _instant(moment: datetime, zone: tzinfo, *, wall: bool) -> int:
    """Return microseconds since 1970: as the wall clock of the zone counts them, or in UTC."""
    if moment.tzinfo is None:
        if wall or zone is UTC:
            return (moment - _EPOCH) // _MICRO
        moment = moment.replace(tzinfo=zone)
    elif wall:
        return (moment.astimezone(zone).replace(tzinfo=None) - _EPOCH) // _MICRO
    return (moment - _AWARE_EPOCH) // _MICRO


def _is_moment(value: str, zone: tzinfo) -> bool:
    try:
        _instant(datetime.fromisoformat(value), zone, wall=True)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _weekday(times: Micros) -> Micros:
    return (times // _DAY + 3) % 7 + 1  # 1970-01-01 was a Thursday


def _months(times: Micros) -> Micros:
    return times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def _day(times: Micros) -> Micros:
    days = times.astype("datetime64[us]").astype("datetime64[D]")
    first = days.astype("datetime64[M]").astype("datetime64[D]")
    return days.astype(np.int64) - first.astype(np.int64) + 1


def _day_of_year(times: Micros) -> Micros:
    days = times.astype("datetime64[us]").astype("datetime64[D]")
    first = days.astype("datetime64[Y]").astype("datetime64[D]")
    return days.astype(np.int64) - first.astype(np.int64) + 1


def _week(times: Micros) -> Micros:
    """ISO 8601: the week belongs to the year of its Thursday."""
    thursday = (times // _DAY + 4 - _weekday(times)) * _DAY
    return (_day_of_year(thursday) - 1) // 7 + 1


_PARTS: dict[str, Callable[[Micros], npt.NDArray[np.generic]]] = {
    "year": lambda times: _months(times) // 12 + 1970,
    "quarter": lambda times: _months(times) % 12 // 3 + 1,
    "month": lambda times: _months(times) % 12 + 1,
    "week": _week,
    "day": _day,
    "day_of_year": _day_of_year,
    "weekday": _weekday,
    "hour": lambda times: times // (3600 * _SECOND) % 24,
    "minute": lambda times: times // (60 * _SECOND) % 60,
    "second": lambda times: times // _SECOND % 60,
    "is_weekend": lambda times: _weekday(times) >= 6,
    "epoch": lambda times: times / 1e6,
}
