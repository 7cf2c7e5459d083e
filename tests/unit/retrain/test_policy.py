"""Triggers: on what they fire, and that the same evidence never starts two episodes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.records import Verdict
from modelloop.monitor.records import Signal, Window
from modelloop.retrain.policy import Situation, cause
from modelloop.retrain.records import Episode, EpisodeState, Result
from modelloop.retrain.settings import TriggerOn, TriggerSettings
from served import T0

DAY = timedelta(days=1)
ALERT = TriggerSettings(TriggerOn.ALERT, "train", "delay", monitor="quality", cool_down=3 * DAY)
SCHEDULE = TriggerSettings(TriggerOn.SCHEDULE, "train", "delay", every=30 * DAY)
DATA = TriggerSettings(TriggerOn.DATA, "train", "delay", dataset="flights")


def failing(end: datetime) -> Signal:
    window = Window("delay", end - 7 * DAY, end)
    return Signal(
        "signal_1", "quality", "quality", window, "delay:1", Verdict.FAIL, 0.6, 0.5, 0.65, 0.7, 900, "low", {}, T0
    )


def closed(at: datetime, **values: Any) -> Episode:
    episode = Episode("e", 1, "delay", "train", EpisodeState.CLOSED, "fell", None, "", {}, at, T0)
    return replace(
        episode, result=Result.REFUSED, closed_at=T0, closed_event_time=at, evidence={"as_of": "known"}, **values
    )


def situation(**values: Any) -> Situation:
    plain = Situation(now=T0 + 10 * DAY, champion="delay:1", trained_until=T0, open=False, last=None)
    return replace(plain, **values)


def test_an_alert_fires_with_its_signal() -> None:
    found = cause(ALERT, situation(failing={"quality": failing(T0 + 9 * DAY)}))
    assert found is not None
    assert (found.signal, found.reason) == ("signal_1", "quality: low")
    assert cause(ALERT, situation(failing={"drift": failing(T0)})) is None
    assert cause(ALERT, situation()) is None


def test_a_refused_episode_is_not_tried_again_on_the_same_window() -> None:
    old = {"quality": failing(T0 + 9 * DAY)}
    last = closed(T0 + 10 * DAY)
    assert cause(ALERT, situation(now=T0 + 16 * DAY, failing=old, last=last)) is None
    new = {"quality": failing(T0 + 16 * DAY)}
    assert cause(ALERT, situation(now=T0 + 16 * DAY, failing=new, last=last)) is not None


def test_the_cool_down_is_counted_on_the_datas_clock() -> None:
    new, last = {"quality": failing(T0 + 12 * DAY)}, closed(T0 + 10 * DAY)
    assert cause(ALERT, situation(now=T0 + 12 * DAY, failing=new, last=last)) is None
    assert cause(ALERT, situation(now=T0 + 13 * DAY, failing=new, last=last)) is not None


def test_the_calendar_counts_from_the_training_data() -> None:
    assert cause(SCHEDULE, situation(now=T0 + 29 * DAY)) is None
    assert cause(SCHEDULE, situation(now=T0 + 30 * DAY)) is not None
    assert cause(SCHEDULE, situation(now=T0 + 31 * DAY, last=closed(T0 + 30 * DAY))) is None
    assert cause(SCHEDULE, situation(now=T0 + 60 * DAY, last=closed(T0 + 30 * DAY))) is not None
    assert cause(SCHEDULE, situation(now=T0 + 60 * DAY, champion=None, trained_until=None)) is None


def test_new_data_fires_once_per_version_even_without_a_champion() -> None:
    nothing = {"champion": None, "trained_until": None, "now": None}
    assert cause(DATA, situation(**nothing, newest={})) is None
    found = cause(DATA, situation(**nothing, newest={"flights": 1}))
    assert found is not None
    assert found.signal == "flights:1"
    used = replace(closed(T0), evidence={"data": {"flights": 1}})
    assert cause(DATA, situation(newest={"flights": 1}, last=used)) is None
    assert cause(DATA, situation(newest={"flights": 2}, last=used)) is not None


def test_an_episode_before_the_first_answer_has_no_place_on_the_datas_clock() -> None:
    first = replace(closed(T0 + 5000 * DAY), evidence={"as_of": None}, closed_event_time=None)
    assert cause(ALERT, situation(failing={"quality": failing(T0 + 9 * DAY)}, last=first)) is not None
    assert cause(SCHEDULE, situation(now=T0 + 30 * DAY, last=first)) is not None


@given(st.sampled_from([ALERT, SCHEDULE, DATA]), st.integers(0, 100), st.integers(0, 100))
def test_never_while_one_is_open(settings: TriggerSettings, now: int, end: int) -> None:
    seen = situation(now=T0 + now * DAY, open=True, failing={"quality": failing(T0 + end * DAY)}, newest={"flights": 9})
    assert cause(settings, seen) is None


@pytest.mark.parametrize("settings", [ALERT, SCHEDULE])
def test_nothing_answered_yet_means_no_clock(settings: TriggerSettings) -> None:
    assert cause(settings, situation(now=None, trained_until=None)) is None
