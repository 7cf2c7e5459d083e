"""Functions without a name of their own, sent as source: local functions, lambdas, functions of a notebook.

What they use goes along: values that they close over, and in a notebook its functions, classes, imports and data. All
of it stands in one file under one name each.
"""

from __future__ import annotations

import ast
import builtins
import copy
import dis
import importlib.util
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ...ground.core.errors import InvalidInput

_NAME = "modelloop_written"


class Writer:
    """Collects definitions and values, each once. `carried` describes a value, by its name."""

    def __init__(self, carried: Callable[[str, Any], Any], loadable: Callable[[ModuleType | None], bool]) -> None:
        self._carried, self._loadable = carried, loadable
        self._bound: dict[str, Any] = {}
        self._definitions: list[str] = []
        self._values: dict[str, Any] = {}
        self._within: ModuleType | None = None

    def write(self, function: Any, folder: Path) -> dict[str, Any]:
        """Write the function and what it needs into a file; return what `load_written` needs, JSON-ready."""
        name = function.__name__ if function.__name__.isidentifier() else "objective"
        self._take(name, function)
        path = folder / f"written{len(list(folder.glob('written*.py')))}.py"
        path.write_text("from __future__ import annotations\n\n" + "\n\n".join(self._definitions) + "\n")
        within = None
        if self._within is not None:
            within = {"name": self._within.__name__, "file": str(Path(self._within.__file__ or "").resolve())}
        return {"file": path.name, "name": name, "within": within, "values": self._values}

    def _take(self, name: str, value: Any) -> None:
        if name in self._bound:
            if self._bound[name] is not value:
                raise InvalidInput(
                    f"The function to be sent uses two different things named {name!r}.",
                    hint="Give one of them another name, or put the function into a module.",
                )
            return
        self._bound[name] = value
        if self._is_local(value):
            self._define(name, value)
            return
        try:
            self._values[name] = self._carried(name, value)
        except InvalidInput as error:
            raise InvalidInput(
                f"A function to be sent to another process uses {name!r}, which cannot go with it: {error.message}",
                hint="Make it inside the function, or hand what it is made of as data={...}.",
            ) from error

    def _is_local(self, value: Any) -> bool:
        if isinstance(value, FunctionType):
            return "<" in value.__qualname__ or not self._loadable(sys.modules.get(value.__module__))
        return isinstance(value, type) and (
            "<" in value.__qualname__ or not self._loadable(sys.modules.get(value.__module__))
        )

    def _define(self, name: str, value: Any) -> None:
        if isinstance(value, type):
            node: ast.ClassDef | ast.FunctionDef | ast.Lambda = _class(value)
            used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            known = vars(sys.modules[value.__module__])
            needed = {n: known[n] for n in used if n in known and n != value.__name__ and not hasattr(builtins, n)}
            for method in vars(value).values():
                if isinstance(method, FunctionType):
                    needed |= {n: found for n, found in _closed_over(method) if n != "__class__"}
        else:
            node = self._function(value)
            needed = dict(self._used(value))
        for one, found in needed.items():
            self._take(one, found)
        if isinstance(node, ast.Lambda):
            self._definitions.append(f"{name} = {ast.unparse(node)}")
            return
        self._definitions.append(ast.unparse(node))
        own = str(getattr(node, "name", name))
        if own != name:
            self._definitions.append(f"{name} = {own}")

    def _function(self, function: FunctionType) -> ast.FunctionDef | ast.Lambda:
        """Return a function's definition with the values of its defaults, without decorators and annotations."""
        node = copy.deepcopy(_definition(function.__code__))
        if isinstance(node, ast.FunctionDef):
            node.decorator_list, node.returns = [], None
        arguments = node.args
        for each in ast.walk(arguments):
            if isinstance(each, ast.arg):
                each.annotation = None
        prefix = f"default_of_{len(self._bound)}_"
        for place, default in enumerate(function.__defaults__ or ()):
            arguments.defaults[place] = ast.Name(f"{prefix}{place}", ast.Load())
            self._take(f"{prefix}{place}", default)
        for place, argument in enumerate(arguments.kwonlyargs):
            if argument.arg in (function.__kwdefaults__ or {}):
                arguments.kw_defaults[place] = ast.Name(f"{prefix}{argument.arg}", ast.Load())
                self._take(f"{prefix}{argument.arg}", (function.__kwdefaults__ or {})[argument.arg])
        return node

    def _used(self, function: FunctionType) -> Iterator[tuple[str, Any]]:
        """Yield what a function uses from outside of itself: its closure, and in a notebook the globals."""
        yield from _closed_over(function)
        module = sys.modules.get(function.__module__)
        if self._loadable(module):
            if self._within not in (None, module):
                raise InvalidInput(
                    f"{function.__qualname__} and what it uses are local functions of different modules.",
                    hint="Put one of them at the top of its module.",
                )
            self._within = module
            return
        for name in _globals_of(function.__code__):
            if name in function.__globals__:
                yield name, function.__globals__[name]


def load_written(
    told: Mapping[str, Any],
    folder: Path,
    opened: Callable[[Any], Any],
    module_of: Callable[[Mapping[str, Any]], ModuleType],
) -> Any:
    """Return the function that a `Writer` wrote down."""
    spec = importlib.util.spec_from_file_location(_NAME, folder / told["file"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if told["within"] is not None:
        around = vars(module_of(told["within"]))
        vars(module).update({name: value for name, value in around.items() if not name.startswith("__")})
    vars(module).update({name: opened(value) for name, value in told["values"].items()})
    spec.loader.exec_module(module)
    return getattr(module, told["name"])


def _definition(code: CodeType) -> ast.FunctionDef | ast.Lambda:
    """Return the syntax tree of a function; raises InvalidInput where there is no source, or it is not clear which."""
    lines = linecache.getlines(code.co_filename)
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        tree = ast.Module([], [])
    found: list[ast.FunctionDef | ast.Lambda] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            found += [node] if first == code.co_firstlineno else []
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and _spans(node, code):
            found.append(node)
    if len(found) == 1:
        return found[0]
    why = "several lambdas stand there" if found else "its source cannot be read"
    raise InvalidInput(
        f"{code.co_name} ({code.co_filename}:{code.co_firstlineno}) cannot be sent to another process: {why}.",
        hint="Define it with def at the top of a .py file.",
    )


def _spans(node: ast.Lambda, code: CodeType) -> bool:
    if node.lineno != code.co_firstlineno:
        return False
    columns = [place[2] for place in code.co_positions() if place[0] == node.lineno and place[2]]
    return not columns or ((node.body.lineno != node.lineno or node.body.col_offset <= max(columns)) and (
        node.end_lineno != node.lineno or max(columns) <= (node.end_col_offset or 0)
    ))  # fmt: skip


def _class(kind: type) -> ast.ClassDef:
    """Return the syntax tree of a class, found by one of its methods: Python keeps no line of the class itself."""
    name = kind.__qualname__.rpartition(".")[2]
    for method in vars(kind).values():
        if not isinstance(method, FunctionType):
            continue
        code = method.__code__
        lines = linecache.getlines(code.co_filename)
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == name and _holds(node, code.co_firstlineno):
                return node
    try:
        found = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    except (OSError, TypeError, SyntaxError) as error:
        raise InvalidInput(
            f"The class {kind.__qualname__} cannot be sent to another process: its source cannot be read.",
            hint="Define it in a .py file.",
        ) from error
    assert isinstance(found, ast.ClassDef)
    return found


def _holds(node: ast.ClassDef, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _closed_over(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError as error:
            raise InvalidInput(
                f"{function.__qualname__} uses {name!r}, which has no value yet.", hint="Set it first."
            ) from error


def _globals_of(code: CodeType) -> Iterator[str]:
    """Yield the global names that a function reads, its inner functions included."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(constant)
