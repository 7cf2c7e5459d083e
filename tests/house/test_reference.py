"""The public names and their page are the same."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import modelloop

MOST_NAMES = 25


def draft() -> ModuleType:
    path = Path(__file__).parents[1] / "draft_reference.py"
    spec = importlib.util.spec_from_file_location("draft_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says() -> None:
    drafted = draft()
    assert drafted.REFERENCE.read_text() == drafted.render(), "run: python tests/draft_reference.py"


def test_every_public_name_says_what_it_is() -> None:
    drafted = draft()
    mute = [line for line in drafted.render().splitlines() if line.startswith("- ") and line.endswith(": ")]
    assert mute == []


def test_the_root_publishes_little_and_what_it_lists() -> None:
    assert len(modelloop.__all__) <= MOST_NAMES
    assert [name for name in modelloop.__all__ if not hasattr(modelloop, name)] == []
