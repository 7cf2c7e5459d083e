"""Components: published with a version, taken over by another project, working there under another name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelloop.ground.catalogue import actions
from modelloop.ground.catalogue.bundle import collect, files
from modelloop.ground.core.errors import Conflict, InvalidInput, NotFound, PipelineInvalid
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context

STEPS = '''"""Steps."""
import math, words
import tools.numbers as numbers
from tools import texts
from words import (
    clean,
    LOUD as loud,
)


def tidy(rows: list[str], *, cap: float = 3.0) -> list[str]:
    """Trim and shout."""
    from tools.numbers import limit
    assert numbers.limit is limit and words.clean is clean
    return [texts.shout(clean(row)) + loud * math.floor(limit(2, cap)) for row in rows]
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    home = tmp_path / "one"
    (home / "tools").mkdir(parents=True)
    (home / "steps.py").write_text(STEPS)
    (home / "words.py").write_text("LOUD = '!'  # naïve\ndef clean(text):\n    return text.strip()\n")
    (home / "tools" / "__init__.py").write_text("")
    (home / "tools" / "texts.py").write_text("def shout(text):\n    return text.upper()\n")
    (home / "tools" / "numbers.py").write_text("from .texts import shout\ndef limit(n, cap):\n    return min(n, cap)\n")
    return home


def publish(ctx: Context, home: Path, version: str = "1.0.0", function: str = "steps:tidy") -> actions.Component:
    return actions.publish(ctx, home, function, name="tidy-rows", version=version, project="one")


def call(home: Path) -> str:
    code = "from components.tidy_rows import tidy; print(tidy([' a ', 'b'], cap=1))"
    done = subprocess.run([sys.executable, "-c", code], cwd=home, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_it_works_in_another_project_that_has_none_of_its_modules(ctx: Context, project: Path, tmp_path: Path) -> None:
    made = publish(ctx, project)
    assert made.signature == "tidy(rows: list[str], *, cap: float=3.0) -> list[str]"
    assert made.modules == ("steps", "tools", "tools.numbers", "tools.texts", "words")
    other = tmp_path / "two"
    other.mkdir()
    (other / "words.py").write_text("clean = None\n")  # a namesake that must not be met
    actions.take(ctx, made, other)
    assert call(other) == "['A!', 'B!']"
    assert [(one.name, one.version, one.changed, one.newer) for one in actions.taken(ctx, other)] == [
        ("tidy-rows", "1.0.0", (), None)
    ]


def test_a_version_never_changes(ctx: Context, project: Path) -> None:
    made = publish(ctx, project)
    assert publish(ctx, project) == made
    (project / "words.py").write_text("LOUD = '?'\ndef clean(text):\n    return text\n")
    with pytest.raises(Conflict, match=r"tidy-rows:1\.0\.0 is published with other source"):
        publish(ctx, project)
    assert publish(ctx, project, "1.10.0").digest != made.digest
    assert publish(ctx, project, "1.9.0").version == "1.9.0"
    assert actions.component(ctx, "tidy-rows").version == "1.10.0"
    assert audit.verify_store(ctx) == 3


def test_what_was_changed_by_hand_is_not_lost(ctx: Context, project: Path, tmp_path: Path) -> None:
    made = publish(ctx, project)
    folder = actions.take(ctx, made, tmp_path)
    (folder / "words.py").write_text("mine")
    with pytest.raises(Conflict, match=r"words\.py in .* was changed by hand"):
        actions.take(ctx, made, tmp_path)
    assert (folder / "words.py").read_text() == "mine"
    (found,) = actions.taken(ctx, tmp_path)
    assert found.changed == ("words.py",)
    actions.take(ctx, made, tmp_path, force=True)
    (found,) = actions.taken(ctx, tmp_path)
    assert found.changed == ()


def test_a_newer_version_is_told_and_files_that_went_are_removed(ctx: Context, project: Path, tmp_path: Path) -> None:
    folder = actions.take(ctx, publish(ctx, project), tmp_path)
    (project / "steps.py").write_text("def tidy(rows, cap=1):\n    return rows\n")
    newer = publish(ctx, project, "2.0.0")
    assert actions.taken(ctx, tmp_path)[0].newer == "2.0.0"
    actions.take(ctx, newer, tmp_path)
    assert sorted(path.name for path in folder.glob("*.py")) == ["__init__.py", "steps.py"]


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("nowhere:tidy", "no module 'nowhere'"),
        ("steps:tidi", "Did you mean steps:tidy"),
        ("../steps:tidy", "no module"),
        ("broken:go", "cannot be read as Python"),
    ],
)
def test_what_is_not_there_is_told(ctx: Context, project: Path, function: str, told: str) -> None:
    (project / "broken.py").write_text("def go(:\n")
    with pytest.raises(PipelineInvalid) as caught:
        publish(ctx, project, function=function)
    assert told in f"{caught.value} {caught.value.hint}"


def test_names_and_versions_are_checked(ctx: Context, project: Path) -> None:
    with pytest.raises(InvalidInput, match="no version of a component"):
        publish(ctx, project, "v1")
    publish(ctx, project)
    with pytest.raises(NotFound) as caught:
        actions.component(ctx, "tidy-row")
    assert "Did you mean 'tidy-rows'?" in str(caught.value.hint)
    with pytest.raises(NotFound, match=r"has no version 9\.0\.0"):
        actions.component(ctx, "tidy-rows", "9.0.0")


def test_an_import_that_cannot_move_is_refused() -> None:
    texts = {"steps": "import tools.numbers\ndef go():\n    return tools.numbers\n", "tools.numbers": "", "tools": ""}
    bundle = collect("steps:go", texts.get)
    with pytest.raises(PipelineInvalid, match=r"import tools\.numbers"):
        files(bundle, "x:1.0.0", "0" * 64)
