"""What the documentation says is so: its Python runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from cyclopts import App
from source import ROOT

from modelloop.cli import main
from modelloop.cli.entry import COMMANDS, build
from modelloop.evaluate.metrics import METRICS
from modelloop.evaluate.multiclass import METRICS as MULTICLASS
from modelloop.ground.core.settings import VARIABLES

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""Python that runs: all blocks of a page are one program. What does not run on its own is marked ```python fragment."""
RUNNABLE = [page for page in PAGES if BLOCK.search(page.read_text())]
CODE = re.compile(r"`[^`\n]*`")
"""Patterns within it are no links."""
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"`modelloop ([^`\n]+)`")
LINE = re.compile(r"^(?: {4}|\$ )(?:\.venv/bin/)?modelloop ([^#\n]+?)(?: {2,}.*| *#.*)?$", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|-[A-Z])\b")


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_the_python_of_a_page_runs_without_a_warning(page: Path, tmp_path: Path) -> None:
    program = tmp_path / "page.py"
    program.write_text("".join(BLOCK.findall(page.read_text())))
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning:onnx", program.name],
        cwd=tmp_path, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {link}"
        for page in PAGES
        for link in LINK.findall(CODE.sub("", page.read_text()))
        if "://" not in link and not (page.parent / link.partition("#")[0]).exists()
    ]
    assert broken == []


def test_the_index_lists_every_page_and_each_stage_has_one() -> None:
    listed = set(LINK.findall((ROOT / "docs" / "README.md").read_text()))
    assert {page.name for page in PAGES[1:]} - listed == {"README.md"}
    stages = ("data", "label", "prepare", "train", "evaluate", "register", "deploy", "monitor", "retrain")
    for number, stage in enumerate(stages, start=1):
        assert f"{number}-{stage}.md" in listed


@cache
def groups() -> dict[str, set[str]]:
    """Return the words that may follow a command; none where it takes no subcommand."""
    found = {}
    for name, (path, _) in COMMANDS.items():
        module, _, attribute = path.partition(":")
        # `demo` is a function and a module of the same name
        entry = getattr(import_module(module), attribute)
        found[name] = {word for word in entry if not word.startswith("-")} if isinstance(entry, App) else set()
    return found


def wrong_with(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Say what is wrong with a command as a page writes it, or nothing."""
    words = shlex.split(command.replace("...", "ANY"))
    name = words[0]
    if name.startswith("-") or name == "COMMAND":
        return ""
    if name not in groups():
        return f"there is no command {name!r}"
    path = [name]
    if groups()[name] and len(words) > 1 and not words[1].startswith("-"):
        if words[1] not in groups()[name]:
            return f"{name} has no word {words[1]!r}"
        path.append(words[1])
    told = help_of(capsys, *path)
    unknown = [option for option in OPTION.findall(command) if option not in told]
    return f"{' '.join(path)} has no {', '.join(unknown)}" if unknown else ""


def help_of(capsys: pytest.CaptureFixture[str], *path: str) -> set[str]:
    capsys.readouterr()
    assert main([*path, "--help"]) == 0
    return set(OPTION.findall(capsys.readouterr().out))


def commands(text: str) -> Iterator[str]:
    yield from INLINE.findall(text)
    yield from (line.partition(" | ")[0].strip() for line in LINE.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_a_page_exist_with_their_options(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {command: wrong_with(command, capsys) for command in commands(page.read_text())}
    assert {command: wrong for command, wrong in found.items() if wrong} == {}


def test_commands_in_messages_of_the_code_exist(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for file in (ROOT / "src").rglob("*.py"):
        for command in INLINE.findall(file.read_text()):
            said = wrong_with(re.sub(r"\{[^}]*\}", "ANY", command).partition(" | ")[0], capsys)
            wrong += [f"{file.name}: {command}: {said}"] if said else []
    assert wrong == []


def test_options_in_the_table_of_commands_exist(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "how-to-command-line.md").read_text()
    rows = re.findall(r"^\| `modelloop ([a-z-]+)` \| (.*) \|$", text, re.MULTILINE)
    assert [name for name, _ in rows] == list(COMMANDS)
    for name, row in rows:
        told = help_of(capsys, name)
        assert set(OPTION.findall(row)) <= told, name


def test_settings_that_are_named_are_read() -> None:
    files = [*PAGES, ROOT / "compose.yaml", ROOT / "Dockerfile", *(ROOT / "src").rglob("*.py")]
    named = {name for file in files for name in re.findall(r"MODELLOOP_[A-Z]+(?:_[A-Z]+)*", file.read_text())}
    assert named == set(VARIABLES)


def test_every_command_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    build()(["--help"], result_action="return_value")
    text = " ".join(capsys.readouterr().out.split())
    for name, (_, purpose) in COMMANDS.items():
        assert name in text
        assert purpose.split(",")[0][:30] in text, name


def test_the_tables_of_metrics_are_what_evaluation_knows() -> None:
    text = (ROOT / "docs" / "how-to-evaluation.md").read_text()
    shown = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", text, re.MULTILINE)
    expected = [(one.name, str(one.direction), one.meaning) for one in (*METRICS.values(), *MULTICLASS.values())]
    assert sorted(set(shown)) == sorted(set(expected))
