"""The user's code: found by MODULE:FUNCTION in the project folder, and called with what the run was given."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ..core.errors import PipelineInvalid


def load_function(project: Path, reference: str) -> Callable[..., Any]:
    """Import and return `MODULE:FUNCTION` from the project folder; raises PipelineInvalid.

    Runs the user's module: call it only in a process that runs user code, and only with a reference from the project
    file.
    """
    module_name, _, name = reference.partition(":")
    module = _load(project.resolve(), module_name, reference)
    function = getattr(module, name, None)
    if not callable(function):
        have = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        near = difflib.get_close_matches(name, have, n=1)
        raise PipelineInvalid(
            f"{reference!r} is not a function: {module_name} has no {name!r}.",
            hint=f"Did you mean {module_name}:{near[0]}?"
            if near
            else f"Found: {', '.join(sorted(have)) or 'nothing'}.",
        )
    found: Callable[..., Any] = function
    return found


def importable(project: Path) -> frozenset[str]:
    """Return the names of the modules and packages that lie in the project folder."""
    inside = list(project.iterdir()) if project.is_dir() else []
    names = {p.stem for p in inside if p.suffix == ".py"} | {p.name for p in inside if (p / "__init__.py").is_file()}
    return frozenset(name for name in names if name.isidentifier())


def _load(project: Path, name: str, reference: str) -> ModuleType:
    if str(project) not in sys.path:
        sys.path.insert(0, str(project))
    _forget_namesake(project, name.partition(".")[0])
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        near = difflib.get_close_matches(name, importable(project), n=1)
        raise PipelineInvalid(
            f"{reference!r} is not to be found: there is no {name.replace('.', '/')}.py in {project}.",
            hint=f"Did you mean {near[0]}?"
            if near
            else f"Modules there: {', '.join(sorted(importable(project))) or 'none'}.",
        ) from error


def _forget_namesake(project: Path, top: str) -> None:
    """Let go of a module of the same name that another project brought, so that ours is imported."""
    loaded = sys.modules.get(top)
    origin = getattr(loaded, "__file__", None)
    ours = (project / f"{top}.py").is_file() or (project / top / "__init__.py").is_file()
    if loaded is None or not ours or (origin and Path(origin).resolve().is_relative_to(project)):
        return
    sys.path.remove(str(project))
    sys.path.insert(0, str(project))
    for name in [n for n in sys.modules if n == top or n.startswith(f"{top}.")]:
        del sys.modules[name]
