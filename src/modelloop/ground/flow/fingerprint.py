"""What code a step depends on: its own, and that of every project function, class and constant it reaches.

Names are looked up as Python would (globals, closures, attributes of project modules). Code is hashed as a syntax
tree, so comments, docstrings and layout do not count; constants are hashed by value. Code outside the project folder
counts by the version of its package only (see `environment`). What is decided at run time (`getattr(module, name)`)
counts as a use of the whole module; a method called on an object counts where its class is named, or is the class of
an argument.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import reprlib
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from ..core.errors import ValueNotStorable
from ..core.hashing import hash_bytes, hash_json
from .sources import Sources, chains, digestible, imports
from .step import Pipeline, Step

_LONGEST_TEXT = 20_000
_SHORT = reprlib.Repr()
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = 40
_SHORT.maxstring = _SHORT.maxother = 400


@dataclass(frozen=True, slots=True)
class _Part:
    """One function, class, module or constant: what it is called, its own digest, and what it refers to."""

    label: str
    digest: str
    refers: tuple[tuple[str, Any], ...]
    """(name, object) pairs."""
    held: object
    """Keeps the object alive, so that its identity stays its own."""


class Fingerprints:
    """Digests of project code, each part looked at once: a run sees one state of the code and of its constants."""

    def __init__(self, sources: Sources, digest_value: Callable[[Any], str]) -> None:
        self.sources = sources
        self._digest_value = digest_value
        self._parts: dict[tuple[str, int], _Part | None] = {}
        self._reached: dict[int, Mapping[str, str]] = {}
        self.texts: dict[str, str] = {}
        """Digest of a part -> how it is written, for people who ask what changed."""

    def of(self, thing: Any) -> Mapping[str, str]:
        """Return name -> digest of everything in the project that the function or class reaches, itself included."""
        thing = thing.function if isinstance(thing, Step | Pipeline) else thing
        if id(thing) not in self._reached:
            self._reached[id(thing)] = self._walk(thing)
        return self._reached[id(thing)]

    def _walk(self, root: Any) -> Mapping[str, str]:
        found: dict[str, str] = {}
        seen: set[int] = set()
        waiting: list[tuple[str, Any]] = [(getattr(root, "__qualname__", "?"), root)]
        while waiting:
            name, thing = waiting.pop()
            part = self._part(name, thing, is_root=thing is root)
            if part is None or id(part) in seen:
                continue
            seen.add(id(part))
            label, more = part.label, 1
            while found.get(label, part.digest) != part.digest:
                more += 1
                label = f"{part.label}#{more}"
            found[label] = part.digest
            waiting.extend(part.refers)
        return dict(sorted(found.items()))

    def _part(self, name: str, thing: Any, *, is_root: bool) -> _Part | None:
        thing = thing.function if isinstance(thing, Step | Pipeline) else thing
        callable_or_module = isinstance(thing, FunctionType | type | ModuleType | MethodType | functools.partial)
        place = ("" if callable_or_module else name, id(thing))
        if place not in self._parts:
            self._parts[place] = self._look(name, thing, is_root=is_root)
        return self._parts[place]

    def _look(self, name: str, thing: Any, *, is_root: bool) -> _Part | None:
        if isinstance(thing, FunctionType):
            return self._function(thing, is_root=is_root)
        if isinstance(thing, type):
            return self._class(thing)
        if isinstance(thing, MethodType):
            refers = (("self", thing.__self__), ("", thing.__func__))
            return _Part(f"method {name}", hash_json(name), refers, thing)
        if isinstance(thing, functools.partial):
            bound = [("", thing.func), *((f"{name}[{i}]", a) for i, a in enumerate(thing.args))]
            bound += [(f"{name}[{key}]", a) for key, a in thing.keywords.items()]
            return _Part(f"partial {name}", hash_json(sorted(thing.keywords)), tuple(bound), thing)
        if isinstance(thing, ModuleType):
            return self._module(thing)
        if isinstance(thing, BuiltinFunctionType):
            return None
        if hasattr(thing, "__wrapped__"):
            return _Part(f"wrapper {name}", hash_json(type(thing).__name__), (("", thing.__wrapped__),), thing)
        return self._constant(name, thing)

    def _function(self, function: FunctionType, *, is_root: bool) -> _Part | None:
        code = function.__code__
        wrapped = getattr(function, "__wrapped__", None)
        refers = [] if wrapped is None else [("", wrapped)]
        label = f"{function.__module__}:{function.__qualname__}"
        if not (is_root or self.sources.owns(code.co_filename)):
            return _Part(f"wrapper {label}", "", tuple(refers), function) if refers else None
        source = self.sources.read(code.co_filename)
        nodes = source.function(code) if source else []
        if not nodes:
            digest = hash_bytes(code.co_code + repr((code.co_names, code.co_varnames)).encode())
            refers += _named(code.co_names, function.__globals__)
            refers += [(f"{label} constant {i}", c) for i, c in enumerate(code.co_consts) if not hasattr(c, "co_code")]
            return _Part(label, digest, tuple(refers), function)
        scope = dict(_closure(function))
        hidden = set(code.co_varnames) - set(scope)
        for node in nodes:
            refers += self._references(node, function.__globals__, scope, hidden)
        digest = hash_bytes("\n".join(digestible(node) for node in nodes).encode())
        self._tell(digest, code.co_filename, nodes)
        return _Part(label, digest, tuple(refers), function)

    def _class(self, found: type) -> _Part | None:
        module = self.sources.module_named(found.__module__)
        if module is None:
            return None
        label = f"{found.__module__}:{found.__qualname__}"
        source = self.sources.read(module.__file__ or "")
        node = source.definition(found.__qualname__) if source else None
        if node is None:
            methods = tuple((n, m) for n, m in vars(found).items() if isinstance(m, FunctionType))
            return _Part(label, hash_json([n for n, _ in methods]), methods, found)
        refers = self._references(node, vars(module), {}, set())
        digest = hash_bytes(digestible(node).encode())
        self._tell(digest, module.__file__ or "", [node])
        return _Part(label, digest, tuple(refers), found)

    def _module(self, module: ModuleType) -> _Part | None:
        if not self.sources.owns_module(module):
            return None
        source = self.sources.read(module.__file__ or "")
        if source is None:
            return None
        refers = self._references(source.tree, vars(module), {}, set())
        return _Part(f"module {module.__name__}", hash_bytes(digestible(source.tree).encode()), tuple(refers), module)

    def _constant(self, name: str, value: Any) -> _Part | None:
        refers: list[tuple[str, Any]] = [("", type(value))]
        try:
            digest = self._digest_value(value)
            self.texts[digest] = f"{name.rpartition(':')[2]} = {_SHORT.repr(value)}\n"
            return _Part(f"value {name}", digest, tuple(refers), value)
        except ValueNotStorable as error:
            if ":" not in name:
                raise ValueNotStorable(
                    f"{name} is part of what a step depends on, and has no content hash. {error.message}",
                    hint=error.hint,
                ) from error
        # A global without a value to hash (a compiled pattern, a client): the statement that made it stands for it.
        last = name.rpartition(":")[2].rpartition(".")[2]
        for module in self.sources.modules():
            source = self.sources.read(module.__file__ or "") if vars(module).get(last) is value else None
            node = source.assignment(last) if source else None
            if node is not None:
                refers += self._references(node, vars(module), {}, set())
                digest = hash_bytes(digestible(node).encode())
                self._tell(digest, module.__file__ or "", [node])
                return _Part(f"value {name}", digest, tuple(refers), value)
        kind = type(value)
        return _Part(f"value {name}", hash_json(f"{kind.__module__}:{kind.__qualname__}"), tuple(refers), value)

    def _tell(self, digest: str, filename: str, nodes: Sequence[ast.AST]) -> None:
        text = "".join(self.sources.lines(filename, node) for node in nodes)
        self.texts[digest] = textwrap.dedent(text[:_LONGEST_TEXT])

    def _references(
        self, node: Any, names: Mapping[str, Any], closure: Mapping[str, Any], hidden: Iterable[str]
    ) -> list[tuple[str, Any]]:
        scope = {**names, **closure}
        hidden = set(hidden)
        for module, name, bound in imports(node, str(names.get("__package__") or "")):
            imported = self._import(module, name, bound)
            if imported is not None:
                scope[bound] = imported
                hidden.discard(bound)
        where = str(names.get("__name__", "?"))
        found = []
        for chain in sorted(set(chains(node))):
            if chain[0] in hidden or chain[0] not in scope:
                continue
            value = self._follow(scope[chain[0]], chain[1:])
            if value is not None:
                thing, followed = value
                label = ".".join(chain[: followed + 1])
                found.append((f"closure {label}" if chain[0] in closure else f"{where}:{label}", thing))
        return found

    def _follow(self, value: Any, attributes: Sequence[str]) -> tuple[Any, int] | None:
        """Walk through project modules; return the first thing that is none, and how many attributes led there."""
        followed = 0
        for attribute in attributes:
            if not isinstance(value, ModuleType):
                break
            if not self.sources.owns_module(value) or not hasattr(value, attribute):
                return None
            value, followed = getattr(value, attribute), followed + 1
        if isinstance(value, ModuleType) and not self.sources.owns_module(value):
            return None
        return value, followed

    def _import(self, module: str, name: str | None, bound: str) -> Any:
        """Return what an import inside a function gives, if that is project code."""
        top = module.partition(".")[0]
        try:
            spec = importlib.util.find_spec(top)
            if spec is None or not self.sources.owns(spec.origin):
                return None
            loaded = importlib.import_module(module)
        except (ImportError, ValueError):
            return None
        if name is not None:
            return getattr(loaded, name, None)
        return importlib.import_module(top) if bound == top else loaded


def _named(names: Iterable[str], scope: Mapping[str, Any]) -> list[tuple[str, Any]]:
    where = scope.get("__name__", "?")
    return [(f"{where}:{name}", scope[name]) for name in names if name in scope]


def _closure(function: FunctionType) -> Iterable[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a cell that is not filled yet
            continue
