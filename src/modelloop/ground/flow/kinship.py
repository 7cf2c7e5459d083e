"""Can a value of one type ever be taken for another? Told from the types alone; no only where it is certain."""

from __future__ import annotations

import collections.abc
import types
import typing
from typing import Any

from .typed import compiled

_NUMBERS: dict[type, tuple[type, ...]] = {float: (int, bool), complex: (int, float, bool)}


def fits(given: Any, wanted: Any) -> bool:
    """Say whether some value of the type `given` may be taken where `wanted` is asked for; in doubt it may."""
    if compiled(given) is None or compiled(wanted) is None:
        return True
    if _is_union(given):
        return any(fits(part, wanted) for part in typing.get_args(given))
    if _is_union(wanted):
        return any(fits(given, part) for part in typing.get_args(wanted))
    given, wanted = _plain(given), _plain(wanted)
    if typing.get_origin(given) is typing.Literal:
        check = compiled(wanted)
        return check is None or any(check(choice) for choice in typing.get_args(given))
    if typing.get_origin(wanted) is typing.Literal:
        return any(_related(_class(given), type(choice)) for choice in typing.get_args(wanted))
    return _related(_class(given), _class(wanted)) and _parts_fit(given, wanted)


def _parts_fit(given: Any, wanted: Any) -> bool:
    mine, theirs = typing.get_args(given), typing.get_args(wanted)
    if not mine or not theirs or collections.abc.Callable in (typing.get_origin(given), typing.get_origin(wanted)):
        return True
    if _class(given) is tuple or _class(wanted) is tuple:
        return _tuples_fit(given, wanted)
    if len(mine) != len(theirs):
        return True
    return all(fits(a, b) for a, b in zip(mine, theirs, strict=True))


def _tuples_fit(given: Any, wanted: Any) -> bool:
    mine, theirs = typing.get_args(given), typing.get_args(wanted)
    if _class(given) is not tuple or _class(wanted) is not tuple or Ellipsis in mine or Ellipsis in theirs:
        return True
    return len(mine) == len(theirs) and all(fits(a, b) for a, b in zip(mine, theirs, strict=True))


def _related(given: Any, wanted: Any) -> bool:
    """Say whether one is a kind of the other, as run-time checks see it."""
    if not isinstance(given, type) or not isinstance(wanted, type):
        return True
    if wanted in _NUMBERS and issubclass(given, _NUMBERS[wanted]):
        return True
    try:
        return issubclass(given, wanted) or issubclass(wanted, given) or _numeric(given, wanted)
    except TypeError:
        return True


def _numeric(given: type, wanted: type) -> bool:
    """Numbers of libraries count as numbers; whether they are whole is known at run time only."""
    own = (int, float, complex, bool)
    return wanted in (int, float, complex) and given not in own and hasattr(given, "__float__")


def _class(hint: Any) -> Any:
    if hint is None:
        return type(None)
    origin = typing.get_origin(hint)
    return hint if origin is None else origin


def _plain(hint: Any) -> Any:
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)
