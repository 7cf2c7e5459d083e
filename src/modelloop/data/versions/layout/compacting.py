"""Add rows at the end, and keep the number of parts small.

Rows are added as a part of their own. Sixteen neighbours of one size class (below 16, 256, 4,096, 65,536 rows) become
one part of a larger class, so a row is written again at most four times in its life, and at most fifteen parts of each
class stand in a row. A part of which more than a quarter is deleted is written anew: at most four rows for each that
was deleted. A commit therefore costs O(new rows), amortised; older versions keep the parts they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ....ground.core.later import polars as pl
from ...records import Part, Schema
from .scanning import scan
from .shapes import fitted, inherited
from .store import Store, at_once

LARGEST = 2_000_000
"""Rows of a part; more become several."""
TOGETHER = 16
CLASSES = ((1, 16), (16, 256), (256, 4_096), (4_096, 65_536))
SMALL = 65_536
DEAD = 0.25


def append(parts: Sequence[Part], frame: pl.DataFrame, schema: Schema, store: Store) -> tuple[Part, ...]:
    """Return the parts with the rows of `frame` behind them."""
    kept = inherited(parts, schema)
    return compact((*kept, *written(fitted(frame, schema), schema, store)), schema, store)


def written(frame: pl.DataFrame, schema: Schema, store: Store) -> tuple[Part, ...]:
    """Keep the rows: a part of one cell for every two million."""
    slices = [frame.slice(start, LARGEST) for start in range(0, frame.height, LARGEST)]
    return tuple(Part(one.height, schema, (store.write(one.rechunk()),)) for one in slices)


def compact(parts: Sequence[Part], schema: Schema, store: Store) -> tuple[Part, ...]:
    """Return parts with the same rows in the same order; those that are fine are left as they are."""
    some = [part for part in parts if part.live]
    dead = [part for part in some if part.gone > DEAD * part.rows]
    anew = dict(zip(map(id, dead), at_once(lambda one: _rewritten([one], schema, store), dead), strict=True))
    some = [new for part in some for new in anew.get(id(part), (part,))]
    out: list[Part] = []
    for small, group in groupby(some, key=lambda part: part.live < SMALL):
        run = list(group)
        out.extend(_merged(run, schema, store) if small else run)
    return tuple(out)


def _merged(run: Sequence[Part], schema: Schema, store: Store) -> list[Part]:
    """Merge what has become too many of a class, with the smaller ones behind; smallest class first. Only at the end of
    the run: what lies before was the end of it once."""
    parts = list(run)
    for least, below in CLASSES:
        start = len(parts)
        while start and parts[start - 1].live < below:
            start -= 1
        if sum(part.live >= least for part in parts[start:]) >= TOGETHER:
            parts[start:] = _rewritten(parts[start:], schema, store)
    return parts


def _rewritten(parts: Sequence[Part], schema: Schema, store: Store) -> tuple[Part, ...]:
    return written(scan(parts, schema, store).collect(), schema, store)
