"""What a contract's checks need besides the rows: other datasets, the clock, secrets, and where bytes are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ....ground.core.later import polars as pl
from ..cast import Put

_NEVER = datetime.max.replace(tzinfo=UTC)
"""Without a clock nothing is fresh."""


@dataclass(frozen=True, slots=True)
class Aids:
    """Effects and knowledge that come in from outside."""

    known_keys: pl.LazyFrame | None = None
    """The columns of the dataset that are a key, or unique, as they are kept (hashed, where the contract hashes them).
    None: no arriving key can be known, because the arrival replaces everything, is merged by key, or is the first."""
    references: Mapping[str, pl.LazyFrame] = field(default_factory=dict)
    """By DATASET.COLUMN: the column, as it is kept, in the newest version."""
    custom: Mapping[str, Callable[[pl.DataFrame], Any]] = field(default_factory=dict)
    """The contract's own checks by name: of the rows as they would be kept."""
    now: datetime = _NEVER
    secret: bytes = b""
    """The project's key, for columns that are hashed."""
    put: Put | None = None
    """Keeps the bytes of binary columns."""
    items: frozenset[str] = frozenset()
    """Binary columns that come as the hashes of bytes which are kept already."""
