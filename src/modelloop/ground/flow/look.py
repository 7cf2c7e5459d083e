"""A look at a pipeline's parameters without running a line of the project: the source is read, never imported.

So a command or a server can say at once that `-P mounths=2` names nothing, before a run is queued.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.errors import PipelineInvalid
from .typed import told

_PLAIN: Mapping[str, Callable[[Any], bool]] = {
    "int": lambda value: isinstance(value, int),
    "float": lambda value: isinstance(value, int | float),
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list | tuple),
    "dict": lambda value: isinstance(value, Mapping),
}
_OURS = ("step", "pipeline")


def check_params(project: Path, function: str, given: Mapping[str, Any], *, inputs: Mapping[str, Any]) -> None:
    """Raise PipelineInvalid where the pipeline certainly cannot be called with these parameters and inputs.

    What cannot be told from the source (a decorator of the project's own, a type that must be looked up) passes: the
    run itself checks everything before its first step.
    """
    found = parameters(project, function)
    if found is None:
        return
    name = function.partition(":")[2]
    mistakes = list(_mistakes(name, found, given, inputs))
    if mistakes:
        raise PipelineInvalid(" ".join(mistakes), hint=f"It takes: {_told(found)}.", detail={"mistakes": mistakes})


def parameters(project: Path, function: str) -> ast.arguments | None:
    """Return the parameters of `MODULE:FUNCTION` as written, or None where the source does not tell for certain."""
    module, _, name = function.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        return None
    path = project.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    rebound = any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in ast.walk(tree))
    if len(found) != 1 or found[0] not in tree.body or rebound or not all(map(_is_ours, found[0].decorator_list)):
        return None
    return found[0].args


def _is_ours(decorator: ast.expr) -> bool:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    last = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return last in _OURS


def _mistakes(name: str, found: ast.arguments, given: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[str]:
    known = {argument.arg: argument for argument in (*found.args, *found.kwonlyargs)}
    mistakes = []
    for word in given if found.kwarg is None else ():
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1)
            mistakes.append(f"{name} has no parameter {word!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
    unknown = [word for word in inputs if word not in known and found.kwarg is None]
    mistakes += [f"{name} has no parameter {word!r}, which the project file gives a dataset to." for word in unknown]
    missing = [word for word in _required(found) if word not in given and word not in inputs and word != "seed"]
    mistakes += [f"{name} needs {word!r}, and it was not given." for word in missing]
    for word, value in given.items():
        annotation = known[word].annotation if word in known else None
        fits = _PLAIN.get(annotation.id) if isinstance(annotation, ast.Name) else None
        is_default = value is None and word not in _required(found)
        if fits is not None and not fits(value) and not is_default:
            mistakes.append(f"{word!r} must be {ast.unparse(annotation)}; found {told(value)}.")  # type: ignore[arg-type]
    return mistakes


def _required(found: ast.arguments) -> list[str]:
    positional = [argument.arg for argument in (*found.posonlyargs, *found.args)]
    required = positional[: len(positional) - len(found.defaults)] if found.defaults else positional
    return required + [a.arg for a, d in zip(found.kwonlyargs, found.kw_defaults, strict=True) if d is None]


def _told(found: ast.arguments) -> str:
    return ast.unparse(found) or "nothing"
