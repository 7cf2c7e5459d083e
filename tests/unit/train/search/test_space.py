from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput
from modelloop.train.domains import Integer, Real, When
from modelloop.train.search import choice, integer, real, search, when
from modelloop.train.search import space as spaces

GIVEN = {"trials": 5, "seed": 0, "direction": "lower", "metric": "loss"}


@pytest.mark.parametrize(
    ("space", "match"),
    [
        ({}, "no parameters"),
        ({"": integer(1, 2)}, "cannot name a parameter"),
        ({7: integer(1, 2)}, "cannot name a parameter"),
        ({"a\0b": integer(1, 2)}, "control character"),
        ({"a\ud800": integer(1, 2)}, "control character"),
        ({"x" * 201: integer(1, 2)}, "cannot name a parameter"),
        ({"a": 5}, "The parameter 'a' is '5'"),
        ({"a": Integer(5, 1)}, "'a': The bounds are 5 and 1"),
        ({"a": Real(0.0, float("nan"))}, "'a': The bounds"),
        ([("a", integer(1, 2)), ("a", integer(1, 3))], "'a' is there twice"),
        ({"\u00e9": integer(1, 2), "e\u0301": integer(1, 2)}, "is there twice"),
        ({"a": when(real(0, 1), b=1)}, "depends on 'b', which the space does not have"),
        ({"a": when(choice(1, 2), b=1), "b": when(choice(1, 2), a=1)}, "in a circle"),
        ({"a": when(real(0, 1), b="z"), "b": choice("x", "y")}, "which it never is"),
        ({"a": when(real(0, 1), b=0.5), "b": real(0, 1)}, "any number of a range"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(space, match):
    with pytest.raises(InvalidInput, match=match):
        search(lambda _: 1.0, space, **GIVEN)


@pytest.mark.parametrize(
    "make",
    [
        lambda: choice("a", "a"),
        lambda: choice(1, True),
        lambda: choice([1]),
        lambda: choice(float("nan")),
        lambda: choice("a\0"),
        lambda: choice("\ud800"),
        lambda: integer(1.5, 2),
        lambda: integer(True, 2),
        lambda: real("a", 2),
        lambda: real(0, float("inf")),
        lambda: real(-1e308, 1e308 * 1.7),
        lambda: when(real(0, 1)),
        lambda: when("x", a=1),
    ],
)
def test_a_domain_that_cannot_be_is_refused(make):
    with pytest.raises(InvalidInput):
        make()


def test_names_may_be_any_letters_and_keep_their_order():
    space = {"größe": integer(1, 3), "学習率": real(0.1, 1.0), "a b": choice("🙂", None), "__class__": integer(0, 1)}
    study = search(lambda p: p["größe"] + p["学習率"], space, trials=6, seed=1, direction="lower", metric="fläche")
    assert list(study.params) == list(space)


def test_a_parameter_is_there_only_beside_the_others_value():
    space = {
        "drop": when(real(0, 0.5), kind=("a", "b"), deep=True),
        "kind": choice("a", "b", "c"),
        "deep": when(choice(True, False), kind=("a", "b")),
        "odd": when(integer(1, 4), {"kind": "c"}),
    }

    def loss(params):
        assert ("deep" in params) == (params["kind"] != "c")
        assert ("odd" in params) == (params["kind"] == "c")
        assert ("drop" in params) == (params.get("deep") is True)
        return params.get("drop", 1.0) + params.get("odd", 0)

    for method in ("random", "tpe", "cmaes", "nsga2"):
        study = search(loss, space, **GIVEN | {"trials": 40}, method=method)
        assert study.cost.failed == 0, study.trials
        assert {trial.params["kind"] for trial in study.trials} == {"a", "b", "c"}


def test_a_grid_with_conditions_has_each_point_once():
    space = {"kind": choice("a", "b"), "n": when(integer(1, 3), kind="a"), "m": when(choice(1, 2), n=3)}
    study = search(len, space, **GIVEN | {"trials": 99}, method="grid")
    points = [tuple(sorted(trial.params.items())) for trial in study.trials]
    assert len(points) == len(set(points)) == 5  # b; a with n 1 and 2; a with n 3 and m 1, 2


letters = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=3)
domains = st.one_of(
    st.tuples(st.integers(-50, 50), st.integers(0, 4)).map(lambda t: integer(t[0], t[0] + t[1])),
    st.lists(st.one_of(st.none(), st.booleans(), letters, st.integers(2, 9)), min_size=1, max_size=4)
    .filter(lambda options: len(set(options)) == len(options) and "\0" not in repr(options))
    .map(lambda options: choice(*options)),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdé"), domains, min_size=1, max_size=4), st.integers(0, 9))
def test_a_grid_is_complete_and_stored_spaces_come_back(space, seed):
    points = spaces.grid(space)
    listed = {name: len(spaces._listed(name, domain)) for name, domain in space.items()}
    expected = 1
    for count in listed.values():
        expected *= count
    assert len({json.dumps(point, sort_keys=True) for point in points}) == len(points) == expected
    back = spaces.from_json(json.loads(json.dumps(spaces.to_json(space))))
    assert back == space
    if expected <= 30:
        study = search(lambda _: 1.0, space, trials=1000, seed=seed, direction="lower", metric="m", method="grid")
        tried = [json.dumps(trial.params, sort_keys=True) for trial in study.trials]
        assert sorted(tried) == sorted(json.dumps(point, sort_keys=True) for point in points)


def test_what_does_not_fit_is_left_out():
    space = spaces.checked(
        {"n": integer(1, 5), "x": real(0, 1), "k": choice("a", "b"), "d": when(real(0, 1), k="a"), "new": integer(0, 1)}
    )
    old = {"n": 9, "x": 0.5, "k": "b", "d": 0.1, "gone": 3}
    assert spaces.fitting(space, old) == {"x": 0.5, "k": "b"}
    assert spaces.fitting(space, {"n": 2.0, "x": 1, "k": "a", "d": 0}) == {"n": 2, "x": 1.0, "k": "a", "d": 0.0}
    assert not spaces.is_whole(space, {"x": 0.5, "k": "b"})
    assert spaces.is_whole(space, {"n": 1, "x": 0.5, "k": "b", "new": 1})


def test_a_grid_that_is_too_big_is_told():
    with pytest.raises(InvalidInput, match="more than 1,000,000 points"):
        spaces.grid({name: integer(1, 100) for name in "abcd"})
    with pytest.raises(InvalidInput, match="'a' has"):
        spaces.grid({"a": integer(1, 10**9)})
    assert isinstance(
        spaces.from_json([{"name": "a", "kind": "choice", "options": [1], "when": [["b", [1]]]}])["a"], When
    )
