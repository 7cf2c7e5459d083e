"""Does a pipeline want to know where the data's clock stands? Read from its source: user code runs in runs only."""

from __future__ import annotations

import ast
from pathlib import Path

PARAMETER = "as_of"


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
