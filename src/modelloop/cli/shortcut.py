"""The way past the parser for what is typed most, and for what is to take no time.

`modelloop run PIPELINE [-P NAME=VALUE] [--json] [--local]` and `modelloop rollback ENDPOINT [--to MODEL:NUMBER]
[--reason TEXT] [--json]`: the parser takes longer to load than ten steps take to run. Whatever is not exactly of these
forms (help, a flag it does not know, a mistake) goes to `entry`, which understands the same and more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from . import haste
from .face import act


@dataclass(frozen=True, slots=True)
class _Face:
    project: Path | None
    json: bool


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: see `entry.main`. Without `tokens` the process is the command's own."""
    if tokens is None:
        haste.begin()
    words = list(sys.argv[1:] if tokens is None else tokens)
    read = _read(words)
    if read is None:
        code: int = import_module(f"{__package__}.entry").main(words)
        return code
    target, face, arguments = read
    try:
        return act(target, face, **arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _read(words: Sequence[str]) -> tuple[str, _Face, dict[str, Any]] | None:
    """Return what is to be done with which options, or None for anything that is not exactly of these forms."""
    if len(words) < 2 or words[1].startswith("-") or not all(map(_is_text, words)):
        return None
    if words[0] == "run":
        return _run(words[1], words[2:])
    return _rollback(words[1], words[2:]) if words[0] == "rollback" else None


def _run(pipeline: str, rest: Sequence[str]) -> tuple[str, _Face, dict[str, Any]] | None:
    options = _options(rest, flags=("--json", "--local"), values={"-P": "params", "--param": "params"})
    if options is None:
        return None
    params = options.get("params", [])
    arguments = {"pipeline": pipeline, "params": params, "local": "--local" in options, "wait": True, "reason": ""}
    return "begin:run", _face(options), arguments


def _rollback(endpoint: str, rest: Sequence[str]) -> tuple[str, _Face, dict[str, Any]] | None:
    options = _options(rest, flags=("--json",), values={"--to": "to", "--reason": "reason"})
    if options is None or any(len(options.get(name, [])) > 1 for name in ("to", "reason", "project")):
        return None
    to, reason = options.get("to", [None])[0], options.get("reason", [""])[0]
    return "back:rollback", _face(options), {"endpoint": endpoint, "to": to, "reason": reason}


def _face(options: Mapping[str, list[str]]) -> _Face:
    project = options.get("project")
    return _Face(Path(project[-1]) if project else None, "--json" in options)


def _options(words: Sequence[str], *, flags: Sequence[str], values: Mapping[str, str]) -> dict[str, list[str]] | None:
    """Return options by name with what they were given, flags with nothing; None where a word is not understood."""
    found: dict[str, list[str]] = {}
    named = {**values, "--project": "project"}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in flags:
            found[word] = []
        elif word in named and rest and not rest[0].startswith("-"):
            found.setdefault(named[word], []).append(rest.pop(0))
        else:
            return None
    return found


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
