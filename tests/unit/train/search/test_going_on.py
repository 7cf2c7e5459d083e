"""A search that is interrupted anywhere, any number of times, ends like one that was not."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.train.search import choice, integer, plateau, real, search, when

SPACE = {"x": real(-5, 5), "n": integer(1, 50, log=True), "k": choice("a", "b"), "d": when(real(0, 1), k="a")}
GIVEN = {"space": SPACE, "seed": 4, "direction": "lower", "metric": "loss", "weights": "none"}
HOW = [
    ("tpe", None), ("tpe", "median"), ("random", "asha"), ("random", "hyperband"), ("cmaes", None), ("nsga2", None),
]  # fmt: skip
names = itertools.count()


def loss(trying):
    for step in range(4):
        trying.report(step, abs(trying["x"]) + 1 / (step + 1))
    if trying["n"] == 7:
        raise ValueError("seven")
    return abs(trying["x"]) + trying["n"] / 100 + trying.get("d", 0.3) + trying.seed % 7 / 1000


def told(study):
    return (
        [(t.number, dict(t.params), t.value, t.state, t.curve) for t in study.trials],
        study.best,
        study.sure,
        study.ended,
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(HOW),
    st.lists(st.integers(0, 44), max_size=4),
)  # fmt: skip
def test_interrupted_anywhere_it_ends_the_same(ctx, how, stops):
    method, pruner = how
    given = GIVEN | {"method": method, "pruner": pruner, "trials": 40, "confirm": 2, "stop": plateau(30)}
    whole = search(loss, **given)
    left = sorted(stops)
    calls = itertools.count()

    def interrupted(trying):
        if left and next(calls) >= left[0]:
            left.pop(0)
            raise KeyboardInterrupt
        return loss(trying)

    name = f"study {next(names)}"
    for _ in range(len(stops) + 1):
        try:
            found = search(interrupted, **given, store=ctx, name=name)
        except KeyboardInterrupt:
            continue
    assert told(found) == told(whole)


def test_more_trials_go_on_and_fewer_change_nothing(ctx):
    short = search(loss, **GIVEN, trials=5, store=ctx, name="a")
    long = search(loss, **GIVEN, trials=12, store=ctx, name="a")
    assert told(long)[0][:5] == told(short)[0]
    assert told(long) == told(search(loss, **GIVEN, trials=12))
    assert told(search(loss, **GIVEN, trials=3, store=ctx, name="a")) == told(long)


def test_a_project_folder_keeps_studies(tmp_path):
    (tmp_path / "modelloop.toml").write_text("")
    first = search(loss, **GIVEN, trials=3, store=tmp_path, name="größe ü")
    calls = []
    again = search(calls.append, **GIVEN, trials=3, store=str(tmp_path / "modelloop.toml"), name="größe ü")
    assert told(again) == told(first)
    assert calls == []
    with pytest.raises(NotFound, match=r"no modelloop\.toml"):
        search(loss, **GIVEN, trials=3, store=tmp_path / "elsewhere", name="x")


@pytest.mark.parametrize("name", ["", " a", "a\n", "a\0", "x" * 201, 5])
def test_a_study_that_is_kept_has_a_name(ctx, name):
    with pytest.raises(InvalidInput, match="cannot name a study"):
        search(loss, **GIVEN, trials=3, store=ctx, name=name)
