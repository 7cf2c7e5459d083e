"""A look at a pipeline before anything runs: do its calls of steps fit the steps?

The source is read as a tree. A call counts where its name certainly is a step of the project: a name that is not given
another value anywhere in the function. What cannot be told from the text (`*args`, a variable assigned twice, a type
that is not understood) is left to the checks at run time.
"""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import PipelineInvalid
from .kinship import fits
from .shape import Shape, Shapes
from .sources import Sources, chain_of
from .step import Pipeline, Step
from .typed import compiled, hints, told, written

_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

_FIRST = inspect.Parameter.POSITIONAL_ONLY


@dataclass(frozen=True, slots=True)
class Found:
    """A call of a step in the source."""

    node: ast.Call
    step: Step[Any, Any]
    is_map: bool


def check_calls(function: Callable[..., Any], sources: Sources, shapes: Shapes) -> None:
    """Raise PipelineInvalid that lists all calls of steps that cannot work, each with file and line."""
    mistakes = mistakes_in(function, sources, shapes)
    if mistakes:
        more = f" ({len(mistakes)} places)" if len(mistakes) > 1 else ""
        raise PipelineInvalid(
            f"The pipeline cannot work{more}:\n  " + "\n  ".join(mistakes),
            hint="Nothing was run.",
            detail={"mistakes": mistakes},
        )


def mistakes_in(function: Callable[..., Any], sources: Sources, shapes: Shapes) -> list[str]:
    """Return `file:line: what is wrong` for each call of a step that cannot work."""
    plain = function.function if isinstance(function, Step | Pipeline) else function
    text = _Text.of(plain, sources)
    if text is None:
        return []
    found = []
    for call in text.calls():
        place = f"{text.place}:{call.node.lineno}"
        found += [f"{place}: {mistake}" for mistake in _mistakes(call, text, shapes.of(call.step.function))]
    return found


def steps_in(function: Callable[..., Any], sources: Sources) -> list[Step[Any, Any]]:
    """Return the steps that the pipeline certainly names in a call, each once."""
    plain = function.function if isinstance(function, Step | Pipeline) else function
    text = _Text.of(plain, sources)
    return [] if text is None else list({id(call.step): call.step for call in text.calls()}.values())


class _Text:
    """The tree of one function, with what its names mean."""

    def __init__(self, node: ast.AST, scope: Mapping[str, Any], place: str) -> None:
        self.node, self.scope, self.place = node, scope, place
        self.given = Counter(_names_given(node))
        self.results = dict(self._results())

    @classmethod
    def of(cls, function: Any, sources: Sources) -> _Text | None:
        """Return the text of a project function, or None where there is none to be read."""
        code = getattr(function, "__code__", None)
        if code is None or not sources.owns(code.co_filename):
            return None
        source = sources.read(code.co_filename)
        nodes = source.function(code) if source else []
        if len(nodes) != 1:
            return None
        closure = inspect.getclosurevars(function).nonlocals
        return cls(nodes[0], {**function.__globals__, **closure}, sources.shown(code.co_filename))

    def calls(self) -> Iterator[Found]:
        """Yield the calls of steps, in the order of the source; not those within a `try` that may catch the error."""
        for node in _outside_try(getattr(self.node, "body", self.node)):
            if isinstance(node, ast.Call) and (found := self.called(node)) is not None:
                yield found

    def called(self, node: ast.Call) -> Found | None:
        """Return the step that is called, or None."""
        chain = chain_of(node.func)
        if not chain or chain[0] in self.given or chain[0] not in self.scope:
            return None
        value: Any = self.scope[chain[0]]
        for place, attribute in enumerate(chain[1:], 1):
            if isinstance(value, Step):
                is_map = attribute == "map" and place == len(chain) - 1
                return Found(node, value, is_map=True) if is_map else None
            if not inspect.ismodule(value) or not hasattr(value, attribute):
                return None
            value = getattr(value, attribute)
        return Found(node, value, is_map=False) if isinstance(value, Step) else None

    def type_of(self, node: ast.expr) -> Any:
        """Return the type that an expression certainly has: the result of a step; None where it is not known."""
        if isinstance(node, ast.Name):
            result = self.results.get(node.id)
            return None if result is None else self.type_of(result)
        found = self.called(node) if isinstance(node, ast.Call) else None
        if found is None or hasattr(found.step.function, "__wrapped__"):
            return None
        returned = hints(found.step.function).get("return")
        return returned if returned is None or not found.is_map else list[returned]  # type: ignore[valid-type]

    def _results(self) -> Iterator[tuple[str, ast.expr]]:
        """Yield the variables that get a value at one place only, with the call that gives it."""
        for node in ast.walk(self.node):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = getattr(node, "value", None)
            is_plain = isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and len(targets) == 1
            target = targets[0] if is_plain else None
            if isinstance(target, ast.Name) and self.given[target.id] == 1 and isinstance(value, ast.Call):
                yield target.id, value


def _mistakes(call: Found, text: _Text, shape: Shape) -> Iterator[str]:
    placed, mistake = _placed(call, shape)
    if mistake is not None:
        yield f"{mistake} Expected {shape.told()}."
        return
    for name, node in placed:
        promise = shape.promises.get(name)
        if promise is None:
            continue
        where = f"{name!r} of {shape.name} must be {promise.text}"
        if isinstance(node, ast.Constant):
            accepts = promise.accepts
            same = node.value is not None and node.value == shape.parameters[name].default
            if accepts is not None and not accepts(node.value) and not (node.value is None or same):
                yield f"{where}; found {told(node.value)}."
            continue
        given = text.type_of(node)
        if given is not None and compiled(given) is not None and not fits(given, promise.hint):
            yield f"{where}; {ast.unparse(node)} is {written(given)}."


def _placed(call: Found, shape: Shape) -> tuple[list[tuple[str, ast.expr]], str | None]:
    """Return (parameter, expression) pairs; or what Python would complain about."""
    args, keywords = list(call.node.args), list(call.node.keywords)
    if call.is_map:
        if not args or any(k.arg in ("items", "self") for k in keywords):
            return [], None
        args = [ast.Starred(args[0])] if isinstance(args[0], ast.Starred) else [_Item(), *args[1:]]
    starred = any(isinstance(a, ast.Starred) for a in args) or any(k.arg is None for k in keywords)
    named = {str(k.arg): k.value for k in keywords if k.arg is not None}
    if starred:
        return [], _unknown(named, shape)
    try:
        bound = shape.signature.bind(*args, **named)
    except TypeError as error:
        return [], f"{shape.name} cannot be called like this: {error}."
    plain = [(n, v) for n, v in bound.arguments.items() if shape.parameters[n].kind not in _OPEN]
    return [(name, node) for name, node in plain if not isinstance(node, _Item)], None


def _unknown(named: Iterable[str], shape: Shape) -> str | None:
    if any(p.kind is p.VAR_KEYWORD for p in shape.parameters.values()):
        return None
    wrong = [n for n in named if n not in shape.parameters or shape.parameters[n].kind is _FIRST]
    return f"{shape.name} takes no argument {wrong[0]!r}." if wrong else None


class _Item(ast.expr):
    """Stands for one of the items of a `map`."""


def _outside_try(body: Any) -> Iterator[ast.AST]:
    """Yield all nodes that stand in no `try` with handlers."""
    waiting = [body] if isinstance(body, ast.AST) else list(body)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        skipped = node.body if isinstance(node, ast.Try | ast.TryStar) and node.handlers else []
        waiting += [child for child in list(ast.iter_child_nodes(node))[::-1] if child not in skipped]


def _names_given(function: ast.AST) -> Iterator[str]:
    """Yield each name once for each place that gives it a value, its parameters included."""
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node is not function:
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield from (*node.names, *node.names)
        elif isinstance(node, ast.AugAssign | ast.For | ast.AsyncFor | ast.comprehension):
            # a loop gives many values, `+=` another one
            yield from (n.id for n in ast.walk(node.target) if isinstance(n, ast.Name))
