"""How answers look in a terminal: a table, a list of facts, a coloured word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...ground.core.clock import utc

_COLOURS = {
    "green": ("pass", "promoted", "done", "better", "live", "up", "holds"),
    "red": ("fail", "refused", "rolled back", "failed", "worse", "back", "down", "alert", "stop"),
    "yellow": ("missing evidence", "approval", "note", "cancelled", "warn", "quarantine", "waiting"),
    "blue": ("running", "queued", "rolling", "judged", "shadow", "canary", "check", "not yet", "busy"),
}
_COLOUR_OF = {word: colour for colour, words in _COLOURS.items() for word in words}


def printed(*parts: RenderableType) -> Callable[[Console], None]:
    """Return what prints the parts one below the other."""
    return lambda console: console.print(Group(*parts))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", empty: str = "nothing yet"
) -> RenderableType:
    """Return a table; numbers to the right, known words in colour; `empty` where there is no row."""
    listed = [[cell(value) for value in row] for row in rows]
    if not listed:
        return Text(empty, style="dim")
    made = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for name in columns:
        made.add_column(name, overflow="fold")
    for row in listed:
        made.add_row(*row)
    return made


def facts(pairs: Iterable[tuple[str, Any]]) -> RenderableType:
    """Return names and values, one pair a line."""
    made = Table.grid(padding=(0, 2))
    for name, value in pairs:
        made.add_row(Text(name, style="dim"), cell(value))
    return made


def cell(value: Any) -> Text:
    """Return a value as people read it."""
    if value is None:
        return Text("–", style="dim")
    if isinstance(value, datetime):
        return Text(f"{utc(value):%Y-%m-%d %H:%M}")
    if isinstance(value, float):
        return Text(f"{value:.4g}", justify="right")
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}", justify="right")
    if isinstance(value, Text):
        return value
    return Text(str(value), style=_COLOUR_OF.get(str(value), ""))
