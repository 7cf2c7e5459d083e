"""The query of a source: one SELECT, and what is put around it to ask only for what is new. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ...ground.core.errors import InvalidInput

_TOKENS = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|;|[^;'\"$/-]+|.", re.DOTALL
)
_TELLING = re.compile(r"pass|secret|token|signature|credential|api_?key|access_?key|account_?key|^(sas|sig|key|auth)$")
"""In the name of a parameter: its value is nobody's business."""


def statement_of(query: str) -> str:
    """Return the one SELECT in a query, without its semicolon; raises InvalidInput for anything else."""
    tokens = [found.group() for found in _TOKENS.finditer(query)]
    plain = [token for token in tokens if not token.startswith(("--", "/*"))]
    words = "".join(plain).split(None, 1)
    if not words or words[0].lower().rstrip("(") not in ("select", "with", "values", ""):
        raise InvalidInput("A source's query is one SELECT (or WITH ... SELECT); it reads and changes nothing.")
    last = next((place for place in reversed(range(len(tokens))) if _says(tokens[place])), -1)
    if tokens[last] == ";":
        del tokens[last]
    if ";" in tokens:
        raise InvalidInput("A source's query is one statement; this one has several, with ';' between them.")
    return "".join(tokens).strip()


def _says(token: str) -> bool:
    return bool(token.strip()) and not token.startswith(("--", "/*"))


def beyond(statement: str, cursor: str | None, last: str | None) -> str:
    """Return the statement for rows whose cursor is larger than `last` (an expression or a placeholder), in order."""
    inner = f"SELECT * FROM (\n{statement}\n) AS taken"  # noqa: S608 - the project's own query, read only
    if cursor is None:
        return inner
    column = '"' + cursor.replace('"', '""') + '"'
    return f"{inner}{f' WHERE {column} > {last}' * (last is not None)} ORDER BY {column}"


def to_json(value: Any, cursor: str) -> Any:
    """Return a cursor's value as JSON; raises InvalidInput for one that cannot be compared later."""
    if isinstance(value, datetime | date):
        kind = "time" if isinstance(value, datetime) else "date"
        return {kind: value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, int | float | str) and not isinstance(value, bool) and value == value:  # noqa: PLR0124 - NaN
        return value
    raise InvalidInput(
        f"The cursor {cursor!r} has the value {str(value)[:40]!r}; a cursor is a number, a text, a time or a date.",
        hint="A row without a value would never be taken in; leave such rows out in the query.",
    )


def from_json(kept: Any) -> Any:
    """Return the value that `to_json` wrote."""
    if not isinstance(kept, dict):
        return kept
    ((kind, text),) = kept.items()
    readers: dict[str, Callable[[str], Any]] = {
        "time": datetime.fromisoformat,
        "date": date.fromisoformat,
        "decimal": Decimal,
    }
    return readers[kind](text)


def typed(value: Any) -> tuple[str, str]:
    """Return a cursor's value as text, and what PostgreSQL calls its type."""
    match value:
        case int():
            return str(value), "bigint" if abs(value) < 2**63 else "numeric"
        case float():
            return repr(value), "double precision"
        case Decimal():
            return str(value), "numeric"
        case datetime():
            zoned = value.tzinfo is not None
            return (value.astimezone(UTC) if zoned else value).isoformat(), "timestamptz" if zoned else "timestamp"
        case date():
            return value.isoformat(), "date"
        case _:
            return str(value), "text"


def split(url: str) -> SplitResult:
    """Return the parts of a URL; raises InvalidInput where it is none."""
    with suppress(ValueError):  # what it says may be a piece of a password
        parts = urlsplit(url)
        _ = parts.port
        return parts
    raise InvalidInput("The url of the source cannot be read.", hint="Is its port a number? It holds no password.")


def secret_in(url: str) -> str:
    """Return what in a URL looks like a secret (its name, never its value), or nothing."""
    try:
        parts = urlsplit(url)
        if parts.password is not None:
            return "a password"
        _ = parts.port
        named = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    except ValueError:
        return "a password" if "@" in url else ""
    if parts.scheme.startswith("postgres") and ":" in parts.netloc and "@" in url[len(parts.netloc) :]:
        return "a password"  # one with a slash in it is read as host and path
    return next((name for name in named if _TELLING.search(name.lower())), "")
