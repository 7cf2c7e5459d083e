"""One turn as a state machine, and what a pipeline says it wants."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.deploy.records import Rollout, Stage, StageVerdict
from modelloop.ground.core.records import Verdict
from modelloop.retrain import episode as rules
from modelloop.retrain.asof import moment, wants_as_of
from modelloop.retrain.records import Episode, EpisodeState, Result, Settled
from served import T0


def opened() -> Episode:
    return Episode(
        "e", 1, "delay", "train", EpisodeState.RUNNING, "person", None, "", {}, T0, T0, evidence={"as_of": None}
    )


def rollout(stage: Stage) -> Rollout:
    said = (StageVerdict("better", "all is well", {}),)
    return Rollout("r", "delay", "delay:1", "delay:2", stage, 0, T0, T0, said, "", "me")


def test_evidence_grows_and_is_never_lost() -> None:
    episode = rules.began(opened(), "run_1", {"flights": 3})
    settled = Settled("run_1", "delay:2", "pass", "All gates pass.", {"gates": [{"gate": "good"}]})
    episode = rules.rolling(rules.judged(episode, settled, {"id": "run_1"}), "r")
    episode = rules.ended(episode, rollout(Stage.LIVE), ["said"], T0, T0)
    assert (episode.state, episode.result, episode.version) == (EpisodeState.CLOSED, Result.PROMOTED, "delay:2")
    assert list(episode.evidence or {}) == ["as_of", "data", "run", "gates", "judgement", "rollout", "result"]
    assert (episode.evidence or {})["result"] == {"result": "promoted", "reason": "all is well"}


@given(st.sampled_from(list(Stage)))
def test_only_a_finished_rollout_ends_an_episode(stage: Stage) -> None:
    episode = rules.rolling(opened(), "r")
    after = rules.ended(episode, rollout(stage), [], T0, T0)
    if stage in (Stage.LIVE, Stage.BACK):
        assert after.result is (Result.PROMOTED if stage is Stage.LIVE else Result.ROLLED_BACK)
    else:
        assert after == episode


@pytest.mark.parametrize(
    ("said", "meant"),
    [("pass", Verdict.PASS), ("fail", Verdict.FAIL), ("failed", Verdict.MISSING), ("", Verdict.MISSING)],
)
def test_only_a_clear_pass_is_a_pass(said: str, meant: Verdict) -> None:
    episode = rules.judged(opened(), Settled("r", "delay:2", said, "", {}), {})
    assert rules.verdict_of(episode) is meant
    assert rules.verdict_of(opened()) is Verdict.MISSING


def test_a_time_may_come_as_text() -> None:
    assert moment("2013-03-01T00:00:00Z") == moment(T0) == moment(T0.replace(tzinfo=None)) == T0
    assert moment("soon") is None
    assert moment(7) is None


def test_as_of_is_read_from_the_source_without_running_it(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(
        "raise RuntimeError('never run')\ndef a(x, *, as_of=None): ...\ndef b(x): ...\nclass C:\n  def d(as_of): ...\n"
    )
    (tmp_path / "wrong.py").write_text("def a(as_of:")
    assert wants_as_of(tmp_path, "steps:a")
    for function in ("steps:b", "steps:d", "steps:none", "wrong:a", "nowhere:a"):
        assert not wants_as_of(tmp_path, function)
