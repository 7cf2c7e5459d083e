"""Values against annotations: held against a plain oracle."""

from __future__ import annotations

import enum
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, Optional, TypeVar, Union

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import PipelineInvalid
from modelloop.ground.flow.given import arguments_for
from modelloop.ground.flow.kinship import fits
from modelloop.ground.flow.shape import Shape
from modelloop.ground.flow.typed import compiled, written

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float = 0.0


NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEAVES: dict[Any, tuple[Any, ...]] = {
    int: (0, -3, True, np.int64(2)),
    float: (1.5, 2, float("nan"), np.float32(1)),
    str: ("", "a"),
    bool: (True, False),
    bytes: (b"", b"a"),
    None: (None,),
    datetime: (NOW,),
    date: (date(2026, 1, 1), NOW),
    Colour: (Colour.RED,),
    Point: (Point(1),),
    pl.DataFrame: (pl.DataFrame({"a": [1]}),),
    Literal["a", 1]: ("a", 1),
}
VALUES = [value for values in LEAVES.values() for value in values]


def oracle(hint: Any, value: Any) -> bool:
    """As a person reads an annotation."""
    hint = None if hint is type(None) else hint
    if hint in LEAVES:
        same = [
            type(one) is type(value) and (one is value or one == value or repr(one) == repr(value))
            for one in LEAVES[hint][:2]
        ]
        kinds: dict[Any, Any] = {
            int: (int, np.integer),
            float: (int, float, np.integer, np.floating),
            None: (type(None),),
        }
        if hint == Literal["a", 1]:
            return any(same)
        return isinstance(value, kinds.get(hint, hint))
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Union:
        return any(oracle(None if arg is type(None) else arg, value) for arg in args)
    if origin is list:
        return isinstance(value, list) and all(oracle(args[0], item) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(oracle(args[0], k) and oracle(args[1], v) for k, v in value.items())
    if len(args) == 2 and args[1] is Ellipsis:
        return isinstance(value, tuple) and all(oracle(args[0], item) for item in value)
    if not isinstance(value, tuple) or len(value) != len(args):
        return False
    return all(oracle(arg, item) for arg, item in zip(args, value, strict=True))


leaf_hints = st.sampled_from(list(LEAVES))
hints = st.recursive(
    leaf_hints,
    lambda inner: st.one_of(
        inner.map(lambda h: list[h]),
        inner.map(lambda h: tuple[h, ...]),
        inner.map(lambda h: Optional[h]),  # noqa: UP045 - built at run time
        st.tuples(inner, inner).map(lambda pair: tuple[pair]),
        st.tuples(inner, inner).map(lambda pair: Union[pair]),  # noqa: UP007 - as above
        inner.map(lambda h: dict[str, h]),
    ),
    max_leaves=4,
)
leaves = st.sampled_from(VALUES)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    ),
    max_leaves=5,
)


@given(hints, values)
def test_a_value_is_accepted_as_a_person_reads_the_annotation(hint: Any, value: Any) -> None:
    accepts = compiled(hint)
    assert accepts is not None
    assert accepts(value) == oracle(hint, value), written(hint)


@given(hints, hints, values)
def test_types_that_share_a_value_are_never_said_not_to_fit(first: Any, second: Any, value: Any) -> None:
    accepts = [compiled(first), compiled(second)]
    empty = value in ([], (), {}) if isinstance(value, list | tuple | dict) else False
    nested = isinstance(value, list | tuple | dict)  # an empty part in it says nothing about the types
    if not empty and not nested and all(check is not None and check(value) for check in accepts):
        assert fits(first, second)


@pytest.mark.parametrize("hint", [Any, T, "Unknown", list[Any] | Any, object, typing.Protocol])
def test_what_is_not_understood_passes(hint: Any) -> None:
    accepts = compiled(hint)
    assert accepts is None or accepts(object())


@pytest.mark.parametrize(
    ("given_type", "wanted", "expected"),
    [
        (int, str, False),
        (int, float, True),
        (float, int, False),
        (list[int], list[str], False),
        (list[int], Sequence[float], True),
        (dict[str, int], Mapping[str, int], True),
        (str | None, str, True),
        (tuple[int, str], tuple[int, str, int], False),
        (pl.DataFrame, pl.LazyFrame, False),
        (Literal["a"], Literal["b"], False),
        (Callable[[], int], Callable[[], str], True),
        (Any, str, True),
        (T, str, True),
    ],
)
def test_kinship(given_type: Any, wanted: Any, expected: bool) -> None:
    assert fits(given_type, wanted) is expected


def pipeline(
    at: datetime | None = None,
    colour: Colour = Colour.RED,
    pair: tuple[int, float] = (1, 2),
    points: list[Point] | None = None,
    days: int = None,  # type: ignore[assignment]  # noqa: RUF013 - as many write it
    names: "list[Nowhere]" = (),  # type: ignore[name-defined, assignment]  # noqa: F821, UP037
) -> None:
    """Ask for more than JSON has."""


def test_json_becomes_what_the_pipeline_asks_for() -> None:
    given_values = {"at": "2026-01-01T00:00:00Z", "colour": "red", "pair": [3, 4], "points": [{"x": 1}], "names": [1]}
    found = arguments_for(Shape(pipeline), given_values, seed=0)
    assert found == {"at": NOW, "colour": Colour.RED, "pair": (3, 4), "points": [Point(1)], "names": [1]}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"days": "seven"}, r"'days' must be int; found 'seven' \(str\)"),
        ({"at": "soon"}, r"'at' must be datetime.datetime \| None; found 'soon'"),
        ({"colour": "blue"}, r"'colour' must be Colour; found 'blue' \(str\).*'red'"),
        ({"pair": [1, "b"]}, r"'pair' must be tuple\[int, float\]; found \(1, 'b'\)"),
        ({"points": [{"x": 1, "z": 2}]}, r"'points' must be list\[.*Point\]"),
        ({"dais": 1}, "unexpected keyword argument 'dais'"),
    ],
)
def test_wrong_arguments_are_told_by_name_with_what_was_found(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(PipelineInvalid, match=told):
        arguments_for(Shape(pipeline), wrong, seed=0)


def test_all_wrong_arguments_of_a_call_are_told_at_once() -> None:
    def step(a: int, b: list[str], *rest: int, c: str | None = None, **more: float) -> None:
        """Take some."""

    shape = Shape(step)
    bound = shape.bind((1, ["x"], 2, 3), {"c": "y", "d": 1.0})
    shape.check(bound)
    with pytest.raises(PipelineInvalid) as caught:
        shape.check(shape.bind(("1", ["x", 2], 2, "3"), {"d": "4"}))
    assert [wrong["argument"] for wrong in caught.value.detail["wrong"]] == ["a", "b", "rest", "more"]
    assert "at [1]: 2 (int)" in str(caught.value)
