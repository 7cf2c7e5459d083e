"""How values are written on pages: the template environment and its filters."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

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
    pages.filters |= {
        "day": day,
        "stamp": stamp,
        "figure": figure,
        "count": count,
        "interval": interval,
        "lasted": lasted,
        "size": size,
        "share": share,
        "version_link": version_link,
    }
    return pages


def day(text: str) -> str:
    """Return an ISO time as people write days: 5 Aug 2013."""
    moment = parse_time(text)
    return f"{moment.day} {moment:%b %Y}"


def stamp(text: str) -> str:
    """Return an ISO time as people write moments: 5 Aug 2013 14:03 (UTC)."""
    moment = parse_time(text)
    return f"{moment.day} {moment:%b %Y %H:%M}"


def lasted(seconds: float | None) -> str:
    """Return a length of time: 12 ms, 3.2 s, 2 min 5 s, 1 h 20 min; nothing for none."""
    if not seconds:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "< 1 ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(value: float | None) -> str:
    """Return a number of bytes: 412 MB; nothing for none."""
    if not value:
        return ""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.0f} B"


def share(value: float | None) -> str:
    """Return a part of one as per cent: 0 %, 0.3 %, 12 %."""
    if value is None:
        return "–"
    return "0 %" if not value else "< 0.1 %" if value < 0.001 else f"{value * 100:.3g} %"


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
    model, _, number = name.rpartition(":")
    return f"/models/{quote(model, safe='')}/{number}"
