"""Better, worse, not yet: three answers, each with its reason, and what divides them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.deploy.records import ArmEvidence, GatewayReport
from modelloop.deploy.settings import Goal, RolloutSettings
from modelloop.deploy.verdict import (
    BETTER,
    NOT_YET,
    WORSE,
    Evidence,
    SliceLosses,
    judge_bake,
    judge_canary,
    judge_check,
    judge_shadow,
    judge_test,
)
from modelloop.deploy.verdicts.budget import shares
from modelloop.deploy.verdicts.stages import LIVE, SHADOW

POLICY = RolloutSettings(shadow_rows=100, canary_rows=50, margin=0.02)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def arm(asked: int, failed: int = 0, labelled: int = 0) -> ArmEvidence:
    return ArmEvidence(asked, failed, labelled, None, None)


def shadow(pairs: np.ndarray, *, failed: int = 0, rows: int | None = None, **more: object) -> Evidence:
    asked = len(pairs) + failed
    new = arm(asked, failed, labelled=len(pairs))
    return Evidence(asked if rows is None else rows, arm(asked), new, pairs=pairs, **more)  # type: ignore[arg-type]


def canary(asked: int, failed: int = 0, **more: object) -> Evidence:
    return Evidence(asked * 2, arm(asked), arm(asked, failed), challenger_rows=asked, **more)  # type: ignore[arg-type]


def normal(mean: float, count: int, *, spread: float = 0.05, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, count).clip(-1, 1)


def uniform(low: float, high: float, count: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, count)


def test_a_better_challenger_passes_the_shadow() -> None:
    verdict = judge_shadow(shadow(normal(-0.05, 600)), POLICY)
    assert verdict.decision == BETTER
    assert "not worse" in verdict.reason


def test_too_few_rows_are_not_yet_however_good() -> None:
    verdict = judge_shadow(shadow(np.full(99, -0.5)), POLICY)
    assert verdict.decision == NOT_YET
    assert "99, at least 100" in verdict.reason
    assert verdict.numbers["remaining"]["rows"] == 1


def test_a_worse_challenger_goes_back_early() -> None:
    verdict = judge_shadow(shadow(normal(0.3, 60)), POLICY)
    assert verdict.decision == WORSE
    assert verdict.numbers["low"] > POLICY.margin


@pytest.mark.parametrize("judge", [judge_shadow, judge_canary, judge_test, judge_bake])
def test_without_requests_it_is_not_yet_however_long_it_lasts(judge) -> None:
    policy = RolloutSettings(max_rows=1, max_hours=1.0)
    nothing = Evidence(500, arm(500), arm(0))
    verdict = judge(nothing, policy, since=NOW - timedelta(days=9), now=NOW)
    assert verdict.decision == NOT_YET
    assert "without requests nothing is decided" in verdict.reason
    assert verdict.numbers["remaining"] == {"rows": None, "seconds": None}


def test_max_rows_ends_what_cannot_be_told() -> None:
    pairs = normal(0.02, 200, spread=0.5, seed=2)
    assert judge_shadow(shadow(pairs), POLICY).decision == NOT_YET
    ended = judge_shadow(shadow(pairs, rows=POLICY.max_rows), POLICY)
    assert ended.decision == WORSE
    assert "No verdict after 20,000 rows" in ended.reason


def test_max_hours_ends_it_too_and_a_clock_set_back_does_not() -> None:
    policy = RolloutSettings(max_hours=2.0)
    since = NOW - timedelta(hours=3)
    assert judge_shadow(shadow(normal(0, 20)), policy, since=since, now=NOW).decision == WORSE
    back = judge_shadow(shadow(normal(0, 20)), policy, since=NOW + timedelta(hours=5), now=NOW)
    assert back.decision == NOT_YET


def test_least_seconds_hold_a_good_version() -> None:
    policy = RolloutSettings(shadow_rows=100, margin=0.02, least_seconds=600)
    good = shadow(normal(-0.05, 600))
    early = judge_shadow(good, policy, since=NOW - timedelta(seconds=590), now=NOW)
    assert early.decision == NOT_YET
    assert early.numbers["remaining"]["seconds"] == 10
    assert judge_shadow(good, policy, since=NOW - timedelta(seconds=600), now=NOW).decision == BETTER


def test_a_stage_that_will_end_without_a_verdict_says_so() -> None:
    asked = ArmEvidence(500, 0, 0, None, None)
    silent = judge_shadow(Evidence(500, asked, asked), RolloutSettings(max_rows=600))
    assert silent.decision == NOT_YET
    assert "there will be no verdict: 100 more rows, and the stage gives up" in silent.reason
    assert silent.numbers["remaining"]["gives_up"]
    assert not judge_shadow(shadow(normal(0, 200)), RolloutSettings()).numbers["remaining"]["gives_up"]


def test_a_goal_of_better_asks_for_more() -> None:
    equal, better = shadow(normal(0, 2000)), shadow(normal(-0.05, 2000))
    policy = RolloutSettings(shadow_rows=100, margin=0.02, goal=Goal.BETTER)
    assert judge_shadow(equal, POLICY).decision == BETTER
    missed = judge_shadow(equal, policy)
    assert missed.decision == WORSE
    assert "not better by enough" in missed.reason
    assert judge_shadow(better, policy).decision == BETTER


def test_errors_in_shadow_send_back_and_say_one() -> None:
    evidence = Evidence(10, arm(10), arm(10, 10), example="column 'gust' is missing")
    verdict = judge_shadow(evidence, POLICY)
    assert verdict.decision == WORSE
    assert "column 'gust' is missing" in verdict.reason


def test_total_failure_in_canary_trips_within_four_requests() -> None:
    first = next(n for n in range(1, 50) if judge_canary(canary(n, n), POLICY).decision == WORSE)
    assert first <= 4


def test_one_error_among_few_is_not_yet_neither_way() -> None:
    verdict = judge_canary(canary(60, 1), POLICY)
    assert verdict.decision == NOT_YET
    assert "It failed 1 of 60 requests" in verdict.reason


def test_good_requests_lead_on_or_wait_for_a_person() -> None:
    assert judge_canary(canary(49), POLICY).decision == NOT_YET
    assert judge_canary(canary(50), POLICY).decision == BETTER
    assert judge_canary(canary(50), POLICY, wait=True).decision == NOT_YET


def test_a_canary_without_a_shadow_says_so_and_a_goal_of_better_waits() -> None:
    policy = RolloutSettings(shadow_rows=0)
    assert "the shadow is left out" in judge_canary(canary(50), policy).reason
    demanding = RolloutSettings(shadow_rows=0, goal=Goal.BETTER)
    assert judge_canary(canary(50), demanding).decision == NOT_YET
    shown = canary(900, challenger_losses=uniform(0, 0.2, 800), champion_losses=uniform(0.5, 0.9, 800))
    assert judge_canary(shown, demanding).decision == BETTER


def test_rows_count_for_progress_and_requests_for_errors() -> None:
    assert judge_canary(Evidence(1000, arm(1), arm(1), 500), POLICY).decision == BETTER
    assert judge_canary(Evidence(1000, arm(60), arm(60, 1), 500), POLICY).decision == NOT_YET


def test_surely_worse_answers_go_back_in_canary() -> None:
    bad, good = uniform(0.5, 0.9, 80), uniform(0, 0.2, 300)
    assert judge_canary(canary(80, challenger_losses=bad, champion_losses=good), POLICY).decision == WORSE
    assert judge_canary(canary(80, challenger_losses=good, champion_losses=bad), POLICY).decision == BETTER


def test_slow_answers_go_back_but_not_over_fractions_of_a_millisecond() -> None:
    slow = canary(60, challenger_ms=uniform(20, 40, 60), champion_ms=uniform(1, 3, 100))
    verdict = judge_canary(slow, POLICY)
    assert verdict.decision == WORSE
    assert "median answer" in verdict.reason
    fast = canary(60, challenger_ms=uniform(0.5, 0.9, 60), champion_ms=uniform(0.001, 0.01, 100))
    assert judge_canary(fast, POLICY).decision == BETTER
    few = canary(60, challenger_ms=uniform(20, 40, 3), champion_ms=uniform(1, 3, 3))
    assert judge_canary(few, POLICY).decision == NOT_YET  # so far too slow, but three requests prove nothing


def test_an_absolute_limit_of_latency_at_a_quantile() -> None:
    policy = RolloutSettings(max_latency_ms=10, latency_quantile=0.9)
    slow = np.where(np.arange(200) % 3 == 0, 50.0, 1.0)
    assert judge_canary(canary(200, challenger_ms=slow), policy).decision == WORSE
    fine = np.where(np.arange(200) % 20 == 0, 50.0, 1.0)
    assert judge_canary(canary(200, challenger_ms=fine), policy).decision == BETTER


def test_missing_inputs_go_back_and_are_named() -> None:
    policy = RolloutSettings(max_missing=0.1)
    lacking = {"gust": np.where(np.arange(200) % 3 == 0, 1.0, 0.0), "date": np.zeros(200)}
    verdict = judge_canary(canary(200, missing=lacking), policy)
    assert verdict.decision == WORSE
    assert "'gust' is missing in 33.5%" in verdict.reason
    assert judge_canary(canary(200, missing=lacking), RolloutSettings()).decision == BETTER
    few = {"gust": np.array([1.0, 0, 0, 0, 0])}
    assert judge_canary(canary(200, missing=few), policy).decision == NOT_YET


def test_answers_that_differ_too_much_go_back_without_any_outcome() -> None:
    policy = RolloutSettings(max_disagreement=0.1)
    evidence = Evidence(200, arm(200), arm(200), disagreements=uniform(0.2, 0.6, 200))
    assert judge_shadow(evidence, policy).decision == WORSE
    assert judge_shadow(evidence, RolloutSettings()).decision == NOT_YET


def test_a_slice_that_suffers_is_enough() -> None:
    policy = RolloutSettings(shadow_rows=100, margin=0.02, slices=("carrier",))
    hurt = {"carrier = AA": SliceLosses(pairs=normal(-0.1, 300)), "carrier = UA": SliceLosses(pairs=normal(0.3, 200))}
    verdict = judge_shadow(shadow(normal(-0.05, 600), slices=hurt), policy)
    assert verdict.decision == WORSE
    assert "carrier = UA" in verdict.reason
    assert judge_shadow(shadow(normal(-0.05, 600), slices=hurt), POLICY).decision == BETTER  # not switched on
    arms = {"carrier = UA": SliceLosses(champion=uniform(0, 0.1, 200), challenger=uniform(0.6, 0.8, 200))}
    assert judge_canary(canary(300, slices=arms), policy).decision == WORSE


def test_the_test_of_two_arms_promotes_the_better_and_sends_the_worse_back() -> None:
    good, bad = uniform(0, 0.2, 600), uniform(0.3, 0.9, 600)
    assert judge_test(canary(600, challenger_losses=good, champion_losses=bad), POLICY).decision == BETTER
    assert judge_test(canary(600, challenger_losses=bad, champion_losses=good), POLICY).decision == WORSE
    unknown = judge_test(canary(600, challenger_losses=good[:20], champion_losses=good[20:40]), POLICY)
    assert unknown.decision == NOT_YET
    assert unknown.numbers["remaining"]["rows"] > 0


def test_a_bake_ends_well_or_leads_back() -> None:
    policy = RolloutSettings(bake_rows=100)
    assert judge_bake(Evidence(99, arm(0), arm(99)), policy).decision == NOT_YET
    assert judge_bake(Evidence(100, arm(0), arm(100)), policy).decision == BETTER
    assert judge_bake(Evidence(100, arm(0), arm(100, 9)), policy).decision == WORSE
    assert judge_bake(Evidence(400, arm(0), arm(400), pairs=normal(0.2, 300)), policy).decision == WORSE
    long = judge_bake(Evidence(99, arm(0), arm(99)), RolloutSettings(bake_rows=100, max_rows=1, max_hours=1),
                      since=NOW - timedelta(days=5), now=NOW)  # fmt: skip
    assert long.decision == NOT_YET  # the end of a bake is bake_rows, never a lack of a verdict


@pytest.mark.parametrize(
    ("policy", "tests"),
    [
        (RolloutSettings(), SHADOW),
        (RolloutSettings(max_latency_ms=5, max_missing=0.1, slices=("a",)), LIVE),
        (RolloutSettings(max_disagreement=0.5, false_rollback=0.2), SHADOW),
    ],
)
def test_the_shares_of_the_error_add_up(policy, tests) -> None:
    assert sum(shares(policy, tests).values()) == pytest.approx(policy.false_rollback)


def test_the_default_shares_are_those_that_are_told() -> None:
    assert shares(RolloutSettings(), SHADOW) == {"quality": 0.025, "errors": 0.025}
    assert shares(RolloutSettings(), LIVE) == pytest.approx({"quality": 0.02, "errors": 0.02, "latency": 0.01})


@pytest.mark.parametrize("share", [0.02, 0.3, 0.4, 0.7])
@pytest.mark.parametrize("stormy", ["first", "last"])
def test_a_season_is_not_the_challengers_fault(share, stormy) -> None:
    """Both versions alike, the second half of the stage far harder (or easier) than the first, shares of any size."""
    random = np.random.default_rng(3)
    for _ in range(5):
        ours = random.random(3000) < share
        means = np.where((np.arange(3000) < 1500) == (stormy == "first"), 0.6, 0.1)
        losses = (means + random.normal(0, 0.1, 3000)).clip(0, 1)
        for count in (750, 1500, 2000, 2500, 3000):
            mine, theirs = np.flatnonzero(ours[:count]), np.flatnonzero(~ours[:count])
            evidence = canary(
                len(mine), champion_losses=losses[theirs], challenger_losses=losses[mine],
                champion_at=theirs.astype(float), challenger_at=mine.astype(float),
            )  # fmt: skip
            assert judge_canary(evidence, POLICY).decision != WORSE


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 300), st.integers(0, 5), st.floats(-0.3, 0.3))
def test_verdicts_are_short_json_and_worse_pairs_are_never_better(seed, count, failed, mean) -> None:
    pairs = normal(mean, count, seed=seed)
    ranks = {BETTER: 0, NOT_YET: 1, WORSE: 2}
    found = judge_shadow(shadow(pairs, failed=failed), POLICY, since=NOW - timedelta(hours=1), now=NOW)
    raised = judge_shadow(shadow((pairs + 0.05).clip(-1, 1), failed=failed), POLICY)
    assert ranks[raised.decision] >= ranks[found.decision]
    text = orjson.dumps(dict(found.numbers))
    assert orjson.loads(text) == found.numbers  # no NaN, no infinity, no numpy
    assert len(text) < 2000


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 40), st.integers(0, 40))
def test_the_order_of_requests_does_not_matter(seed, failed, fine) -> None:
    random = np.random.default_rng(seed)
    pairs = normal(0.01, 150, seed=seed)
    one, other = judge_shadow(shadow(pairs), POLICY), judge_shadow(shadow(random.permutation(pairs)), POLICY)
    assert one.decision == other.decision
    assert one.numbers["low"] == pytest.approx(other.numbers["low"], abs=1e-6)
    more = judge_canary(canary(failed + fine, failed), POLICY)
    worse = judge_canary(canary(failed + fine + 1, failed + 1), POLICY)
    assert more.decision != WORSE or worse.decision == WORSE


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
