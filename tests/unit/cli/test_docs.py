"""The page on the command line names exactly the commands there are."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from cyclopts import App

from modelloop.cli.entry import COMMANDS

TEXT = (Path(__file__).parents[3] / "docs" / "how-to-command-line.md").read_text()


def test_the_page_lists_every_command_and_no_other() -> None:
    assert re.findall(r"^\| `modelloop ([a-z-]+)`", TEXT, re.MULTILINE) == list(COMMANDS)


def test_the_page_lists_the_words_of_every_group() -> None:
    for name, (path, help_text) in COMMANDS.items():
        if name == "demo":
            continue
        module, _, attribute = path.partition(":")
        group = getattr(import_module(module), attribute)
        if isinstance(group, App):
            row = next(line for line in TEXT.splitlines() if line.startswith(f"| `modelloop {name}`"))
            words = {word for word in group if not word.startswith("-")}
            assert words == set(re.findall(r"`([a-z]+)[` ]", row.partition("|")[2].partition("|")[2])) - {"modelloop"}
            assert words == set(re.findall(r"\w+", help_text.partition(":")[2])), help_text
