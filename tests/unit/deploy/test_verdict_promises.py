"""The promises of a verdict, kept when somebody looks at every request: a small edition of the study of rollouts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.studies.rollout_limits import errors
from benchmarks.studies.rollout_pictures import picture
from benchmarks.studies.rollout_streams import SCENARIOS, by_request, by_row
from benchmarks.studies.rollouts import BACK, METHODS, POLICY, PROMOTE, asymptotic, table, told, verdict

from modelloop.deploy.records import ArmEvidence
from modelloop.deploy.verdict import BETTER, WORSE, Evidence, judge_shadow
from modelloop.ground.stats.sequential import running_mean_sequence

ROLLOUTS = 150


def allowed(alpha: float, rollouts: int = ROLLOUTS) -> float:
    """Return alpha and three standard errors of a share found in a simulation."""
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / rollouts)


def shadow(pairs: np.ndarray) -> Evidence:
    asked = ArmEvidence(len(pairs), 0, len(pairs), None, None)
    return Evidence(len(pairs), asked, asked, pairs=pairs)


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_wrong_verdicts_are_as_rare_as_promised(name: str) -> None:
    scenario = SCENARIOS[name]
    pairs = scenario.draw(np.random.default_rng(100 + scenario.seed), ROLLOUTS)
    said = verdict(pairs)
    wrong = said.better if scenario.wrong == "promoted" else said.worse
    assert wrong.any(axis=1).mean() <= allowed(PROMOTE if scenario.wrong == "promoted" else BACK)


def test_the_asymptotic_sequence_fails_the_same_test() -> None:
    """So it can fail; and this is why verdicts do not rest on that sequence."""
    pairs = SCENARIOS["worse by very rare, total losses"].draw(np.random.default_rng(1), ROLLOUTS)
    said = asymptotic(pairs)
    assert said.better.any(axis=1).mean() > 3 * allowed(PROMOTE)
    # and it is the one that is meant
    _, high = running_mean_sequence(pairs[0][:500], alpha=2 * PROMOTE)
    assert bool(said.better[0, 499]) == (high < POLICY.margin)


def test_good_and_bad_versions_are_told_apart() -> None:
    better = told(verdict(SCENARIOS["better"].draw(np.random.default_rng(2), 50)))
    worse = told(verdict(SCENARIOS["clearly worse"].draw(np.random.default_rng(3), 50)))
    assert better["promoted"] == 1
    assert worse["sent back"] == 1
    assert better["mean requests"] < 300
    assert worse["mean requests"] < 300


@pytest.mark.parametrize("name", ["better", "clearly worse", "worse by rare large losses"])
def test_the_study_tests_what_the_stage_says(name: str) -> None:
    """At each of many looks of a rollout, `judge_shadow` and the study's paths agree."""
    pairs = SCENARIOS[name].draw(np.random.default_rng(4), 1)[:, :600]
    said = verdict(pairs)
    for count in range(300, 601, 20):  # from shadow_rows on
        decision = judge_shadow(shadow(pairs[0, :count]), POLICY).decision
        assert (decision == BETTER) == bool(said.better[0, count - 1])
        assert (decision == WORSE) == bool(said.worse[0, count - 1])


def test_rows_of_a_request_are_no_repetitions() -> None:
    right = by_request(np.random.default_rng(5), 60, PROMOTE, BACK)
    wrong = by_row(np.random.default_rng(5), 60, PROMOTE, BACK)
    assert right.better.any(axis=1).mean() <= allowed(PROMOTE, 60)
    assert wrong.better.any(axis=1).mean() > 2 * allowed(PROMOTE, 60)


def test_errors_at_their_limit_rarely_lead_back() -> None:
    found = errors(ROLLOUTS)
    assert found["wrong"] <= allowed(found["allowed"])
    assert found["found"] == 1


def test_figures_become_a_table_and_a_picture() -> None:
    scenarios = {}
    for name, scenario in SCENARIOS.items():
        pairs = np.random.default_rng(6).normal(0, 0.1, (3, 50))
        each = {method: told(verdict(pairs)) for method in METHODS}
        scenarios[name] = {"what": scenario.what, "wrong": scenario.wrong, "fixed size": 5, "methods": each}
    result = {
        "scenarios": scenarios,
        "rows of requests": {"by request": {"promoted": 0.01, "sent back": 0.0}},
        "limits": {"errors": errors(20)},
        "false promotion allowed": PROMOTE,
        "false rollback allowed": BACK,
    }
    assert sum(row.startswith("|") for row in table(result)) == len(SCENARIOS) + 2 + 3 + 3
    assert picture(result, METHODS).startswith("<svg")
