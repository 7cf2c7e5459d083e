"""A notebook as a step: its cells, its parameters and the project's modules that it imports are what it depends on.

What it put out before does not count. It runs in a fresh kernel; values come back through
`give`, as codec text. The executed copy is kept with the run, as a notebook and as a page, also where a cell failed.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import FunctionType
from typing import Any

from ..core.errors import PipelineInvalid, StepFailed, StepTimeout, WorkerDied
from ..core.hashing import canonical_json, hash_bytes
from .adapters.papermill import Desk, Executed, execute
from .amounts import duration
from .codecs import Decoder, Remembered, from_text
from .kernel import ARTIFACTS, BLOBS, GIVEN, POINTS, NotebookSession
from .project import importable
from .step import Step, artifact, current, log

_PLAIN = (type(None), bool, int, float, str)
_LONGEST = 2000


def notebook(
    path: str | Path,
    params: Mapping[str, Any] | None = None,
    *,
    timeout: str | float | timedelta = "1h",
    cache: bool = True,
) -> dict[str, Any]:
    """Carry out a notebook and return what it gave back with `give`. Call it in a pipeline as one calls a step.

    `path`: beside the file that calls. `params`: plain values, injected after the cell with the tag `parameters` (or at
    the beginning). Inside a run the call is recorded and kept like a step's; outside of one it is carried out.
    """
    caller = sys._getframe(1).f_globals
    anchor = str(caller.get("__name__", "__main__"))
    file = (Path(caller.get("__file__") or "here").resolve().parent / path).resolve()
    cells, given = _read(file), _checked(params or {})
    _check_known(file.name, cells, given)
    limit = duration(timeout, "timeout")
    modules = _modules_of(anchor, file)
    code = _reached(_source(cells), modules)
    step = _step(file.name, cache=cache)
    # relative: the folder in which the project lies is no part of what the result depends on
    where = file.relative_to(modules).as_posix() if file.is_relative_to(modules) else str(file)
    given_back: dict[str, Any] = step(where, canonical_json(cells).decode(), given, code, anchor, limit)
    return given_back


def give(name: str, value: Any) -> None:
    """In a notebook: hand a value back to the pipeline. Anywhere else: nothing happens."""
    session = current.get()
    if isinstance(session, NotebookSession):
        session.hand_back(name, value)


def _carry_out(  # noqa: PLR0917 - what the result depends on, in the order of the call
    where: str, cells: str, params: dict[str, Any], code: dict[str, str], anchor: str, limit: timedelta
) -> dict[str, Any]:
    del code  # it is there to be part of what the result depends on
    modules = _modules_of(anchor, Path.cwd() / where)
    file = modules / where
    name = file.name.removesuffix(".ipynb")
    with tempfile.TemporaryDirectory(prefix="modelloop-notebook-") as folder:
        drawer = Path(folder)
        desk = Desk(file.parent, modules, drawer, limit.total_seconds())
        done = execute(json.loads(cells), params, desk, title=file.name)
        artifact(f"{name}.ipynb", done.copy)
        artifact(f"{name}.html", done.page)
        _raise_failure(file.name, done, limit)
        return _handed_back(drawer, importable(modules))


def _handed_back(drawer: Path, names: frozenset[str]) -> dict[str, Any]:
    def get(digest: str) -> bytes:
        return (drawer / BLOBS / digest).read_bytes()

    for name, value, step in _lines(drawer / POINTS):
        log(name, value, step=step)
    for name, digest in _lines(drawer / ARTIFACTS):
        artifact(name, get(digest))
    decoder = Decoder(get, Remembered(), names)
    return {name: decoder.decode(from_text(text)) for name, text in _lines(drawer / GIVEN)}


def _lines(file: Path) -> list[list[Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []


def _raise_failure(name: str, done: Executed, limit: timedelta) -> None:
    failure = done.failure
    if failure is None:
        return
    kept = "What it did until then is kept with the run, as a notebook and as a page."
    if failure.kind == "TimeOut":
        seconds = limit.total_seconds()
        raise StepTimeout(f"{name} took longer than its time limit of {seconds:g} s and was ended. {kept}")
    if failure.kind == "KernelDied":
        raise WorkerDied(f"The kernel of {name} ended by itself: perhaps memory ran out. {kept}")
    source = "\n".join(f"    {line}" for line in failure.source[:_LONGEST].splitlines())
    raise StepFailed(
        f"{_cell(done)} of {name} failed: {failure.kind}: {failure.message}\n{source}\n"
        f"{failure.traceback[-10_000:]}\n{kept}"
    )


def _cell(done: Executed) -> str:
    """Return which cell of the user's failed: papermill adds some of its own."""
    number = 0
    for cell in json.loads(done.copy)["cells"]:
        number += cell["cell_type"] == "code" and "injected-parameters" not in cell["metadata"].get("tags", [])
        if any(output["output_type"] == "error" for output in cell.get("outputs", [])):
            return f"Code cell {number}"
    return "A cell"


def _step(name: str, *, cache: bool) -> Step[Any, Any]:
    """Return a step that is known by the notebook's name."""
    function = FunctionType(_carry_out.__code__, _carry_out.__globals__, name)
    function.__module__, function.__qualname__ = __name__, name
    function.__annotations__ = dict(_carry_out.__annotations__)
    # what is random in it is seeded by it: by a parameter, say
    return Step(function, cache=cache, seeded=False)


def _read(file: Path) -> dict[str, Any]:
    """Return what counts of a notebook: its cells, without what they put out."""
    try:
        found = json.loads(file.read_text("utf-8"))
        cells, metadata = found["cells"], found.get("metadata", {})
        language = metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name")
        kept = [_stripped(cell) for cell in cells]
    except FileNotFoundError as error:
        near = sorted(path.name for path in file.parent.glob("*.ipynb")) if file.parent.is_dir() else []
        raise PipelineInvalid(
            f"There is no notebook {file}.", hint=f"There are: {', '.join(near) or 'none'}."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PipelineInvalid(
            f"{file} is no notebook of format 4: {type(error).__name__}: {error}.", hint="Save it with Jupyter again."
        ) from error
    if language not in (None, "python"):
        raise PipelineInvalid(f"{file.name} is written in {str(language)[:40]}; a step's notebook is in Python.")
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": spec, "cells": kept}


def _stripped(cell: Mapping[str, Any]) -> dict[str, Any]:
    source = cell["source"]
    tags = sorted(cell.get("metadata", {}).get("tags", []))
    made = {
        "cell_type": cell["cell_type"],
        "source": source if isinstance(source, str) else "".join(source),
        "metadata": {"tags": tags} if tags else {},
    }
    return {**made, "outputs": [], "execution_count": None} if cell["cell_type"] == "code" else made


def _checked(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters; raises PipelineInvalid for what cannot be written as a literal into a cell."""
    waiting: list[tuple[str, Any]] = list(params.items())
    for name in params:
        if not isinstance(name, str) or not name.isidentifier():
            raise PipelineInvalid(f"A parameter of a notebook is named {name!r}, which is no name in Python.")
    while waiting:
        name, value = waiting.pop()
        if type(value) is list or type(value) is tuple:
            waiting += [(f"{name}[{place}]", item) for place, item in enumerate(value)]
        elif type(value) is dict and all(type(key) is str for key in value):
            waiting += [(f"{name}[{key!r}]", item) for key, item in value.items()]
        elif type(value) not in _PLAIN:
            raise PipelineInvalid(
                f"The parameter {name} of a notebook is a {type(value).__name__}, which cannot be written into a cell.",
                hint="Pass plain values; write a table to a dataset or file, and pass its name.",
            )
    return dict(params)


def _check_known(name: str, notebook: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """Raise PipelineInvalid for a parameter that the cell with the tag `parameters` has no value for."""
    tagged = [cell["source"] for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    known = {word.id for source in tagged for word in _names(source)}
    unknown = sorted(set(params) - known)
    if not tagged or not unknown:
        return
    near = difflib.get_close_matches(unknown[0], known, n=1)
    raise PipelineInvalid(
        f"{name} has no parameter {', '.join(unknown)}.",
        hint=f"Did you mean {near[0]}?" if near else f"It has: {', '.join(sorted(known)) or 'none'}.",
    )


def _names(source: str) -> list[ast.Name]:
    tree = _parsed(source)
    return [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _parsed(source: str) -> ast.Module:
    """Return the syntax tree of a cell or file; lines of IPython's own (`%`, `!`) are passed over."""
    plain = "\n".join("" if line.lstrip()[:1] in ("%", "!", "?") else line for line in source.splitlines())
    try:
        return ast.parse(plain)
    except (SyntaxError, ValueError):  # running it will tell
        return ast.Module([], [])


def _source(notebook: Mapping[str, Any]) -> list[str]:
    return [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _modules_of(anchor: str, file: Path) -> Path:
    """Return the folder in which the module `anchor`, or its package, lies."""
    loaded = sys.modules.get(anchor)
    origin = getattr(loaded, "__file__", None)
    if origin is None and anchor != "__main__":
        with suppress(ImportError, ValueError):
            found = importlib.util.find_spec(anchor)
            origin = found.origin if found else None
    if origin is None:
        return file.parent
    path = Path(origin).resolve()
    depth = anchor.count(".") + (path.name == "__init__.py")
    return path.parents[depth]


def _reached(sources: list[str], modules: Path) -> dict[str, str]:
    """Return file -> digest of the project's modules that the cells import, and those import in turn."""
    names, found = importable(modules), dict[str, str]()
    waiting = [name for source in sources for name in _imported(source)]
    while waiting:
        name = waiting.pop()
        for file in _files_of(name, modules) if name.partition(".")[0] in names else ():
            key = file.relative_to(modules).as_posix()
            if key not in found:
                data = file.read_bytes()
                found[key] = hash_bytes(data)
                waiting += _imported(data.decode("utf-8", "replace"))
    return dict(sorted(found.items()))


def _files_of(name: str, modules: Path) -> list[Path]:
    """Return the files of a module: of a package all, since what is used of it cannot be told."""
    top = modules / name.partition(".")[0]
    return sorted(top.rglob("*.py")) if top.is_dir() else [top.with_suffix(".py")]


def _imported(source: str) -> list[str]:
    """Return the modules that a cell or file imports."""
    found = []
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module)
    return found
