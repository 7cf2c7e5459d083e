"""Rows that replace those with the same key: what changed is written behind, what it replaces is marked deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....ground.core.later import polars as pl
from ...records import Part, Schema
from .compacting import compact, written
from .matching import Arriving, match, outdated
from .shapes import fitted, inherited
from .store import Store


@dataclass(frozen=True, slots=True)
class Upserted:
    """How many of the arriving rows were new, different from the row they replace, and equal to it."""

    added: int
    changed: int
    unchanged: int


def upsert(
    parts: Sequence[Part], frame: pl.DataFrame, schema: Schema, key: Sequence[str], store: Store
) -> tuple[tuple[Part, ...], Upserted]:
    """Return the parts with the arriving rows in the place of those with their key; new and changed rows stand at the
    end, in their order. Raises InvalidInput if two of the arriving rows have one key."""
    kept = inherited(parts, schema)
    frame = fitted(frame, schema)
    arriving = Arriving(frame, schema, key)
    arriving.check()
    if not frame.height:
        return compact(kept, schema, store), Upserted(0, 0, 0)
    found = [match(part, arriving, store) for part in kept]
    differences = outdated(kept, found, arriving, store)
    left = [
        store.without(part, one.rows[differs]) for part, one, differs in zip(kept, found, differences.kept, strict=True)
    ]
    fresh = frame.filter(pl.Series(differences.arriving))
    counts = Upserted(differences.added, fresh.height - differences.added, frame.height - fresh.height)
    return compact((*left, *written(fresh, schema, store)), schema, store), counts
