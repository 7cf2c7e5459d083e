"""What annotations promise, compiled once: is this value what it is said to be?

What is not understood (Any, a type variable, a name that only a type checker resolves, a protocol) passes: a check here
never refuses what it cannot judge. As for type checkers an int is a float, and a bool is an int.
"""

from __future__ import annotations

import collections.abc
import inspect
import numbers
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Accepts = Callable[[Any], bool]
"""None in its place: everything passes."""

_LISTS = (list, tuple, set, frozenset)
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Promise:
    """One annotation: how it is written, and what it accepts."""

    text: str
    accepts: Accepts | None
    hint: Any


def promises(function: Callable[..., Any]) -> dict[str, Promise]:
    """Return parameter (or "return") -> promise, of those annotations that are understood."""
    if hasattr(function, "__wrapped__"):  # a decorator may take and return something else
        return {}
    found = {}
    for name, hint in hints(function).items():
        accepts = compiled(hint)
        if accepts is not None:
            found[name] = Promise(written(hint), accepts, hint)
    return found


def hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations that can be resolved; one that cannot does not hide the others."""
    found = {}
    scope = getattr(function, "__globals__", None)
    if scope is None:
        scope = vars(sys.modules.get(getattr(function, "__module__", ""), types))
    for name, hint in _annotations(function).items():
        holder = types.SimpleNamespace(__annotations__={name: hint})
        try:
            found[name] = typing.get_type_hints(holder, scope, include_extras=False)[name]
        except (NameError, TypeError, AttributeError, SyntaxError, ValueError):
            continue
    return found


def compiled(hint: Any) -> Accepts | None:
    """Return what a value of this type is accepted by, or None where everything passes."""
    if hint is None or hint is type(None):
        return lambda value: value is None
    if hint is Any or hint is object or isinstance(hint, typing.TypeVar | str):
        return None
    if isinstance(hint, typing.NewType):
        return compiled(hint.__supertype__)
    origin = typing.get_origin(hint)
    if origin is not None:
        return _generic(origin, typing.get_args(hint))
    return _class(hint) if isinstance(hint, type) else None


def written(hint: Any) -> str:
    """Return a type as people write it."""
    if isinstance(hint, type) and typing.get_origin(hint) is None:
        return "None" if hint is type(None) else hint.__qualname__
    return str(hint).replace("typing.", "").replace("collections.abc.", "").replace("NoneType", "None")


def told(value: Any) -> str:
    """Return what a value is, shortly, for an error: `'abc' (str)`."""
    kind = type(value).__qualname__
    if value is None:
        return "None"
    if isinstance(value, bool | int | float | str | bytes | list | tuple | dict | set):
        text = repr(value)
        return f"{text if len(text) <= _LONGEST else text[: _LONGEST - 3] + '...'} ({kind})"
    return f"a {kind}"


def where_wrong(hint: Any, value: Any) -> str:
    """Return which part of a container does not fit (`[3]`, `['a']`), or nothing: it is the value itself."""
    arguments = typing.get_args(hint)
    parts: Iterable[tuple[str, Any]] = ()
    item: Any = None
    if isinstance(value, dict) and len(arguments) == 2:
        parts, item = ((f"[{key!r}]", inner) for key, inner in value.items()), arguments[1]
    elif isinstance(value, list | tuple) and arguments and typing.get_origin(hint) is not tuple:
        parts, item = ((f"[{place}]", inner) for place, inner in enumerate(value)), arguments[0]
    accepts = compiled(item) if parts else None
    if accepts is None:
        return ""
    return next((f" at {place}: {told(inner)}" for place, inner in parts if not accepts(inner)), "")


def _annotations(thing: Any) -> dict[str, Any]:
    if not isinstance(thing, type):
        return getattr(thing, "__annotations__", None) or {}
    return {name: hint for kind in thing.__mro__[::-1] for name, hint in vars(kind).get("__annotations__", {}).items()}


def _class(kind: type) -> Accepts | None:
    if kind is float:
        return lambda value: type(value) is float or isinstance(value, numbers.Real)
    if kind is int:
        return lambda value: type(value) is int or isinstance(value, numbers.Integral)
    if kind is complex:
        return lambda value: isinstance(value, numbers.Complex)
    if getattr(kind, "_is_protocol", False):
        return None
    if typing.is_typeddict(kind):
        return lambda value: isinstance(value, dict)
    if kind is inspect.Parameter.empty or not _is_checkable(kind):
        return None
    return lambda value: isinstance(value, kind)


def _is_checkable(kind: type) -> bool:
    try:
        isinstance(None, kind)
    except TypeError:
        return False
    return True


def _generic(origin: Any, arguments: tuple[Any, ...]) -> Accepts | None:
    if origin is typing.Union or origin is types.UnionType:
        return _union(arguments)
    if origin is typing.Literal:
        allowed = {(type(choice), choice) for choice in arguments}
        return lambda value: _hashable(value) and (type(value), value) in allowed
    if origin is typing.Annotated:
        return compiled(arguments[0])
    if origin is tuple:
        return _tuple(arguments)
    if origin is type:
        return lambda value: isinstance(value, type)
    if origin is collections.abc.Callable:
        return callable
    if not isinstance(origin, type) or not _is_checkable(origin) or getattr(origin, "_is_protocol", False):
        return None
    if issubclass(origin, collections.abc.Mapping) and len(arguments) == 2:
        return _mapping(origin, compiled(arguments[0]), compiled(arguments[1]))
    if issubclass(origin, collections.abc.Iterable) and len(arguments) == 1:
        return _items(origin, compiled(arguments[0]))
    return lambda value: isinstance(value, origin)


def _union(arguments: tuple[Any, ...]) -> Accepts | None:
    inner = [compiled(argument) for argument in arguments]
    if any(accepts is None for accepts in inner):
        return None
    known = [accepts for accepts in inner if accepts is not None]
    return lambda value: any(accepts(value) for accepts in known)


def _tuple(arguments: tuple[Any, ...]) -> Accepts:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        each = compiled(arguments[0])
        if each is None:
            return lambda value: isinstance(value, tuple)
        return lambda value: isinstance(value, tuple) and all(map(each, value))
    inner = [compiled(argument) for argument in arguments]

    def accepts(value: Any) -> bool:
        if not isinstance(value, tuple) or len(value) != len(inner):
            return False
        return all(check is None or check(item) for check, item in zip(inner, value, strict=True))

    return accepts


def _mapping(origin: type, key: Accepts | None, item: Accepts | None) -> Accepts:
    def accepts(value: Any) -> bool:
        if not isinstance(value, origin):
            return False
        if not isinstance(value, Mapping):
            return True
        return (key is None or all(map(key, value))) and (item is None or all(map(item, value.values())))

    return accepts


def _items(origin: type, each: Accepts | None) -> Accepts:
    """Look into what can be gone through twice; an iterator is not used up by a check."""
    if each is None:
        return lambda value: isinstance(value, origin)
    return lambda value: isinstance(value, origin) and (not isinstance(value, _LISTS) or all(map(each, value)))


def _hashable(value: Any) -> bool:
    return type(value).__hash__ is not None
