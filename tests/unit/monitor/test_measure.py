"""Windows measured on real facts: once each, against the version that answers, with alerts that come and go."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta

import msgspec
import numpy as np
import pytest

from modelloop.deploy import actions as deploy
from modelloop.deploy.settings import RolloutSettings
from modelloop.evaluate.profile import profile
from modelloop.evaluate.records import Evaluation, Score
from modelloop.ground.core.records import Verdict
from modelloop.ground.store.context import Context
from modelloop.monitor import actions
from modelloop.monitor.records import Signal
from modelloop.monitor.settings import AlertSettings, Channel, MonitorSettings, Severity, SignalKind
from modelloop.project import Project
from modelloop.register.manifest import build
from served import ENDPOINT, T0, Gateway, fair, make_project, put_version

WEEK = timedelta(days=7)
QUALITY = MonitorSettings(ENDPOINT, SignalKind.QUALITY, every=WEEK, min_rows=100)


def project(**monitors: MonitorSettings) -> Project:
    return make_project(monitors=monitors or {"quality": QUALITY}, alerts={"ops": AlertSettings(Channel.LOG)})


@pytest.fixture
def gateway(ctx: Context) -> Gateway:
    """A gateway whose first version is live; x is the true chance, so `fair` has an AUC of 5/6."""
    put_judged(ctx, 1)
    return serve(ctx, 1)


def put_judged(ctx: Context, number: int) -> None:
    """Put a version into the register with what was found at its registration: an AUC of 0.83, well known."""
    score = Score("auc", 0.83, 0.825, 0.835, 40_000)
    files = {"evaluation.json": msgspec.json.encode(Evaluation(score, (score,), score, (), None))}
    put_version(ctx, number, headline=0.83, digest=build(ctx.blobs, files | {"number": b"%d" % number}).digest)


def serve(ctx: Context, number: int) -> Gateway:
    rollout = deploy.start_rollout(ctx, project(), ENDPOINT, f"delay:{number}", reason="")
    gateway = Gateway(ctx, {f"delay:{number}": fair})
    gateway.report()
    deploy.advance(ctx, rollout.id)
    return gateway


def measure(ctx: Context, watched: Project) -> list[Signal]:
    """Do what a turn of the loop does."""
    actions.resolve_renewed(ctx, watched)
    return [signal for name in watched.monitors for signal in actions.measure(ctx, watched, name)]


def week(gateway: Gateway, start: datetime, *, scores: str = "fair", count: int = 600) -> None:
    """Play one week of requests with their outcomes; `blind` callers get answers that know nothing."""
    known = {"fair": fair, "blind": lambda x: (x * 7919) % 1}
    gateway.answers = dict.fromkeys(gateway.answers, known[scores])
    step = WEEK / count
    told = gateway.ask(count, start, step=step)
    gateway.tell(told, start + step * (count - 1))


def test_a_window_is_measured_once_its_outcomes_are_in(ctx: Context, gateway: Gateway) -> None:
    week(gateway, T0)
    assert measure(ctx, project()) == []
    week(gateway, T0 + WEEK)
    (signal,) = measure(ctx, project())
    assert (signal.window.start, signal.window.end, signal.version) == (T0, T0 + WEEK, "delay:1")
    assert (signal.verdict, signal.rows) == (Verdict.PASS, 600)
    assert signal.low is not None
    assert signal.value is not None
    assert signal.low < 0.83 < signal.value + 0.06
    assert measure(ctx, project()) == []
    assert actions.signals(ctx, monitor="quality") == [signal]
    assert actions.get_signal(ctx, signal.id) == signal


def test_quality_falls_and_comes_back(ctx: Context, gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    for number, scores in enumerate(["fair", "blind", "blind", "fair", "fair"]):
        week(gateway, T0 + WEEK * number, scores=scores)
    verdicts = [signal.verdict for signal in measure(ctx, project())]
    assert verdicts == [Verdict.PASS, Verdict.FAIL, Verdict.FAIL, Verdict.PASS]
    (alert,) = actions.alerts(ctx)
    assert alert.event_time == T0 + 2 * WEEK
    assert alert.resolved_at is not None
    assert "Quality fell at 'delay'" in alert.message
    assert actions.alerts(ctx, firing=True) == []
    with caplog.at_level(logging.WARNING, "modelloop.alerts"):
        assert actions.send_alerts(ctx, project()) == 2
    assert {record.message.split(":")[0] for record in caplog.records} == {"raised", "resolved"}
    assert actions.send_alerts(ctx, project()) == 0


def test_each_window_spends_its_part_of_alpha(ctx: Context, gateway: Gateway) -> None:
    for number in range(4):
        week(gateway, T0 + WEEK * number)
    signals = measure(ctx, project())
    assert [s.detail["window_of_version"] for s in signals] == [1, 2, 3]
    assert sum(s.detail["level"] for s in signals) < QUALITY.alpha
    widths = [s.high - s.low for s in signals if s.high is not None and s.low is not None]
    assert widths == sorted(widths)


def test_too_few_outcomes_are_missing_evidence_and_spend_nothing(ctx: Context, gateway: Gateway) -> None:
    week(gateway, T0, count=50)
    week(gateway, T0 + WEEK)
    week(gateway, T0 + 2 * WEEK)
    first, second = measure(ctx, project())
    assert first.verdict is Verdict.MISSING
    assert "50 of 50 answers" in first.reason
    assert second.detail["window_of_version"] == 1


def test_quiet_months_have_no_windows(ctx: Context, gateway: Gateway) -> None:
    week(gateway, T0)
    week(gateway, T0 + 30 * WEEK)
    week(gateway, T0 + 31 * WEEK)
    assert [s.window.start for s in measure(ctx, project())] == [T0, T0 + 30 * WEEK]


def test_a_new_champion_begins_anew_and_resolves_what_fired(ctx: Context, gateway: Gateway) -> None:
    for number in range(3):
        week(gateway, T0 + WEEK * number, scores="blind")
    measure(ctx, project())
    (firing,) = actions.alerts(ctx, firing=True)
    put_judged(ctx, 2)
    ctx.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
    bold = deploy.start_rollout(ctx, quick(), ENDPOINT, "delay:2", reason="renewed")
    gateway.answers = {"delay:1": fair, "delay:2": fair}
    gateway.report()
    deploy.advance(ctx, bold.id)
    assert deploy.live(ctx, ENDPOINT)[0].version == "delay:2"
    assert measure(ctx, project()) == []
    assert actions.alerts(ctx)[0].resolved_at is not None
    for number in range(3, 5):
        week(gateway, T0 + WEEK * number)
    (signal,) = measure(ctx, project())
    assert (signal.version, signal.verdict, signal.detail["window_of_version"]) == ("delay:2", Verdict.PASS, 1)
    assert signal.window.start > firing.event_time


def quick() -> Project:
    """Return a project in which a version goes live after its check."""
    return make_project(RolloutSettings(shadow_rows=0, canary=()))


def test_drift_of_inputs_and_scores(ctx: Context) -> None:
    x = np.random.default_rng(0).uniform(0, 0.3, 2000)
    digest = build(ctx.blobs, {"profile.json": json.dumps(profile({"x": x}, x)).encode()}).digest
    put_version(ctx, 1, digest=digest)
    gateway = serve(ctx, 1)
    week(gateway, T0)
    week(gateway, T0 + WEEK)
    watched = project(
        inputs=MonitorSettings(ENDPOINT, SignalKind.INPUT_DRIFT, every=WEEK, severity=Severity.NOTE),
        scores=MonitorSettings(ENDPOINT, SignalKind.SCORE_DRIFT, every=WEEK, min_rows=10_000),
    )
    by_name = {signal.monitor: signal for signal in measure(ctx, watched)}
    assert by_name["inputs"].verdict is Verdict.FAIL
    assert list(by_name["inputs"].detail) == ["x"]
    assert by_name["inputs"].value is not None
    assert by_name["inputs"].value > 1
    assert by_name["scores"].verdict is Verdict.MISSING
    (alert,) = actions.alerts(ctx)
    assert (alert.severity, alert.monitor) == ("note", "inputs")
    assert actions.send_alerts(ctx, watched) == 0  # the channel hears alerts, not notes


def test_nothing_live_nothing_measured(ctx: Context) -> None:
    assert measure(ctx, project()) == []
