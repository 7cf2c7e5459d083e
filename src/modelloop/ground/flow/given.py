"""What a pipeline is given from outside: a request, a project file or a command line can only write JSON.

Where the annotation asks for more than JSON has, the text or list becomes that: a time, an enum, a tuple, a dataclass.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ..core.clock import parse_time
from ..core.errors import PipelineInvalid
from .amounts import duration
from .shape import Shape
from .typed import compiled, hints, told, written

_DEEPEST = 16


def arguments_for(shape: Shape, given: Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """Return the arguments of the pipeline, `seed` included where it asks for one, each as its annotation says.

    Raises PipelineInvalid that names what is missing, unknown, or not what it should be.
    """
    arguments = dict(given)
    if "seed" in shape.parameters and "seed" not in arguments:
        arguments["seed"] = seed
    shape.bind((), arguments)
    read = {name: _read(shape, name, value) for name, value in arguments.items()}
    shape.check(shape.bind((), read))
    return read


def _read(shape: Shape, name: str, value: Any) -> Any:
    promise = shape.promises.get(name)
    if promise is None:
        return value
    try:
        return read_as(promise.hint, value)
    except (ValueError, KeyError, TypeError, PipelineInvalid) as error:
        raise PipelineInvalid(
            f"The argument {name!r} must be {promise.text}; found {told(value)}: {_reason(error)}",
            hint=_example(promise.hint),
            detail={"argument": name, "expected": promise.text, "found": told(value)},
        ) from error


def read_as(hint: Any, value: Any, depth: int = 0) -> Any:
    """Return `value` as the type asks, where plain JSON stands for it; any other value as it is."""
    accepts = compiled(hint)
    if accepts is None or depth > _DEEPEST:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return value if accepts(value) else _first_that_reads(arguments, value, depth)
    if origin in (list, tuple, set, frozenset) and isinstance(value, list | tuple):
        return _items(origin, arguments, value, depth)
    if origin is dict and isinstance(value, dict) and len(arguments) == 2:
        return {read_as(arguments[0], k, depth + 1): read_as(arguments[1], v, depth + 1) for k, v in value.items()}
    if not isinstance(hint, type) or accepts(value):
        return value
    return _one(hint, value, depth)


def _one(kind: type, value: Any, depth: int) -> Any:
    if issubclass(kind, enum.Enum):
        return kind[value] if isinstance(value, str) and value in kind.__members__ else kind(value)
    if kind is datetime and isinstance(value, str):
        return parse_time(value)
    if kind is date and isinstance(value, str):
        return date.fromisoformat(value)
    if kind is timedelta and isinstance(value, str | int | float):
        return duration(value, "the argument")
    if is_dataclass(kind) and isinstance(value, dict):
        return _record(kind, value, depth)
    if kind in (tuple, set, frozenset) and isinstance(value, list):
        return kind(value)
    return value


def _record(kind: Any, value: dict[Any, Any], depth: int) -> Any:
    known = hints(kind)
    unknown = [name for name in value if name not in {f.name for f in fields(kind) if f.init}]
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {unknown[0]!r}.")
    read = {name: read_as(known.get(name, Any), item, depth + 1) for name, item in value.items()}
    for name, item in read.items():
        accepts = compiled(known.get(name, Any))
        if accepts is not None and not accepts(item):
            raise ValueError(f"its field {name!r} must be {written(known[name])}; found {told(item)}.")
    return kind(**read)


def _items(origin: Any, arguments: tuple[Any, ...], value: list[Any] | tuple[Any, ...], depth: int) -> Any:
    if origin is tuple and len(arguments) == len(value) and Ellipsis not in arguments:
        return tuple(read_as(hint, item, depth + 1) for hint, item in zip(arguments, value, strict=True))
    each = arguments[0] if arguments else Any
    read = [read_as(each, item, depth + 1) for item in value]
    return read if origin is list and isinstance(value, list) else _collected(origin, read, value)


def _collected(origin: Any, read: list[Any], value: list[Any] | tuple[Any, ...]) -> Any:
    return tuple(read) if origin is list and isinstance(value, tuple) else origin(read)


def _first_that_reads(arguments: tuple[Any, ...], value: Any, depth: int) -> Any:
    for hint in arguments:
        try:
            read = read_as(hint, value, depth + 1)
        except (ValueError, KeyError, TypeError, PipelineInvalid):
            continue
        accepts = compiled(hint)
        if accepts is None or accepts(read):
            return read
    return value


def _reason(error: Exception) -> str:
    text = str(error).rstrip(".")
    return f"{text}."


def _example(hint: Any) -> str:
    wanted = (hint, *typing.get_args(hint))
    if datetime in wanted:
        return "Expected a time such as 2013-03-01T00:00:00Z."
    for kind in wanted:
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return f"It is one of: {', '.join(repr(member.value) for member in kind)}."
    twice = """On the command line, text that reads like a number is quoted twice: -P 'NAME="5"'."""
    return twice if str in wanted else ""
