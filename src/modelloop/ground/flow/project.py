"""The user's code: found by MODULE:FUNCTION in the project folder, and called with what the run was given."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from ..core.clock import parse_time
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


def arguments_for(function: Callable[..., Any], given: Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """Return the arguments of the pipeline, `seed` included where it asks for one; raises PipelineInvalid."""
    signature = inspect.signature(function)
    arguments = dict(given)
    if "seed" in signature.parameters and "seed" not in arguments:
        arguments["seed"] = seed
    bind(function, (), arguments, signature=signature)
    return _read_times(function, arguments)


def _read_times(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Turn texts into times where the pipeline asks for a `datetime`: a request or command line can only write them."""
    try:
        hints = typing.get_type_hints(inspect.unwrap(function))
    except NameError:  # an annotation that only a type checker can resolve
        return arguments
    for name, value in arguments.items():
        if isinstance(value, str) and datetime in (hints.get(name), *typing.get_args(hints.get(name))):
            try:
                arguments[name] = parse_time(value)
            except ValueError as error:
                raise PipelineInvalid(
                    f"The argument {name!r} is {value[:60]!r}, which is no time.",
                    hint="Expected one such as 2013-03-01T00:00:00Z.",
                ) from error
    return arguments


def bind(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    signature: inspect.Signature | None = None,
) -> dict[str, Any]:
    """Return parameter -> argument, defaults included; raises PipelineInvalid that names what is expected."""
    signature = signature or inspect.signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        name = getattr(function, "__qualname__", repr(function))
        given = [type(a).__name__ for a in args] + list(kwargs)
        raise PipelineInvalid(
            f"{name} cannot be called with ({', '.join(given)}): {error}.",
            hint=f"Expected {name}{_short(signature)}.",
            detail={"expected": list(signature.parameters), "given": given},
        ) from error
    bound.apply_defaults()
    return dict(bound.arguments)


def _short(signature: inspect.Signature) -> str:
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))


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
