"""How much of a thing is told: no page grows with what a file or a pipeline held. Pure."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

LONGEST = 400
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxdict = 12


def clip(text: str, most: int = LONGEST) -> str:
    """Return a text, or its beginning."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def clipped(texts: Iterable[str], most: int) -> list[str]:
    """Return the first texts, each no longer than it should be."""
    return [clip(text) for text in islice(texts, most)]


def shown(value: Any) -> str:
    """Return any value in a few letters."""
    return clip(value if isinstance(value, str) else _SHORT.repr(value))


def pairs(values: Mapping[str, Any], most: int) -> list[tuple[str, str]]:
    """Return the first values with their names."""
    return [(clip(name, 120), shown(value)) for name, value in islice(values.items(), most)]


def more(things: Iterable[Any], most: int) -> int:
    """Return how many are left out."""
    return max(0, sum(1 for _ in things) - most)
