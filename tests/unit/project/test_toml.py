from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toml_values import tables
from toml_writer import Writer

from modelloop.ground.core.errors import ProjectFileInvalid
from modelloop.ground.core.toml import draft, parse, plain, setting
from modelloop.ground.core.toml_types import duration, duration_text
from modelloop.project import Project


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True)
class Inner:
    """An inner table."""

    share: float = setting("a share", least=0, most=1)
    note: str = setting("a note", default="")


@dataclass(frozen=True, slots=True)
class Outer:
    """A table."""

    name: str = setting("a name", pattern="[a-z]+")
    count: int = setting("how many", default=1, least=1)
    on: bool = setting("is it on", default=False)
    length: timedelta = setting("how long", default=timedelta(days=1))
    colour: Colour | None = setting("which colour", default=None)
    shares: tuple[float, ...] = setting("shares", default=(), least=0, most=1)
    inner: Inner | None = setting("one inner", default=None)
    many: Mapping[str, Inner] = setting("many inner", factory=dict, pattern="[a-z-]+")
    free: Mapping[str, Any] = setting("anything", factory=dict)


def mistakes(text: str) -> list[tuple[int, str, str, str, str]]:
    with pytest.raises(ProjectFileInvalid) as caught:
        parse(text, Outer, file="x.toml")
    found = caught.value.detail["mistakes"]
    json.dumps(found)
    assert all(one["file"] == "x.toml" for one in found)
    return [(one["line"], one["where"], one["found"], one["allowed"], one["hint"]) for one in found]


def test_values_come_in_their_types() -> None:
    read = parse(
        'name = "ab"\ncount = 3\non = true\nlength = "2w"\ncolour = "green"\nshares = [0, 0.5]\ninner.share = 1\n'
        '[many.a-b]\nshare = 0.25\nnote = "n"\n[free]\nx = [1, {y = "z"}]\n',
        Outer,
        file="x.toml",
    )
    assert read == Outer(
        name="ab",
        count=3,
        on=True,
        length=timedelta(weeks=2),
        colour=Colour.GREEN,
        shares=(0.0, 0.5),
        inner=Inner(1.0),
        many={"a-b": Inner(0.25, "n")},
        free={"x": (1, {"y": "z"})},
    )
    assert isinstance(read.shares[0], float)
    assert isinstance(read.colour, Colour)


def test_nobody_can_change_what_was_read() -> None:
    read: Any = parse('name = "a"\nfree.x = [{y = 1}]\nmany.m.share = 1\n', Outer, file="")
    with pytest.raises(TypeError):
        read.many["new"] = 1
    with pytest.raises(TypeError):
        read.free["new"] = 1
    with pytest.raises(TypeError):
        read.free["x"][0]["y"] = 2
    with pytest.raises(FrozenInstanceError):
        read.many["m"].share = 2
    with pytest.raises(TypeError):  # defaults too
        parse('name = "a"', Outer, file="").free["new"] = 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("line", "where", "found", "allowed"),
    [
        ("count = true", "count", "true", "an integer, at least 1"),
        ("count = 0", "count", "0", "an integer, at least 1"),
        ("count = 1.0", "count", "1.0", "an integer, at least 1"),
        ('count = "1"', "count", '"1"', "an integer, at least 1"),
        ("count = 9223372036854775808", "count", "an integer beyond 64 bits", "an integer, at least 1"),
        ("on = 1", "on", "1", "true or false"),
        ('length = "1 day"', "length", '"1 day"', 'a duration such as "90s", "30m", "6h", "14d" or "2w"'),
        ('length = "-1d"', "length", '"-1d"', 'a duration such as "90s", "30m", "6h", "14d" or "2w"'),
        ('length = "999999999w"', "length", '"999999999w"', 'a duration such as "90s", "30m", "6h", "14d" or "2w"'),
        ("length = 14", "length", "14", 'a duration such as "90s", "30m", "6h", "14d" or "2w"'),
        ('colour = "gren"', "colour", '"gren"', "red, green"),
        ("colour = 1979-05-27", "colour", "1979-05-27", "red, green"),
        ("shares = 1", "shares", "1", "an array, each element a number from 0 to 1"),
        ("shares = [0.5, 2]", "shares[1]", "2", "a number from 0 to 1"),
        ("shares = [nan]", "shares[0]", "nan", "a number from 0 to 1"),
        ("shares = [1e999]", "shares[0]", "inf", "a number from 0 to 1"),
        ("inner = 1", "inner", "1", "a table"),
        ("inner.share = true", "inner.share", "true", "a number from 0 to 1"),
        ("inner.note = 'x'", "inner.share", "nothing", "a number from 0 to 1"),
        ("many = 1", "many", "1", "a table"),
        ("many.UP.share = 1", "many.UP", 'the name "UP"', "a name that matches [a-z-]+"),
        ("many.a = 1", "many.a", "1", "a table"),
        ("free = 1", "free", "1", "a table"),
        ('nmae = "x"', "nmae", "an unknown setting", "name, count, on, length, colour, shares, inner, many, free"),
    ],
)
def test_a_wrong_value_says_where_what_and_what_is_allowed(line: str, where: str, found: str, allowed: str) -> None:
    assert [one[:4] for one in mistakes(f'\n\nname = "x"\n{line}\n')] == [(4, where, found, allowed)]


def test_a_value_may_be_too_long_to_show() -> None:
    (only,) = mistakes(f'name = "{"X" * 500}"')
    assert only[2] == '"' + "X" * 56 + "..."
    assert only[3] == "a string that matches [a-z]+"


def test_patterns_hold_for_the_whole_value() -> None:
    assert mistakes('name = "ab\\n"')[0][1] == "name"


def test_what_was_perhaps_meant() -> None:
    assert mistakes('name = "a"\ncolour = "Gren"')[0][4] == 'did you mean "green"?'
    assert mistakes('name = "a"\nmany = [{share = 1}]')[0][4] == "write [many.NAME]"
    assert mistakes('name = "a"\nshares = 0.5')[0][4] == "write [0.5]"


def test_a_misspelt_key_is_one_mistake_not_two() -> None:
    assert mistakes('nam = "x"') == [
        (
            1,
            "nam",
            "an unknown setting",
            "name, count, on, length, colour, shares, inner, many, free",
            'did you mean "name"?',
        )
    ]


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    text = 'colour = "blue"\ncount = 0\n\n[inner]\nshare = 2\nnotes = "x"\n[many.a]\n[other]\nx = 1\n'
    assert [one[:2] for one in mistakes(text)] == [
        (1, "colour"),
        (1, "name"),
        (2, "count"),
        (5, "inner.share"),
        (6, "inner.notes"),
        (7, "many.a.share"),
        (8, "other"),
    ]


def test_the_message_is_a_list_for_people() -> None:
    with pytest.raises(ProjectFileInvalid) as caught:
        parse('name = "x"\ncolour = "gren"\ncount = 0', Outer, file="x.toml")
    assert str(caught.value) == (
        "x.toml has 2 mistakes:\n"
        '  x.toml:2  colour: found "gren"; allowed: red, green; did you mean "green"?\n'
        "  x.toml:3  count: found 0; allowed: an integer, at least 1"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('name = "x"\ncount = = 3\ncolour = "gren"', 2),
        ('name = "x"\nname = "y"', 2),
        ('name = "x"\n[free]\n[free]\n', 3),
        ('name = "x"\n\nfree.x = [1,\n2\n', 4),
        ("name", 1),
        ("\ufeff", 1),
        (f"name = 'x'\ncount = {'9' * 5000}", 1),
        (f"name = 'x'\nfree.x = {'[' * 5000}{']' * 5000}", 1),
    ],
)
def test_a_syntax_error_is_reported_alone(text: str, line: int) -> None:
    ((at, where, *_),) = mistakes(text)
    assert (at, where) == (line, "")


def test_an_empty_text_lacks_what_must_be_given() -> None:
    assert mistakes("") == [(1, "name", "nothing", "a string that matches [a-z]+", "a name")]


def test_a_draft_keeps_what_can_be_read() -> None:
    read = draft('name = "x"\ncount = 0\ninner.share = 0.5', Outer, file="")
    assert read.value is not None
    assert (read.value.name, repr(read.value.count), read.value.inner) == ("x", "UNREADABLE", Inner(0.5))


@given(st.integers(0, 10**9))
def test_durations_read_what_they_write(seconds: int) -> None:
    length = timedelta(seconds=seconds)
    assert duration(duration_text(length)) == length


def _same(given: Any, read: Any) -> bool:
    if isinstance(given, dict):
        return isinstance(read, dict) and all(_same(value, read[key]) for key, value in given.items())
    if isinstance(given, list):
        return isinstance(read, list) and len(given) == len(read) and all(map(_same, given, read))
    if isinstance(given, str) and given != read:
        return duration(given) is not None and duration(given) == duration(read)
    return bool(given == read)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(tables(Project), st.integers(0, 2**32))
def test_every_valid_project_is_read_back_as_it_was_written(raw: dict[str, Any], seed: int) -> None:
    text = Writer(random.Random(seed)).write(raw)
    assert tomllib.loads(text) == raw
    assert _same(raw, plain(parse(text, Project, file="modelloop.toml")))
