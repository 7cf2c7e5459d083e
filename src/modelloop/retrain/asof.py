"""Does a pipeline want to know where the data's clock stands? Read from its source: user code runs in runs only."""

from __future__ import annotations

import ast
from datetime import datetime
from pathlib import Path

from ..ground.core.clock import parse_time, utc

PARAMETER = "as_of"


def moment(value: object) -> datetime | None:
    """Return a given time, be it one or written as ISO 8601, in UTC; None for anything else."""
    try:
        return utc(value) if isinstance(value, datetime) else parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None


def wants_as_of(project_dir: Path, function: str) -> bool:
    """Say whether MODULE:FUNCTION beside the project file has a parameter `as_of`. What cannot be read has none."""
    module, _, name = function.partition(":")
    try:
        tree = ast.parse(project_dir.joinpath(*module.split(".")).with_suffix(".py").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            arguments = node.args
            return any(a.arg == PARAMETER for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))
    return False
