from __future__ import annotations

import random
import tomllib
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toml_writer import Writer

from modelloop.ground.core.toml_lines import Lines, Path, dotted

TEXT = '''# a comment
title = """
three "lines"
[not.a.table]
"""    # line 2

[sources.flights] # comment = 1
path = 'x'
"quoted key" = 1
a.b.c = { d = 1, "e]" = [1, {f = 2}] }

[contracts]
[contracts.flights.columns]
"dep time" = { type = "integer" }
numbers = [ 1, # one
  2,
  """]""""",
  [3,
   4]
]
'l' . m = 1979-05-27 07:32:00
[[fruit]]
name = 'apple'
[[fruit.kind]]
n = 1
[[fruit.kind]]
n = 2
[fruit.kind.deep]
x = """\\""""
[[fruit]]
name = "pear"
[[fruit.kind]]
n = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("sources",), 7),
        (("sources", "flights"), 7),
        (("sources", "flights", "path"), 8),
        (("sources", "flights", "quoted key"), 9),
        (("sources", "flights", "a"), 10),
        (("sources", "flights", "a", "b", "c", "d"), 10),
        (("sources", "flights", "a", "b", "c", "e]", 1, "f"), 10),
        (("contracts",), 12),
        (("contracts", "flights", "columns", "dep time", "type"), 14),
        (("contracts", "flights", "columns", "numbers"), 15),
        (("contracts", "flights", "columns", "numbers", 0), 15),
        (("contracts", "flights", "columns", "numbers", 1), 16),
        (("contracts", "flights", "columns", "numbers", 2), 17),
        (("contracts", "flights", "columns", "numbers", 3, 1), 19),
        (("contracts", "flights", "columns", "l", "m"), 21),
        (("fruit",), 22),
        (("fruit", 0, "name"), 23),
        (("fruit", 0, "kind", 0, "n"), 25),
        (("fruit", 0, "kind", 1), 26),
        (("fruit", 0, "kind", 1, "n"), 27),
        (("fruit", 0, "kind", 1, "deep", "x"), 29),
        (("fruit", 1), 30),
        (("fruit", 1, "kind", 0, "n"), 33),
    ],
)
def test_each_form_has_its_line(path: Path, line: int) -> None:
    tomllib.loads(TEXT)
    lines = Lines(TEXT)
    assert lines.given(path)
    assert lines.of(path) == line
    assert lines.of((*path, "what", "is not there")) == line


def test_windows_line_ends_count_once() -> None:
    assert Lines(TEXT.replace("\n", "\r\n")).of(("fruit", 1, "kind", 0, "n")) == 33


def test_a_header_of_its_own_counts_more_than_a_part_of_another() -> None:
    assert Lines("[a.b]\nx = 1\n\n[a]\ny = 2\n").of(("a",)) == 4


def test_nothing_is_given_by_an_empty_text() -> None:
    assert not Lines("").given(("a",))
    assert Lines("").of(("a",)) == 1


def test_dotted_writes_paths_as_people_do() -> None:
    assert dotted(("a", "b c", 2, 'say "x"', "d")) == 'a."b c"[2]."say \\"x\\"".d'


_names = st.sampled_from(["a", "b", "c-1", "d d", "e.e", "é", "", '"', "#", "x=y", "]"])
_leaves = st.none() | st.text(max_size=8)
_trees = st.recursive(
    _leaves,
    lambda inner: st.dictionaries(_names, inner, max_size=4) | st.lists(inner, max_size=4),
    max_leaves=20,
)


def _numbered(tree: Any, numbers: count[int]) -> Any:
    """Put a number of its own at each None."""
    if isinstance(tree, dict):
        return {key: _numbered(value, numbers) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_numbered(value, numbers) for value in tree]
    return next(numbers) if tree is None else tree.replace("77", "")


def _leaves_of(tree: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    if isinstance(tree, dict):
        return [leaf for key, value in tree.items() for leaf in _leaves_of(value, (*path, key))]
    if isinstance(tree, list):
        return [leaf for place, value in enumerate(tree) for leaf in _leaves_of(value, (*path, place))]
    return [(path, tree)]


@given(st.dictionaries(_names, _trees, max_size=5), st.integers(0, 2**32))
def test_the_line_of_every_value_is_found_in_every_form(tree: dict[str, Any], seed: int) -> None:
    tree = _numbered(tree, count(77_000_000))
    text = Writer(random.Random(seed)).write(tree)
    assert tomllib.loads(text) == tree
    lines = Lines(text)
    for path, value in _leaves_of(tree):
        assert lines.given(path), (path, text)
        if isinstance(value, int):
            assert str(value) in text.split("\n")[lines.of(path) - 1], (path, text)
