"""The whole table arrives: what it shares with the table before is not written again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...records import Part, Schema
from .blocks import replace_by_content
from .compacting import compact, written
from .matching import Arriving, Match, aligned, match, outdated
from .shapes import fitted, inherited, keeps
from .store import Rows, Store

ANEW = 0.4
"""With a larger share of rows added, changed or removed the table is written anew."""


def replace(
    parts: Sequence[Part], frame: pl.DataFrame, schema: Schema, key: Sequence[str], store: Store
) -> tuple[Part, ...]:
    """Return parts with just the rows of `frame`.

    With a key, rows that are equal stay where they are and the others are written behind them: the order of rows is
    then not that of `frame`. Without one it is, and cells with equal values are shared.
    """
    frame = fitted(frame, schema)
    if not key:
        return replace_by_content(parts, frame, schema, store)
    arriving = Arriving(frame, schema, key)
    arriving.check()
    if not parts or not frame.height or not keeps(parts, schema):
        return written(frame, schema, store)
    kept = inherited(parts, schema)
    starts = accumulate((part.live for part in kept), initial=0)
    found = [
        aligned(part, arriving, at, store) or match(part, arriving, store)
        for part, at in zip(kept, starts, strict=False)
    ]
    removed = [_unmatched(part, one, store) for part, one in zip(kept, found, strict=True)]
    matched = sum(len(one.rows) for one in found)
    gone = sum(map(len, removed))
    if gone + frame.height - matched > ANEW * frame.height:
        return written(frame, schema, store)
    differences = outdated(kept, found, arriving, store)
    fresh = frame.filter(pl.Series(differences.arriving))
    if gone + fresh.height > ANEW * frame.height:
        return written(frame, schema, store)
    left = [
        store.without(part, np.union1d(one.rows[differs], rest))
        for part, one, differs, rest in zip(kept, found, differences.kept, removed, strict=True)
    ]
    return compact((*left, *written(fresh, schema, store)), schema, store)


def _unmatched(part: Part, found: Match, store: Store) -> Rows:
    """Return the rows of the part that count and whose key did not arrive."""
    mask = np.ones(part.rows, bool)
    mask[store.deleted(part)] = False
    mask[found.rows] = False
    return np.flatnonzero(mask).astype(np.uint32)
