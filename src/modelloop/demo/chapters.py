"""What people do during the year: two bad ideas, a row that is put right, a file that breaks on its way.

What becomes of them is for contracts, gates and the rollout to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .world import at

BROKEN_FILE = at("2013-06-14")
"""The weather file of this day arrives cut in half (injected fault); the day after, the whole one stands there."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """From `day` on, somebody asks for a run with arguments of their own."""

    day: datetime
    idea: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def chapters() -> Iterator[Chapter]:
    """Yield the ideas by date."""
    yield Chapter(
        at("2013-07-26"),
        "a person ships a holiday calendar that ends too early (injected fault)",
        {"calendar_days": 10},
    )
    yield Chapter(
        at("2013-11-17"),
        "a person believes that only the last two months matter",
        {"months": 2},
    )
