"""From rows of the prediction log to evidence: what counts, for whom, and once for each request."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.deploy.evidence import gather, spread
from modelloop.deploy.records import Stage
from modelloop.deploy.settings import RolloutSettings
from modelloop.deploy.verdict import NOT_YET, Rule, judge_bake, judge_canary, judge_shadow, judge_test
from modelloop.deploy.verdicts.losses import Kind

OLD, NEW = "m:1", "m:2"


@dataclass
class Row:
    """A row as `tables.stage_rows` returns it."""

    id: str = "p1"
    row: int = 0
    arm: str = "champion"
    version: str = OLD
    score: float = 0.5
    milliseconds: float = 1.0
    error: str | None = None
    label: float | None = None
    label_seq: int | None = None
    shadow_version: str | None = None
    shadow_score: float | None = None
    shadow_error: str | None = None
    answer: dict[str, Any] | None = None
    shadow_answer: dict[str, Any] | None = None
    slices: dict[str, Any] | None = None
    missing: list[str] | None = None


def both(**more: Any) -> Row:
    return Row(**({"shadow_version": NEW, "shadow_score": 0.8} | more))


def seen(rows: list[Row], stage: Stage, task: str = "binary", **more: Any) -> Any:
    return gather(rows, stage, NEW, task=task, scale=10.0, **more)


def test_a_request_counts_once_by_the_mean_of_its_rows() -> None:
    rows = [
        both(label=1, label_seq=3),
        both(row=1, score=1.0, shadow_score=0.0, label=1, label_seq=1),
        both(id="p2", label=0, label_seq=2),
        both(id="p3"),
    ]
    evidence = seen(rows, Stage.SHADOW)
    assert evidence.rows == 4
    assert evidence.challenger.asked == 3
    assert evidence.challenger.labelled == 3
    # p1 comes first: its first outcome did
    assert evidence.pairs.tolist() == pytest.approx([((0.04 - 0.25) + (1 - 0)) / 2, 0.64 - 0.25])
    assert evidence.disagreements.tolist() == pytest.approx([(0.3 + 1.0) / 2, 0.3, 0.3])


def test_shadow_errors_count_by_request_and_make_no_pairs() -> None:
    rows = [both(shadow_score=None, shadow_error="boom", label=1, label_seq=1), both(id="p2", shadow_score=math.nan)]
    evidence = seen(rows, Stage.SHADOW)
    assert (evidence.challenger.asked, evidence.challenger.failed, len(evidence.pairs)) == (2, 2, 0)
    assert evidence.example == "boom"
    assert evidence.challenger_errors.tolist() == [1, 1]
    other = seen([Row(shadow_version="m:9", shadow_score=0.1, label=1, label_seq=1)], Stage.SHADOW)
    assert other.challenger.asked == 0


def test_canary_arms_and_who_stood_in() -> None:
    rows = [
        Row("a", version=NEW, arm="challenger", milliseconds=5.0, label=1, label_seq=2),
        Row("b", label=0, label_seq=1, milliseconds=2.0),
        Row("c", error="crashed"),  # the champion stood in
        Row("d", score=math.nan, error="the champion itself"),
    ]
    evidence = seen(rows, Stage.CANARY)
    assert (evidence.challenger.asked, evidence.challenger.failed) == (2, 1)
    assert (evidence.champion.asked, evidence.champion.failed) == (2, 1)
    assert evidence.challenger_rows == 2
    assert evidence.challenger_ms.tolist() == [5.0]
    assert evidence.champion_ms.tolist() == [2.0]
    assert evidence.example == "crashed"
    assert evidence.champion_losses.tolist() == [0.25]
    assert (evidence.champion_at.tolist(), evidence.challenger_at.tolist()) == ([1], [2])


def test_a_bake_pairs_with_the_version_before_where_it_still_scores() -> None:
    rows = [
        Row("a", version=NEW, score=0.9, shadow_version=OLD, shadow_score=0.5, label=1, label_seq=1),
        Row("b", version=NEW, score=0.9, label=1, label_seq=2),
        Row("c", version=NEW, score=math.nan, error="boom"),
    ]
    evidence = seen(rows, Stage.BAKE)
    assert evidence.pairs.tolist() == pytest.approx([0.01 - 0.25])
    assert (evidence.rows, evidence.challenger.asked, evidence.challenger.failed) == (3, 3, 1)


def test_slices_and_missing_inputs() -> None:
    rows = [
        both(label=1, label_seq=1, slices={"carrier": "UA", "origin": None}, missing=["gust"]),
        both(row=1, label=1, label_seq=2, slices={"carrier": "AA", "origin": None}),
        both(id="p2", label=1, label_seq=3, slices={"carrier": "UA"}, missing=["date", "gust"]),
    ]
    evidence = seen(rows, Stage.SHADOW)
    assert list(evidence.slices) == ["carrier = UA", "origin = None", "carrier = AA"]
    assert len(evidence.slices["carrier = UA"].pairs) == 2
    assert evidence.missing["gust"].tolist() == [0.5, 1.0]
    assert evidence.missing["date"].tolist() == [0.0, 1.0]
    arms = seen(
        [
            Row("a", version=NEW, label=1, label_seq=1, slices={"carrier": "UA"}),
            Row("b", label=1, label_seq=2, slices={"carrier": "UA"}),
            Row("c", label=1, label_seq=3, slices={"carrier": "AA"}),
        ],
        Stage.TEST,
    )
    assert list(arms.slices) == ["carrier = UA"]
    assert len(arms.slices["carrier = UA"].champion) == len(arms.slices["carrier = UA"].challenger) == 1
    assert arms.slices["carrier = UA"].champion_at.tolist() == [2]
    assert arms.slices["carrier = UA"].challenger_at.tolist() == [1]


def test_multiclass_reads_the_probabilities_and_falls_back_on_the_best_class() -> None:
    sure = {"label": "b", "probabilities": [0.1, 0.8, 0.1]}
    rows = [
        both(score=1.0, shadow_score=1.0, answer=sure, shadow_answer={"p": [0.0, 1.0, 0.0]}, label=1, label_seq=1),
        both(id="p2", score=0.0, shadow_score=1.0, label=1, label_seq=2),
    ]
    evidence = seen(rows, Stage.SHADOW, task="multiclass")
    assert evidence.pairs.tolist() == pytest.approx([0 - (0.01 + 0.04 + 0.01) / 2, 0 - 1])
    assert evidence.disagreements.tolist() == pytest.approx([0.2, 1.0])


def test_the_rule_of_the_objective_is_followed() -> None:
    rows = [both(score=0.3, shadow_score=0.2, label=1, label_seq=1)]
    evidence = seen(rows, Stage.SHADOW, rule=Rule(Kind.MISS, threshold=0.25))
    assert evidence.pairs.tolist() == [1.0]


@pytest.mark.parametrize(
    ("stage", "judge"),
    [(Stage.SHADOW, judge_shadow), (Stage.CANARY, judge_canary), (Stage.TEST, judge_test), (Stage.BAKE, judge_bake)],
)
def test_no_rows_are_not_yet(stage, judge) -> None:
    assert judge(seen([], stage), RolloutSettings()).decision == NOT_YET


rows_of_any_kind = st.lists(
    st.builds(
        Row,
        id=st.sampled_from("abcdef"),
        row=st.integers(0, 2),
        version=st.sampled_from([OLD, NEW]),
        score=st.floats(),
        milliseconds=st.floats(0, 1e6) | st.just(math.nan),
        error=st.none() | st.just("boom"),
        label=st.none() | st.floats(-10, 10),
        label_seq=st.none() | st.integers(1, 99),
        shadow_version=st.sampled_from([None, OLD, NEW]),
        shadow_score=st.none() | st.floats(),
        shadow_error=st.none() | st.just("bang"),
        answer=st.none() | st.just({"p": [0.5, 0.5]}) | st.just({"p": []}) | st.just({"x": "text"}),
        slices=st.none() | st.dictionaries(st.sampled_from("xy"), st.none() | st.integers(0, 2)),
        missing=st.none() | st.lists(st.sampled_from(["u", "v"])),
    ),
    max_size=25,
)


@given(rows_of_any_kind, st.sampled_from(["binary", "regression", "multiclass"]))
def test_whatever_the_log_holds_every_stage_has_an_answer(rows, task) -> None:
    policy = RolloutSettings(slices=("x", "y"), max_missing=0.2, max_disagreement=0.1, max_latency_ms=5.0)
    for stage, judge in (
        (Stage.SHADOW, judge_shadow),
        (Stage.CANARY, judge_canary),
        (Stage.TEST, judge_test),
        (Stage.BAKE, judge_bake),
    ):
        evidence = seen(rows, stage, task=task)
        assert ((evidence.pairs >= -1) & (evidence.pairs <= 1)).all()
        assert judge(evidence, policy).reason


def test_the_unit_of_a_regression() -> None:
    assert spread([]) == 1.0
    assert spread([3.0, 3.0]) == 1.0
    assert spread([float(x) for x in range(101)]) == pytest.approx(98)
