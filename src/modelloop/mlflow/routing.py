"""A route as plain data, and the table that finds it. A route that forgets its right cannot be made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from ..ground.core.errors import InvalidInput
from ..ground.core.rights import Right
from ..ground.store.context import Context
from ..train.tracking.records import Batch
from .desk import Desk
from .messages import Nothing

PLACES = ("/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/")
PLACES_3 = ("/api/3.0/mlflow/", "/ajax-api/3.0/mlflow/")
FILES = ("/api/2.0/mlflow-artifacts/", "/ajax-api/2.0/mlflow-artifacts/")
ROOT = ("/",)


@dataclass(slots=True)
class Call:
    """A request whose actor, right, size and form were checked."""

    ctx: Context
    desk: Desk
    message: Any
    """An instance of the route's `takes`."""
    words: tuple[str, ...] = ()
    """What stood for the `{}` of the path, decoded once."""


@dataclass(slots=True)
class Stream:
    """A request whose body is read, or whose answer is written, piece by piece."""

    ctx: Context
    desk: Desk
    words: tuple[str, ...]
    receive: Callable[[], Awaitable[Mapping[str, Any]]]
    send: Callable[[Mapping[str, Any]], Awaitable[None]]
    message: Any
    started: bool = False
    """The answer has begun: what fails from now on can only break it off."""


class Gone(Exception):
    """The client went away before it had sent everything."""


class Absent(Exception):
    """What was asked for is a part of MLflow that is not here; the text says so."""


Answer: TypeAlias = Callable[[Call], bytes]
"""Runs in a thread, returns JSON."""
Change: TypeAlias = Callable[[Any], Batch | None]
"""From a message to what is written; pure, so it runs where the request was read. None: nothing to write."""
Streaming: TypeAlias = Callable[[Stream], Awaitable[bytes | None]]
"""Runs in the event loop; returns JSON, or None where it has answered."""


@dataclass(frozen=True, slots=True)
class Route:
    """One address. Exactly one of `answer`, `change`, `stream` and `absent` says what happens there."""

    method: str
    path: str
    """Below each of `places`; `{}` stands for one segment, `{*}` at the end for the rest."""
    right: Right
    takes: type[msgspec.Struct] = Nothing
    places: Sequence[str] = PLACES
    exists: bool = False
    """It makes something: a conflict is told as "exists already"."""
    answer: Answer | None = None
    change: Change | None = None
    stream: Streaming | None = None
    absent: str = ""
    """What of MLflow would be here and is not: answered by 501 and this sentence."""

    def addresses(self) -> tuple[str, ...]:
        """Return all whole paths of this route."""
        return tuple(place + self.path for place in self.places)


class Table:
    """Finds routes: by one look-up where the path is fixed, else by the first pattern that fits."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        self._patterns: dict[tuple[str, ...], dict[str, Route]] = {}
        for route in routes:
            for address in route.addresses():
                if "{" in address:
                    self._patterns.setdefault(tuple(address.split("/")), {}).setdefault(route.method, route)
                else:
                    self._fixed.setdefault(address, {}).setdefault(route.method, route)

    def find(self, path: str) -> tuple[Mapping[str, Route], tuple[str, ...]]:
        """Return the routes of a path by method, none where there is nothing, and the words of its pattern.

        `path` is as the client sent it, not decoded: a slash that was written %2F separates nothing.
        """
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed, ()
        given = path.split("/")
        for pattern, routes in self._patterns.items():
            words = _match(pattern, given)
            if words is not None:
                return routes, words
        return {}, ()


def _match(pattern: tuple[str, ...], given: list[str]) -> tuple[str, ...] | None:
    rest = pattern[-1] == "{*}"
    if len(given) < len(pattern) if rest else len(given) != len(pattern):
        return None
    words = []
    for wanted, found in zip(pattern, given, strict=False):
        if wanted == "{*}":
            words.append("/".join(given[len(pattern) - 1 :]))
        elif wanted == "{}":
            words.append(found)
        elif wanted != found:
            return None
    return tuple(words)


def one_of(value: str | int | None, names: Mapping[Any, Any], what: str, default: Any = None) -> Any:
    """Return what a name or a number of an enumeration stands for; raises InvalidInput."""
    if value is None:
        return default
    key = int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
    if key not in names:
        known = ", ".join(str(name) for name in names if isinstance(name, str))
        raise InvalidInput(f"Invalid value {str(value)[:60]!r} for parameter '{what}'.", hint=f"Expected {known}.")
    return names[key]
