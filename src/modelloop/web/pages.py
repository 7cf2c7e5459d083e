"""How values are written on pages: the template environment and its filters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..ground.core.clock import parse_time


def environment() -> Environment:
    """Return the templates: everything is escaped, an unknown name is an error."""
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"day": day, "figure": figure, "count": count, "interval": interval, "version_link": version_link}
    return pages


def day(text: str) -> str:
    """Return an ISO time as people write days: 5 Aug 2013."""
    moment = parse_time(text)
    return f"{moment.day} {moment:%b %Y}"


def figure(value: Any) -> str:
    """Return a number with as many digits as help."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (value == int(value) and abs(value) >= 10):
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 0.1 else f"{value:.3f}"


def count(value: Any) -> str:
    """Return a number of rows, or nothing for none."""
    return f"{value:,}" if value else ""


def interval(thing: Any) -> str:
    """Return `low to high`, where there are both."""
    low, high = thing.get("low"), thing.get("high")
    return "" if low is None or high is None else f"{figure(low)} to {figure(high)}"


def version_link(name: str) -> str:
    """Return the page of `model:number`."""
    model, _, number = name.partition(":")
    return f"/models/{model}/{number}"
