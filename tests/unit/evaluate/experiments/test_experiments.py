from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.evaluate.experiments.board import board
from modelloop.evaluate.experiments.compare import compare, curve
from modelloop.evaluate.experiments.entries import entries_of
from modelloop.evaluate.experiments.fronts import best_by, front
from modelloop.evaluate.experiments.headline import headline_for
from modelloop.evaluate.experiments.records import Basis, Headline, Standing
from modelloop.evaluate.records import Direction
from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.train.tracking.records import DatasetInput, Lifecycle, Metric, TrackedRun, TrackedState

ACCURACY = Headline("accuracy", Direction.HIGHER, "How often it is right.")


def run(name: str, params: Mapping[str, object], metrics: Mapping[str, float]) -> TrackedRun:
    return TrackedRun(
        id=name,
        experiment=1,
        name=name,
        user="",
        status=TrackedState.FINISHED,
        lifecycle=Lifecycle.ACTIVE,
        start_ms=0,
        end_ms=1,
        revision=1,
        metrics={key: Metric(key, value) for key, value in metrics.items()},
        params={key: str(value) for key, value in params.items()},
    )


def seeds(name: str, depth: int, values: list[float]) -> list[TrackedRun]:
    return [run(f"{name}{n}", {"depth": depth, "seed": n}, {"accuracy": value}) for n, value in enumerate(values)]


class TestEntries:
    def test_runs_that_differ_in_the_seed_alone_are_repeats(self) -> None:
        entries = entries_of([*seeds("a", 3, [0.7, 0.8]), *seeds("b", 4, [0.6, 0.7])], ACCURACY)
        assert [entry.runs for entry in entries] == [("a0", "a1"), ("b0", "b1")]
        assert entries[0].params == {"depth": "3"}
        assert entries[0].estimate is not None
        assert entries[0].estimate.basis is Basis.REPEATS
        assert entries[0].estimate.value == pytest.approx(0.75)

    def test_runs_without_parameters_are_no_repeats(self) -> None:
        assert len(entries_of([run("a", {}, {"accuracy": 1}), run("b", {}, {"accuracy": 1})], ACCURACY)) == 2

    def test_nested_names_of_seeds_are_known(self) -> None:
        runs = [run(str(n), {"forest__random_state": n, "depth": 2}, {"accuracy": n / 10}) for n in range(3)]
        assert len(entries_of(runs, ACCURACY)) == 1

    def test_a_logged_interval_is_taken(self) -> None:
        found = entries_of(
            [run("a", {"x": 1}, {"accuracy": 0.8, "accuracy.low": 0.7, "accuracy.high": 0.9})], ACCURACY
        )[0].estimate
        assert found is not None
        assert (found.low, found.high, found.basis) == (0.7, 0.9, Basis.LOGGED)


class TestBoard:
    def test_single_numbers_are_ranked_but_nothing_is_claimed(self) -> None:
        found = board([run("a", {"x": 1}, {"accuracy": 0.9}), run("b", {"x": 2}, {"accuracy": 0.1})], ACCURACY)
        assert [line.standing for line in found.lines] == [Standing.FIRST, Standing.UNKNOWN]
        assert "another seed" in found.verdict

    def test_far_apart_repeats_are_told_apart(self) -> None:
        runs = [*seeds("good", 3, [0.90, 0.91, 0.92, 0.90]), *seeds("bad", 4, [0.70, 0.72, 0.71, 0.70])]
        found = board(runs, ACCURACY)
        assert [line.standing for line in found.lines] == [Standing.FIRST, Standing.WORSE]
        assert found.lines[1].gap is not None
        assert found.lines[1].gap.basis is Basis.PAIRS

    def test_a_lower_loss_is_better(self) -> None:
        loss = Headline("loss", Direction.LOWER, "")
        found = board([run("a", {"x": 1}, {"loss": 0.9}), run("b", {"x": 2}, {"loss": 0.1})], loss)
        assert [line.entry.name for line in found.lines] == ["b", "a"]
        assert found.lines[1].gap is not None
        assert found.lines[1].gap.difference == pytest.approx(0.8)

    def test_entries_without_a_value_come_last(self) -> None:
        found = board([run("nan", {"x": 1}, {"accuracy": math.nan}), run("b", {"x": 2}, {"accuracy": 0.1})], ACCURACY)
        assert [(line.entry.name, line.standing) for line in found.lines] == [
            ("b", Standing.FIRST),
            ("nan", Standing.MISSING),
        ]

    @pytest.mark.parametrize("paired", [True, False])
    def test_equal_entries_are_rarely_told_apart(self, paired: bool) -> None:
        """Twelve entries that are all the same: at 95 %, at most about one board in twenty may claim a difference."""
        noise = random.Random(3)
        wrong = 0
        for _ in range(200):
            runs = []
            for depth in range(12):
                values = [noise.gauss(0.8, 0.02) for _ in range(5)]
                first = 0 if paired else 10 * depth  # other seeds: nothing to pair
                runs += [
                    run(f"{depth}-{n}", {"depth": depth, "seed": first + n}, {"accuracy": value})
                    for n, value in enumerate(values)
                ]
            wrong += any(line.standing is Standing.WORSE for line in board(runs, ACCURACY).lines)
        assert wrong <= 18  # 5 % of 200 is 10; with 10 expected, more than 18 come once in a hundred

    def test_other_data_is_no_fair_comparison(self) -> None:
        data = [DatasetInput("flights", digest) for digest in ("1", "2")]
        runs = [
            replace(one, inputs=[data[0 if one.params["depth"] == "3" else 1]])
            for one in [*seeds("good", 3, [0.9, 0.91]), *seeds("bad", 4, [0.7, 0.72])]
        ]
        assert "1 of the others were given other data" in board(runs, ACCURACY).verdict
        same = [replace(one, inputs=data[:1]) for one in runs]
        assert "other data" not in board(same, ACCURACY).verdict

    def test_a_silly_confidence_is_refused(self) -> None:
        with pytest.raises(InvalidInput):
            board([], ACCURACY, confidence=95)


class TestHeadline:
    def test_the_projects_metric_is_found_under_the_librarys_name(self) -> None:
        own = Headline("auc", Direction.HIGHER, "How often the late flight scores higher.")
        runs = [run("a", {}, {"training_roc_auc": 1.0, "val_roc_auc": 0.7, "steps": 3})]
        found = headline_for(runs, objective=own)
        assert (found.metric, found.meaning) == ("val_roc_auc", own.meaning)

    def test_a_known_metric_brings_its_sentence(self) -> None:
        found = headline_for([run("a", {}, {"rmse": 1.0})])
        assert found.direction is Direction.LOWER
        assert found.meaning

    def test_a_guessed_direction_says_so(self) -> None:
        found = headline_for([run("a", {}, {"my_loss_thing": 1.0})])
        assert (found.direction, found.assumed) == (Direction.LOWER, True)
        assert headline_for([run("a", {}, {"zing": 1.0})], direction="lower").assumed is False

    def test_an_unknown_metric_names_those_that_there_are(self) -> None:
        with pytest.raises(NotFound, match="accuracy"):
            headline_for([run("a", {}, {"accuracy": 1.0})], metric="acuracy")
        with pytest.raises(NotFound):
            headline_for([])


class TestCompare:
    def test_what_differs_comes_first(self) -> None:
        runs = [
            run("a", {"a": 1, "b": 5}, {"accuracy": 0.8, "zeta": 1}),
            run("b", {"a": 1, "b": 6}, {"accuracy": 0.9}),
        ]
        found = compare(runs, ACCURACY)
        assert [(row.name, row.differs) for row in found.params] == [("b", True), ("a", False)]
        assert list(found.metrics) == ["accuracy", "zeta"]
        assert found.metrics["zeta"][1] is None
        assert found.best == {"accuracy": "b"}

    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000))
    def test_a_thinned_curve_keeps_ends_and_extremes(self, values: list[float]) -> None:
        found = curve(run("a", {}, {}), [Metric("m", value, step) for step, value in enumerate(values)], most=100)
        assert len(found.points) <= 110
        assert found.points[0] == (0, values[0])
        assert found.points[-1] == (len(values) - 1, values[-1])
        assert {max(v for _, v in found.points), min(v for _, v in found.points)} == {max(values), min(values)}


METRICS = [ACCURACY, Headline("size", Direction.LOWER, "")]


class TestFront:
    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=40))
    def test_it_is_what_nobody_beats(self, values: list[tuple[int, int]]) -> None:
        runs = [run(str(n), {"x": n}, {"accuracy": a, "size": s}) for n, (a, s) in enumerate(values)]
        found = front(runs, METRICS)
        best = {
            str(n)
            for n, (a, s) in enumerate(values)
            if not any(b >= a and t <= s and (b, t) != (a, s) for b, t in values)
        }
        assert {entry.name for entry in found.entries} == best
        assert found.beaten == len(values) - len(best)

    def test_one_metric_is_no_front(self) -> None:
        with pytest.raises(InvalidInput):
            front([run("a", {}, {"accuracy": 1})], METRICS[:1])
        with pytest.raises(NotFound, match="size"):
            front([run("a", {}, {"accuracy": 1})], METRICS)


def test_the_best_of_each_group() -> None:
    runs = [run(f"{m}{n}", {"model": m, "n": n}, {"accuracy": n / 10}) for m in ("tree", "line") for n in (1, 2)]
    found = best_by([*runs, run("top", {"model": "line", "n": 9}, {"accuracy": 0.9})], ACCURACY, "model")
    assert [(group.value, group.best.name, group.entries) for group in found] == [
        ("line", "top", 3),
        ("tree", "tree2", 2),
    ]
    with pytest.raises(NotFound, match="model"):
        best_by(runs, ACCURACY, "modle")
