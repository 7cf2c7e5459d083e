"""A route as plain data, and what a request comes down to before an action sees it.

Each stage lists its routes in `routes.py`. The control process serves the action's result as JSON under `/api` + path
and, where the route has a page, as HTML at the page's address: a page and its JSON twin come from the same function.
The API document is derived from the same list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .core.clock import parse_time
from .core.errors import InvalidInput
from .core.rights import Right
from .store.context import Context

MOST_ROWS = 1000
"""No list is longer than this; `limit` may ask for less."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose actor, right, size and form were checked."""

    ctx: Context
    project: Any
    """The `modelloop.project.Project`; the ground knows no stage, so it cannot name the type."""
    project_dir: Path
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    trouble: str = ""
    """What keeps the project file, as it is now, from being used; `project` is then what it said before."""

    def limit(self, default: int = 200) -> int:
        """Return how many rows are asked for, at most MOST_ROWS."""
        text = self.query.get("limit", str(default))
        if not _whole(text) or not 1 <= int(text) <= MOST_ROWS:
            raise InvalidInput(f"limit={text[:40]!r} is not a number of rows.", hint=f"Expected 1 to {MOST_ROWS}.")
        return int(text)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text of the body; raises InvalidInput where it is missing (without default) or no text."""
        value = self.body.get(name, default)
        if not isinstance(value, str) or not value:
            raise InvalidInput(
                f"The body's {name!r} is {_found(value)}.", hint=f'Expected {{"{name}": "a text", ...}}.'
            )
        return value

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return an object of the body, empty where it is left out."""
        value = self.body.get(name)
        value = {} if value is None else value
        if not isinstance(value, Mapping):
            raise InvalidInput(f"The body's {name!r} is {_found(value)}.", hint=f'Expected {{"{name}": {{...}}}}.')
        return value

    def rows(self, name: str) -> list[Mapping[str, Any]]:
        """Return a list of objects of the body."""
        value = self.body.get(name)
        if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
            raise InvalidInput(
                f"The body's {name!r} is {_found(value)}.", hint=f'Expected {{"{name}": [{{...}}, ...]}}.'
            )
        return value


@dataclass(frozen=True, slots=True)
class Page:
    """Where a route's result is shown to people."""

    path: str
    template: str
    """Of `web/templates`; it sees the JSON twin as `it`."""


@dataclass(frozen=True, slots=True)
class Route:
    """One address. `right` has no default: a route that forgets it cannot be written."""

    method: str
    path: str
    """Below `/api`; `{name}` stands for one path segment."""
    action: Callable[[Call], Any]
    """Returns a record or anything JSON-ready. Its docstring's first line is the summary in the API document."""
    right: Right
    page: Page | None = None


def number(text: str, kind: str) -> int:
    """Return a positive number out of a path segment; raises InvalidInput."""
    if not _whole(text) or int(text) < 1:
        raise InvalidInput(f"{text[:40]!r} is not the number of a {kind}.", hint="Expected 1, 2, 3, ...")
    return int(text)


def moment(value: Any, name: str) -> Any:
    """Return the aware UTC time written in a body's field; raises InvalidInput."""
    try:
        return parse_time(value)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidInput(
            f"{name!r} is {_found(value)}.", hint="Expected a time such as 2013-03-01T05:15:00Z."
        ) from error


def _whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9


def _found(value: Any) -> str:
    return "missing" if value is None else f"{type(value).__name__} {str(value)[:60]!r}"
