"""Time is asked of an object, never of the system: decisions get `now` as an argument, tests turn the clock by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Something that knows what time it is."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)


def utc(moment: datetime) -> datetime:
    """Return `moment` in UTC; a naive one is taken as UTC (SQLite forgets the zone)."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time; raises ValueError. Without a zone it is UTC."""
    return utc(datetime.fromisoformat(text.replace("Z", "+00:00")))


def iso(moment: datetime) -> str:
    """Write a time as everybody reads it: 2013-03-01T05:15:00Z (microseconds only where there are some)."""
    return utc(moment).isoformat().replace("+00:00", "Z")
