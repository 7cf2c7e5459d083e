"""Reading project code: which files are the project's, and the syntax tree of each function, class and constant."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType

_OWN = Path(__file__).resolve().parents[2]
"""Modelloop's own package: not project code, unless the project lies within it."""


@dataclass(frozen=True, slots=True)
class Source:
    """The syntax tree of one file, without docstrings, and where its parts are."""

    tree: ast.Module
    functions: Mapping[int, list[ast.AST]] = field(default_factory=dict)
    """First line (of the decorators, as code objects count) -> functions and lambdas that start there."""

    def function(self, code: CodeType) -> list[ast.AST]:
        """Return the definition of a function (several lambdas may share a line); empty if it is not here."""
        found = self.functions.get(code.co_firstlineno, [])
        return [n for n in found if getattr(n, "name", "<lambda>") == code.co_name]

    def definition(self, qualname: str) -> ast.AST | None:
        """Return the class at `Outer.Inner`, or None."""
        body: list[ast.stmt] = self.tree.body
        found: ast.AST | None = None
        for part in qualname.split("."):
            found = next((n for n in body if isinstance(n, ast.ClassDef) and n.name == part), None)
            if not isinstance(found, ast.ClassDef):
                return None
            body = found.body
        return found

    def assignment(self, name: str) -> ast.AST | None:
        """Return the last statement at the top of the file that gives `name` a value, or None."""
        found: ast.AST | None = None
        for node in self.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                found = node
        return found


class Sources:
    """The project's files, each read once: what is on disk when a run begins is what counts."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._files: dict[str, Source | None] = {}
        self._owned: dict[str, bool] = {}

    def owns(self, filename: str | None) -> bool:
        """Say whether a file is project code: under the project folder, and not installed or hidden there."""
        if not filename:
            return False
        if filename not in self._owned:
            self._owned[filename] = self._is_below(Path(filename))
        return self._owned[filename]

    def shown(self, filename: str) -> str:
        """Return a file's name as the project's people know it."""
        path = Path(filename).resolve()
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else filename

    def lines(self, filename: str, node: ast.AST) -> str:
        """Return a part of a file as it is written."""
        first = min([getattr(d, "lineno", 0) for d in getattr(node, "decorator_list", [])] or [node.lineno])  # type: ignore[attr-defined]
        return "".join(linecache.getlines(filename)[first - 1 : node.end_lineno])  # type: ignore[attr-defined]

    def owns_module(self, module: ModuleType | None) -> bool:
        """Say whether a module is project code."""
        return module is not None and self.owns(getattr(module, "__file__", None))

    def module_named(self, name: str) -> ModuleType | None:
        """Return a loaded module of the project, or None."""
        module = sys.modules.get(name)
        return module if self.owns_module(module) else None

    def modules(self) -> Iterator[ModuleType]:
        """Yield the project's loaded modules."""
        yield from (m for m in list(sys.modules.values()) if isinstance(m, ModuleType) and self.owns_module(m))

    def read(self, filename: str) -> Source | None:
        """Return the parsed file (or notebook cell), or None where there is no source."""
        if filename not in self._files:
            linecache.checkcache(filename)
            text = "".join(linecache.getlines(filename))
            try:
                self._files[filename] = _parse(text) if text else None
            except SyntaxError:
                self._files[filename] = None
        return self._files[filename]

    def _is_below(self, path: Path) -> bool:
        path = path.resolve()
        if not path.is_relative_to(self.root):
            return False
        if path.is_relative_to(_OWN) and not self.root.is_relative_to(_OWN):
            return False
        parts = path.relative_to(self.root).parts
        return not any(part.startswith(".") or part == "site-packages" for part in parts)


def digestible(node: ast.AST) -> str:
    """Return the text of a tree that is hashed: no positions, no comments; docstrings are gone already."""
    return ast.dump(node, annotate_fields=False, include_attributes=False)


def chains(node: ast.AST) -> Iterator[tuple[str, ...]]:
    """Yield each name that is read, with the attributes that follow it: `a.b.c` gives ("a", "b", "c")."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        names: list[str] = []
        part = here
        while isinstance(part, ast.Attribute):
            names.append(part.attr)
            part = part.value
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            yield (part.id, *reversed(names))
        elif part is not here:
            waiting.append(part)
        else:
            waiting.extend(ast.iter_child_nodes(here))


def chain_of(node: ast.AST) -> tuple[str, ...]:
    """Return ("a", "b", "c") for the expression `a.b.c`, nothing for any other."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def imports(node: ast.AST, package: str) -> Iterator[tuple[str, str | None, str]]:
    """Yield (module, name or None, bound name) for each import inside a function."""
    for here in ast.walk(node):
        if isinstance(here, ast.Import):
            for alias in here.names:
                yield alias.name, None, alias.asname or alias.name.partition(".")[0]
        elif isinstance(here, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - here.level + 1] if here.level else []
            module = ".".join([*base, *([here.module] if here.module else [])])
            for alias in here.names:
                yield module, alias.name, alias.asname or alias.name


def _parse(text: str) -> Source:
    tree = ast.parse(text)
    functions: dict[int, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            _drop_docstring(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            functions.setdefault(first, []).append(node)
        elif isinstance(node, ast.Lambda):
            functions.setdefault(node.lineno, []).append(node)
    return Source(tree, functions)


def _drop_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) -> None:
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        node.body = node.body[1:]
