"""Calendars: instants in a time zone, and what becomes of those that passed unseen."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.retrain.calendar import MOST, ON_TIME, What, decide, instants, mistake, next_instant
from modelloop.retrain.settings import Missed

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_zone_decides_when_it_is_half_past_six() -> None:
    winter = instants(
        "30 6 * * *", "Europe/Berlin", datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 11, tzinfo=UTC)
    )
    summer = instants(
        "30 6 * * *", "Europe/Berlin", datetime(2026, 7, 10, tzinfo=UTC), datetime(2026, 7, 11, tzinfo=UTC)
    )
    assert [one.hour for one in (*winter, *summer)] == [5, 4]


def test_a_skipped_hour_fires_once_after_the_gap_and_a_repeated_one_once() -> None:
    spring = instants(
        "30 2 * * *", "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
    )
    assert spring == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC)]
    autumn = instants(
        "30 2 * * *", "Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)
    )
    assert len(autumn) == 1


@pytest.mark.parametrize(
    ("cron", "zone", "told"),
    [
        ("61 * * * *", "UTC", "no cron expression"),
        ("* * * *", "UTC", "no cron expression"),
        ("", "UTC", "no cron expression"),
        ("0 6 * * *", "Mars/Olympus", "no time zone"),
        ("0 6 * * *", "../../etc/passwd", "no time zone"),
        ("0 0 31 2 *", "UTC", "2 \\*'"),
    ],
)
def test_a_wrong_calendar_is_told(cron: str, zone: str, told: str) -> None:
    assert re.search(told, mistake(cron, zone))


def test_a_right_calendar_has_no_mistake() -> None:
    assert mistake("*/15 8-18 * * 1-5", "America/New_York") == ""
    assert next_instant("0 6 * * *", "UTC", T0) == T0 + 6 * HOUR


@given(
    after=st.integers(0, 10_000),
    length=st.integers(0, 5_000),
    step=st.sampled_from([1, 5, 7, 15, 30]),
    cut=st.integers(0, 5_000),
)
def test_looking_twice_is_looking_once(after: int, length: int, step: int, cut: int) -> None:
    """Instants of (a, b] and (b, c] together are those of (a, c]: none twice, none lost."""
    cron = f"*/{step} * * * *"
    start = T0 + timedelta(minutes=after)
    end, between = start + timedelta(minutes=min(length, MOST)), start + timedelta(minutes=min(cut, length, MOST))
    whole = instants(cron, "Europe/Berlin", start, end)
    assert [*instants(cron, "Europe/Berlin", start, between), *instants(cron, "Europe/Berlin", between, end)] == whole


@given(st.integers(0, 50), st.integers(0, 600), st.sampled_from(list(Missed)))
def test_every_instant_is_decided_once(count: int, late: int, missed: Missed) -> None:
    due = [T0 + HOUR * place for place in range(count)]
    now = (due[-1] if due else T0) + timedelta(seconds=late)
    decided = decide(due, now, missed)
    assert [one.at for one in decided] == due
    fired = [one.at for one in decided if one.what is What.FIRED]
    on_time = bool(due) and timedelta(seconds=late) <= ON_TIME
    expected = {
        Missed.ALL: due,
        Missed.SKIP: due[-1:] if on_time else [],
        Missed.LATEST: due[-1:],
    }[missed]
    assert fired == expected
