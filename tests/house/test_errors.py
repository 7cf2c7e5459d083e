"""The error tree is drawn once, is what the classes are, and each error has a section in the docs."""

from __future__ import annotations

import inspect
import re

import pytest
from source import ROOT

from modelloop.ground.core import errors
from modelloop.ground.core.errors import ModelloopError

DRAWN = re.compile(r"^( *)(\w+)(?: +(ML\d{3}) +(\S.*))?$")
SECTION = re.compile(r"^## (ML\d{3}) (\w+)\n\n(.+?)(?=\n## |\Z)", re.MULTILINE | re.DOTALL)


def classes() -> list[type[ModelloopError]]:
    found = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, ModelloopError)]
    return [kind for kind in found if kind is not ModelloopError]


def drawing() -> dict[str, tuple[str, str]]:
    """Return name -> (code, parent) as the docstring of errors.py draws it."""
    lines = (errors.__doc__ or "").split("\n\n", 1)[1].rstrip().splitlines()
    found, above = {}, [lines[0]]
    for text in lines[1:]:
        match = DRAWN.match(text)
        assert match, text
        depth = len(match[1]) // 2
        found[match[2]] = (match[3], above[depth - 1])
        above[depth:] = [match[2]]
    return found


def test_the_tree_is_drawn_as_it_is() -> None:
    assert drawing() == {kind.__name__: (kind.code, kind.__base__.__name__) for kind in classes() if kind.__base__}


def test_codes_are_used_once() -> None:
    codes = [kind.code for kind in classes()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"ML\d{3}", code) for code in codes)


def test_every_error_has_a_section_and_every_section_an_error() -> None:
    text = (ROOT / "docs" / "errors.md").read_text()
    assert [(code, name) for code, name, _ in SECTION.findall(text)] == [(k.code, k.__name__) for k in classes()]


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_every_section_says_what_to_do(kind: type[ModelloopError]) -> None:
    section = next(
        body for code, _, body in SECTION.findall((ROOT / "docs" / "errors.md").read_text()) if code == kind.code
    )
    assert f"HTTP {kind.status}" in section
    assert "**What to do.**" in section
    assert str(kind()) in section, "the default message stands in the section"
