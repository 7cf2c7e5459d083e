"""The way past the parser for what is typed most: `modelloop run PIPELINE [-P NAME=VALUE] [--json] [--local]`.

The parser takes longer to load than ten steps take to run. Whatever is not exactly of this form (help, a flag it does
not know, a mistake) goes to `entry`, which understands the same and more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .face import act

_FLAGS = ("--json", "--local")


@dataclass(frozen=True, slots=True)
class _Face:
    project: Path | None
    json: bool


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: see `entry.main`."""
    words = list(sys.argv[1:] if tokens is None else tokens)
    read = _read(words)
    if read is None:
        code: int = import_module(f"{__package__}.entry").main(words)
        return code
    face, arguments = read
    try:
        return act("begin:run", face, **arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _read(words: Sequence[str]) -> tuple[_Face, dict[str, Any]] | None:
    """Return the options of a plain `run`, or None for anything else."""
    if len(words) < 2 or words[0] != "run" or words[1].startswith("-") or not all(map(_is_text, words)):
        return None
    params: list[str] = []
    flags: set[str] = set()
    project: Path | None = None
    rest = list(words[2:])
    while rest:
        word = rest.pop(0)
        if word in _FLAGS:
            flags.add(word)
        elif word in ("-P", "--param", "--project") and rest and not rest[0].startswith("-"):
            value = rest.pop(0)
            if word == "--project":
                project = Path(value)
            else:
                params.append(value)
        else:
            return None
    arguments = {"pipeline": words[1], "params": params, "local": "--local" in flags, "wait": True, "reason": ""}
    return _Face(project, "--json" in flags), arguments


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
