"""When a calendar trigger is due, and what becomes of instants that passed unseen. Pure; on the wall clock.

Cron expressions are read as Debian's cron reads them, in a time zone: a job of a skipped hour runs right after the
gap, one of an hour that comes twice runs once unless it names every hour or minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from .settings import Missed

ON_TIME = timedelta(minutes=5)
"""An instant that is seen within this time was not missed."""
MOST = 1000
"""Instants that are looked at in one turn; a calendar behind by more goes on in the next."""
_FIRST_TRY = datetime(2024, 1, 1, tzinfo=UTC)


class What(StrEnum):
    """What became of a cause."""

    FIRED = "fired"
    SKIPPED = "skipped"
    FAILED = "failed"
    """The data was refused, or the run could not be made."""
    BEGUN = "begun"
    """The trigger was seen for the first time: instants before do not count."""


@dataclass(frozen=True, slots=True)
class Due:
    """An instant of a calendar."""

    at: datetime
    what: What
    reason: str


def mistake(cron: str, zone: str) -> str:
    """Return what is wrong with a calendar, or nothing."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"{zone!r} is no time zone; expected a name such as Europe/Berlin or UTC"
    try:
        found = next(iter(CronSim(cron, _FIRST_TRY)), None)
    except CronSimError as error:
        return f"{cron!r} is no cron expression: {error}; expected five fields, e.g. 30 6 * * 1"
    except StopIteration:
        found = None
    return "" if found else f"{cron!r} never comes"


def instants(cron: str, zone: str, after: datetime, until: datetime) -> Sequence[datetime]:
    """Return the instants in (after, until], oldest first, in UTC; at most MOST."""
    return list(islice(takewhile(lambda one: one <= until, _upcoming(cron, zone, after)), MOST))


def next_instant(cron: str, zone: str, after: datetime) -> datetime | None:
    """Return the first instant after a time; None if there is none in the next fifty years."""
    return next(_upcoming(cron, zone, after), None)


def decide(due: Sequence[datetime], now: datetime, missed: Missed) -> list[Due]:
    """Say of each instant whether it fires; the last is on time if it is no older than ON_TIME."""
    if not due:
        return []
    on_time = now - due[-1] <= ON_TIME
    late = due[:-1] if on_time else due
    decided = [_missed(one, missed, is_last=one == due[-1]) for one in late]
    return [*decided, Due(due[-1], What.FIRED, "on time")] if on_time else decided


def _missed(at: datetime, missed: Missed, *, is_last: bool) -> Due:
    fires = missed is Missed.ALL or (missed is Missed.LATEST and is_last)
    return Due(at, What.FIRED if fires else What.SKIPPED, f'nobody was there in time; missed = "{missed}"')


def _upcoming(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    upcoming = CronSim(cron, after.astimezone(ZoneInfo(zone)))
    return (instant for found in upcoming if (instant := found.astimezone(UTC)) > after)
