"""Better, worse, not yet: three answers, and few wrong ones however often one looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.deploy.records import ArmEvidence, GatewayReport
from modelloop.deploy.settings import RolloutSettings
from modelloop.deploy.verdict import BETTER, NOT_YET, WORSE, Evidence, judge_canary, judge_check, judge_shadow, loss

POLICY = RolloutSettings(shadow_rows=100, canary_rows=50, margin=0.02)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def arm(asked: int, failed: int = 0, ms: float | None = 0.5, labelled: int = 0) -> ArmEvidence:
    return ArmEvidence(asked, failed, labelled, None, ms)


def shadow(pairs: np.ndarray, *, failed: int = 0, rows: int | None = None) -> Evidence:
    asked = len(pairs) + failed
    return Evidence(asked if rows is None else rows, arm(asked), arm(asked, failed, labelled=len(pairs)), pairs=pairs)


def canary(asked: int, failed: int = 0, **more: object) -> Evidence:
    return Evidence(asked * 2, arm(asked), arm(asked, failed), challenger_rows=asked, **more)  # type: ignore[arg-type]


def test_a_better_challenger_passes_the_shadow() -> None:
    pairs = np.random.default_rng(1).normal(-0.05, 0.05, 600).clip(-1, 1)
    assert judge_shadow(shadow(pairs), POLICY).decision == BETTER


def test_too_few_pairs_are_not_yet() -> None:
    verdict = judge_shadow(shadow(np.full(99, -0.5)), POLICY)
    assert verdict.decision == NOT_YET
    assert "99 of 100 rows" in verdict.reason


def test_a_worse_challenger_goes_back_early() -> None:
    pairs = np.random.default_rng(1).normal(0.3, 0.1, 60).clip(-1, 1)
    assert judge_shadow(shadow(pairs), POLICY).decision == WORSE


def test_nothing_known_is_not_yet_and_never_back() -> None:
    assert judge_shadow(shadow(np.empty(0)), POLICY).decision == NOT_YET
    assert judge_canary(canary(0), POLICY).decision == NOT_YET


def test_max_rows_ends_what_cannot_be_told() -> None:
    pairs = np.random.default_rng(2).normal(0.02, 0.5, 200).clip(-1, 1)
    assert judge_shadow(shadow(pairs), POLICY).decision == NOT_YET
    ended = judge_shadow(shadow(pairs, rows=POLICY.max_rows), POLICY)
    assert ended.decision == WORSE
    assert "No verdict after" in ended.reason


def test_errors_in_shadow_send_back_and_say_one() -> None:
    evidence = Evidence(10, arm(10), arm(10, 10), example="column 'gust' is missing")
    verdict = judge_shadow(evidence, POLICY)
    assert verdict.decision == WORSE
    assert "column 'gust' is missing" in verdict.reason


def test_total_failure_in_canary_trips_within_ten_requests() -> None:
    first = next(n for n in range(1, 50) if judge_canary(canary(n, n), POLICY).decision == WORSE)
    assert first <= 10


def test_one_error_among_few_is_not_yet_neither_way() -> None:
    assert judge_canary(canary(60, 1), POLICY).decision == NOT_YET


def test_good_requests_lead_on_or_wait_for_a_person() -> None:
    assert judge_canary(canary(49), POLICY).decision == NOT_YET
    assert judge_canary(canary(50), POLICY).decision == BETTER
    assert judge_canary(canary(50), POLICY, wait=True).decision == NOT_YET


def test_rows_count_for_progress_and_requests_for_errors() -> None:
    one_big = Evidence(1000, arm(1), arm(1), 500)
    assert judge_canary(one_big, POLICY).decision == BETTER
    assert judge_canary(Evidence(1000, arm(60), arm(60, 1), 500), POLICY).decision == NOT_YET


def test_surely_worse_answers_go_back_in_canary() -> None:
    rng = np.random.default_rng(3)
    bad, good = rng.uniform(0.5, 0.9, 80), rng.uniform(0, 0.2, 300)
    verdict = judge_canary(canary(80, challenger_losses=bad, champion_losses=good), POLICY)
    assert verdict.decision == WORSE
    assert judge_canary(canary(80, challenger_losses=good, champion_losses=bad), POLICY).decision == BETTER


def test_slow_answers_go_back_but_not_over_fractions_of_a_millisecond() -> None:
    slow = Evidence(200, arm(100, ms=2.0), arm(60, ms=30.0), 60)
    assert judge_canary(slow, POLICY).decision == WORSE
    assert judge_canary(Evidence(200, arm(100, ms=0.01), arm(60, ms=0.9), 60), POLICY).decision == BETTER


@given(st.integers(0, 10_000))
def test_equal_versions_are_rarely_called_worse_at_any_look(seed: int) -> None:
    pairs = np.random.default_rng(seed % 20).normal(0, 0.2, 400).clip(-1, 1)
    looks = [judge_shadow(shadow(pairs[:n]), POLICY).decision for n in (20, 50, 100, 200, 400)]
    assert WORSE not in looks


def test_wrong_verdicts_are_as_rare_as_promised() -> None:
    """At the margin itself, over 100 rollouts looked at 15 times each: at most alpha are passed as not worse."""
    policy = RolloutSettings(shadow_rows=20, margin=0.0, alpha=0.1)
    wrong = 0
    for seed in range(100):
        pairs = np.random.default_rng(seed).choice([-0.4, 0.4], 300)
        wrong += any(judge_shadow(shadow(pairs[:n]), policy).decision == BETTER for n in range(20, 301, 20))
    assert wrong <= 10


@pytest.mark.parametrize(
    ("task", "score", "label", "expected"),
    [("binary", 0.8, 1, 0.04), ("regression", 5, 3, 0.2), ("regression", 90, 3, 1)],
)
def test_losses_lie_between_zero_and_one(task: str, score: float, label: float, expected: float) -> None:
    assert loss(task, [score], [label], 10.0)[0] == pytest.approx(expected)
    assert loss(task, [float("nan")], [label], 10.0)[0] == 1


def report(
    gateway: str, *, generation: int = 3, ago: float = 0, loaded: bool = True, failed: bool = False
) -> GatewayReport:
    versions = ("delay:2",) if loaded else ()
    wrong = {"delay:2": "its golden answers differ"} if failed else {}
    return GatewayReport(gateway, generation, NOW - timedelta(seconds=ago), "", 1, versions, wrong, 0, 0, 0, 0)


def check(*reports: GatewayReport, since: float = 10) -> str:
    began = NOW - timedelta(seconds=since)
    return judge_check("delay:2", 3, reports, since=began, now=NOW).decision


def test_the_check_wants_every_gateway_that_lives() -> None:
    assert check() == NOT_YET
    assert check(report("a")) == BETTER
    assert check(report("a"), report("b", generation=2, loaded=False)) == NOT_YET
    assert check(report("a"), report("b", ago=6, generation=1, loaded=False)) == BETTER
    assert check(report("a"), report("b", generation=2, loaded=False, failed=True)) == WORSE
    assert check(report("a", ago=3, generation=2, loaded=False, failed=True), since=1) == NOT_YET
