"""Windows tile event time from an anchor, and are due when their data has arrived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from modelloop.monitor.windows import is_due, window_of

T0 = datetime(2013, 3, 1, tzinfo=UTC)
spans = st.timedeltas(timedelta(minutes=1), timedelta(days=40))
later = st.timedeltas(timedelta(0), timedelta(days=4000))


@given(spans, later)
def test_a_window_holds_its_moment_and_meets_its_neighbour(every: timedelta, after: timedelta) -> None:
    window = window_of("delay", T0, every, T0 + after)
    assert window.start <= T0 + after < window.end
    assert window.end - window.start == every
    assert window_of("delay", T0, every, window.end).start == window.end
    assert (window.start - T0) % every == timedelta(0)


@given(spans, st.timedeltas(timedelta(0), timedelta(days=400)))
def test_the_calendars_last_day_has_a_window_too(every: timedelta, before: timedelta) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    window = window_of("delay", T0, every, last - before)
    assert window.start <= last - before <= window.end
    assert not is_due(window, timedelta(days=9), last - before)


@given(spans, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_due_once_the_watermark_has_passed_end_and_delay(every: timedelta, delay: timedelta) -> None:
    window = window_of("delay", T0, every, T0)
    assert not is_due(window, delay, None)
    assert not is_due(window, delay, window.end + delay - timedelta(microseconds=1))
    assert is_due(window, delay, window.end + delay)
