"""Pass, fail, missing; and what a person is told."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from modelloop.evaluate.metrics import compute
from modelloop.evaluate.records import Direction, Score
from modelloop.ground.core.errors import EvidenceMissing
from modelloop.ground.core.records import Verdict
from modelloop.ground.stats.sequential import spend
from modelloop.monitor import alert as rules
from modelloop.monitor.judge import drift, missing, quality
from modelloop.monitor.records import Alert, Signal, Window
from modelloop.monitor.settings import AlertSettings, Channel, Severity
from served import T0


def auc(low: float, high: float) -> Score:
    return Score("auc", (low + high) / 2, low, high, 1000, 0.95)


@pytest.mark.parametrize(
    ("low", "high", "direction", "verdict"),
    [
        (0.60, 0.69, Direction.HIGHER, Verdict.FAIL),
        (0.60, 0.71, Direction.HIGHER, Verdict.PASS),
        (0.80, 0.90, Direction.HIGHER, Verdict.PASS),
        (0.75, 0.80, Direction.LOWER, Verdict.FAIL),
        (0.70, 0.80, Direction.LOWER, Verdict.PASS),
    ],
)
def test_quality_fails_only_beyond_doubt(low: float, high: float, direction: Direction, verdict: Verdict) -> None:
    reading = quality(auc(low, high), direction, reference=auc(0.719, 0.721), tolerance=0.02, detail={})
    assert reading.verdict is verdict
    assert "at registration it was 0.720" in reading.reason


def test_no_interval_is_no_evidence() -> None:
    score = Score("auc", 0.4, None, None, 3)
    assert quality(score, Direction.HIGHER, reference=auc(0.6, 0.8), tolerance=0, detail={}).verdict is Verdict.MISSING
    with pytest.raises(EvidenceMissing, match="from registration"):
        quality(auc(0.6, 0.7), Direction.HIGHER, reference=score, tolerance=0, detail={})


def test_an_uncertain_reference_raises_fewer_alerts() -> None:
    """The value at registration is an estimate too: with a wide interval the same loss is no proof."""
    sure = quality(auc(0.64, 0.68), Direction.HIGHER, reference=auc(0.709, 0.711), tolerance=0.0, detail={})
    unsure = quality(auc(0.64, 0.68), Direction.HIGHER, reference=auc(0.65, 0.77), tolerance=0.0, detail={})
    assert (sure.verdict, unsure.verdict) == (Verdict.FAIL, Verdict.PASS)


def test_drift_names_the_worst_first() -> None:
    reading = drift({"temp": 1.2, "carrier": 0.01, "wind": 0.3}, threshold=0.25, rows=900, what="inputs")
    assert (reading.verdict, reading.value, list(reading.detail)) == (Verdict.FAIL, 1.2, ["temp", "wind", "carrier"])
    assert "temp 1.20, wind 0.30, above 0.25" in reading.reason
    assert drift({"temp": 0.2}, threshold=0.25, rows=900, what="inputs").verdict is Verdict.PASS
    assert drift({}, threshold=0.25, rows=900, what="inputs").verdict is Verdict.MISSING


def test_false_alerts_over_a_whole_life_are_rare() -> None:
    """60 lives of a version that never changes, 60 windows each: alpha bounds the lives with any alert."""
    alpha, alarms = 0.1, 0
    rng = np.random.default_rng(7)
    for _ in range(60):
        reference = compute("brier", (rng.uniform(size=400) < 0.3).astype(float), np.full(400, 0.3), 0.95)
        for k in range(1, 61):
            y = (rng.uniform(size=200) < 0.3).astype(float)
            score = compute("brier", y, np.full(200, 0.3), 1 - 2 * spend(alpha, k))
            reading = quality(score, Direction.LOWER, reference=reference, tolerance=0.0, detail={})
            if reading.verdict is Verdict.FAIL:
                alarms += 1
                break
    assert alarms <= 12


def signal(verdict: Verdict) -> Signal:
    window = Window("delay", T0, T0 + timedelta(days=7))
    return Signal("s", "quality", "quality", window, "delay:1", verdict, 0.6, 0.5, 0.65, 0.7, 900, "auc is low", {}, T0)


def test_an_alert_fires_once_and_is_resolved_by_a_pass() -> None:
    firing = Alert("a", "quality", "delay", "alert", "s", T0, T0, None, "")
    assert rules.step(None, signal(Verdict.FAIL)) is rules.Step.RAISE
    assert rules.step(firing, signal(Verdict.FAIL)) is rules.Step.KEEP
    assert rules.step(firing, signal(Verdict.MISSING)) is rules.Step.KEEP
    assert rules.step(firing, signal(Verdict.PASS)) is rules.Step.RESOLVE
    assert rules.step(None, signal(Verdict.PASS)) is rules.Step.KEEP


def test_the_message_says_what_where_since_when() -> None:
    text = rules.message(signal(Verdict.FAIL))
    assert text.startswith(
        "Quality fell at 'delay', answered by delay:1, from 2013-03-01 00:00 to 2013-03-08 00:00 UTC"
    )


def test_channels_hear_what_is_loud_enough() -> None:
    quiet, loud = AlertSettings(Channel.LOG, minimum=Severity.NOTE), AlertSettings(Channel.LOG)
    assert [rules.hears(quiet, s) for s in Severity] == [True, True]
    assert [rules.hears(loud, s) for s in Severity] == [False, True]


def test_missing_says_why() -> None:
    assert missing(3, "3 rows").verdict is Verdict.MISSING
