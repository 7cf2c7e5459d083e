"""Contributions add up to the score, whatever the model; what does not matter gets none, what is alike the same."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.deploy.gateway.explain import ROWS, contributions
from modelloop.deploy.gateway.explaining import Explainer
from modelloop.deploy.gateway.runtime import LoadedArm
from modelloop.deploy.records import Arm
from modelloop.ground.core.errors import InvalidInput, NotReady
from modelloop.prepare.records import Columns, Datatype, InputColumn
from modelloop.register.records import Signature

CHANCE = np.random.default_rng(4)


class Model:
    """A function of columns; counts the rows it was asked."""

    def __init__(self, function: Callable[[Columns], Any]) -> None:
        self.function = function
        self.rows = 0
        self.largest = 0

    def outputs(self, columns: Columns) -> dict[str, Any]:
        rows = len(next(iter(columns.values())))
        self.rows, self.largest = self.rows + rows, max(self.largest, rows)
        return {"score": np.asarray(self.function(columns), dtype=np.float32)}

    def score(self, columns: Columns) -> Any:
        return self.outputs(columns)["score"].astype(np.float64)


def numbers(count: int, rows: int = 40) -> dict[str, Any]:
    return {f"c{at}": CHANCE.normal(size=rows) for at in range(count)}


def linear(weights: Any) -> Model:
    return Model(lambda columns: sum(w * columns[f"c{at}"] for at, w in enumerate(weights)))


def bent(columns: Columns) -> Any:
    c = list(columns.values())
    return np.tanh(c[0] * c[1]) + np.where(c[2] > 0, c[0], -c[3]) + sum(c[4:])


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 14), st.integers(1, 4), st.integers(200, 4000), st.integers(0, 9))
def test_the_sum_is_the_score(count: int, rows: int, budget: int, seed: int) -> None:
    model, asked = Model(bent), numbers(count, rows)
    found = contributions(model, asked, numbers(count), seed=seed, budget=budget)
    total = found.base + sum(found.contributions.values())
    np.testing.assert_allclose(total, model.score(asked), rtol=0, atol=1e-9)
    assert found.exact is (count <= 8 and 2**count <= budget // rows)


@pytest.mark.parametrize("count", [5, 12])
def test_a_linear_model_is_told_exactly(count: int) -> None:
    weights = CHANCE.normal(size=count)
    asked, known = numbers(count, 3), numbers(count)
    found = contributions(linear(weights), asked, known, budget=40 * 3 * (2**count if count < 9 else 2 * (count + 1)))
    for at, weight in enumerate(weights):
        mean = known[f"c{at}"].mean()
        np.testing.assert_allclose(found.contributions[f"c{at}"], weight * (asked[f"c{at}"] - mean), atol=2e-5)


@pytest.mark.parametrize("count", [6, 11])
def test_what_does_not_matter_gets_nothing(count: int) -> None:
    def without_last(columns: Columns) -> Any:
        return np.exp(columns["c0"]) * columns["c1"]

    found = contributions(Model(without_last), numbers(count, 2), numbers(count))
    for at in range(2, count):
        np.testing.assert_allclose(found.contributions[f"c{at}"], 0, atol=1e-6)
    assert abs(found.contributions["c0"]).max() > 1e-3


def test_what_is_alike_gets_the_same() -> None:
    asked, known = numbers(4, 2), numbers(4)
    asked["c1"], known["c1"] = asked["c0"], known["c0"]
    found = contributions(Model(lambda c: np.tanh(c["c0"] + c["c1"]) * c["c2"]), asked, known)
    np.testing.assert_allclose(found.contributions["c0"], found.contributions["c1"], atol=1e-6)


def test_draws_come_near_the_exact_solution() -> None:
    asked, known = numbers(8, 1), numbers(8)
    exact = contributions(Model(bent), asked, known, budget=256 * 40)
    drawn = contributions(Model(bent), asked, known, budget=255)
    assert exact.exact
    assert not drawn.exact
    many = contributions(
        Model(lambda c: bent({n: c[n] for n in asked})), asked | {"z": known["c0"][:1]}, known | {"z": known["c0"]}
    )
    assert not many.exact
    for name, value in exact.contributions.items():
        assert many.contributions[name] == pytest.approx(value, abs=0.05)


def test_words_and_missing_values() -> None:
    known = {
        "town": np.array(["a", "b", None, "a"], object),
        "n": np.array([1, 2, 3, 4]),
        "x": np.array([0.5, np.nan, 1, 2]),
    }
    asked = {"town": np.array([None, "b"], object), "n": np.array([7, 1]), "x": np.array([np.nan, 3.0])}
    model = Model(lambda c: (c["town"] == "b") * 2.0 + c["n"] + np.nan_to_num(c["x"], nan=-1))
    found = contributions(model, asked, known)
    np.testing.assert_allclose(found.contributions["town"], [-0.5, 1.5], atol=1e-6)
    np.testing.assert_allclose(found.contributions["n"], [4.5, -1.5], atol=1e-6)


def test_of_several_classes_the_likeliest_is_explained() -> None:
    def three(columns: Columns) -> Any:
        raw = np.stack([columns["c0"], columns["c1"], columns["c2"]], axis=1)
        return np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)

    asked = {"c0": np.array([3.0, 0.0]), "c1": np.array([0.0, 0.1]), "c2": np.array([0.0, 2.0])}
    found = contributions(Model(three), asked, numbers(3))
    np.testing.assert_allclose(found.score, three(asked).max(axis=1), rtol=1e-6)
    assert found.contributions["c0"][0] > 0.2
    assert found.contributions["c2"][1] > 0.2


def test_equal_requests_get_equal_answers_alone_or_together() -> None:
    asked, known = numbers(10, 3), numbers(10)
    share = {"budget": 3000}
    first = contributions(Model(bent), asked, known, **share)
    again = contributions(Model(bent), asked, known, **share)
    alone = contributions(Model(bent), {n: c[1:2] for n, c in asked.items()}, known, budget=1000)
    for name, values in first.contributions.items():
        assert values.tolist() == again.contributions[name].tolist()
        assert alone.contributions[name][0] == pytest.approx(values[1], abs=1e-6)


def test_work_is_bounded() -> None:
    model = linear(np.ones(30))
    contributions(model, numbers(30, 10), numbers(30, 500), budget=5000)
    assert model.rows <= 5000 + 10
    assert model.largest <= 2000
    small = linear(np.ones(8))
    contributions(small, numbers(8, 2), numbers(8, 500), budget=20_000)
    assert small.rows <= 20_000 + 2


def test_what_cannot_be_explained_is_said() -> None:
    with pytest.raises(InvalidInput, match="rows are to be explained"):
        contributions(linear([1.0]), numbers(1, ROWS + 1), numbers(1))
    with pytest.raises(InvalidInput, match="no sample"):
        contributions(linear([1.0]), numbers(1, 1), numbers(1, 0))
    with pytest.raises(InvalidInput, match="columns"):
        contributions(linear([1.0]), {"m": np.zeros((1, 3))}, {"m": np.zeros((4, 3))})
    with pytest.raises(InvalidInput, match="no finite score"):
        contributions(Model(lambda c: np.where(c["c0"] == 5, 1.0, np.nan)), {"c0": np.array([5.0])}, numbers(1))


def test_the_explainer_answers_in_its_own_thread_and_says_when_it_is_busy() -> None:
    signature = Signature((InputColumn("c0", Datatype.FP64),), "score", "regression")
    go, told = Event(), []

    def slow(columns: Columns) -> Any:
        go.wait(10)
        return 2 * columns["c0"]

    model: Any = Model(slow)
    arm = LoadedArm(Arm("m:1", "0" * 64), signature, model, background={"c0": np.array([1.0, 3.0])})
    desk = Explainer(waiting=1)
    for _ in range(6):
        desk.submit(arm, {"c0": np.array([5.0])}, told.append)
    go.set()
    desk.close()
    assert len(told) == 6
    assert any(isinstance(one, NotReady) for one in told)
    good = [one for one in told if isinstance(one, dict)]
    assert good
    assert good[0] == {"base": [4.0], "contributions": {"c0": [6.0]}, "exact": True}
    failing: Any = Model(lambda _: 1 / 0)
    broken = Explainer()
    broken.submit(LoadedArm(arm.arm, signature, failing, background=arm.background), {"c0": np.ones(1)}, told.append)
    broken.close()
    assert "ZeroDivisionError" in str(told[-1])
