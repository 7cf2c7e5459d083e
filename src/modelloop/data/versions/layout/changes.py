"""Which rows differ between two versions, by key; what both share is not read."""

from __future__ import annotations

from collections.abc import Sequence, Set

from ....ground.core.errors import InvalidInput
from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...records import Part, Schema
from .scanning import Piece, scan_pieces
from .store import Store

CHANGE = "change"
"""Column of the answer: added, removed or changed."""
COLUMNS = "columns"
"""Column of the answer: names of the columns whose values differ; empty unless changed."""


_HERE = "\x00here"
_NEW = "\x00new"
_NAME = "\x00key"


def rows_changed(
    old: Sequence[Part], new: Sequence[Part], schema: Schema, key: Sequence[str], store: Store
) -> pl.LazyFrame:
    """Return the key's columns, `change` and `columns` for each row in which the versions differ, in columns of the
    schema. Reads only rows that are in the parts of one version and not of the other. Where several rows have one key,
    each is compared with each."""
    if not key or not {name for name, _ in schema}.issuperset(key):
        raise InvalidInput(
            f"Rows cannot be compared by {', '.join(key) or 'no key'}.",
            hint="Name columns of both versions as the key.",
        )
    before, after = _only(old, new, {name for name, _ in schema}, store)
    # `change` and `columns` may be names of the table's own columns
    keys = [f"{_NAME}{number}" for number, _ in enumerate(key)]
    names = [name for name, _ in schema if name not in key]
    shape = [
        *(pl.col(name).alias(held) for name, held in zip(key, keys, strict=True)),
        *names,
        pl.lit(True).alias(_HERE),
    ]
    left, right = (scan_pieces(pieces, schema, store).select(shape) for pieces in (before, after))
    both = left.join(right, on=keys, how="full", nulls_equal=True, coalesce=True, suffix=_NEW)
    differs = [pl.col(name).ne_missing(pl.col(name + _NEW)) for name in names]
    one_sided = pl.any_horizontal(pl.col(_HERE, _HERE + _NEW).is_null())
    said = [pl.when(one & ~one_sided).then(pl.lit(name)) for name, one in zip(names, differs, strict=True)]
    kind = (
        pl.when(pl.col(_HERE).is_null()).then(pl.lit("added"))
        .when(pl.col(_HERE + _NEW).is_null()).then(pl.lit("removed"))
        .otherwise(pl.lit("changed"))
    )  # fmt: skip
    return both.filter(pl.any_horizontal(one_sided, *differs)).select(
        *(pl.col(held).alias(name) for name, held in zip(key, keys, strict=True)),
        kind.alias(CHANGE),
        (pl.concat_list(said).list.drop_nulls() if said else pl.lit([], pl.List(pl.String))).alias(COLUMNS),
    )


def _only(old: Sequence[Part], new: Sequence[Part], shown: Set[str], store: Store) -> tuple[list[Piece], list[Piece]]:
    """Return the rows that only the old version has, and those that only the new one has."""
    waiting: dict[object, list[Part]] = {}
    for part in new:
        waiting.setdefault(_rows_of(part, shown), []).append(part)
    before: list[Piece] = []
    after: list[Piece] = []
    for part in old:
        twins = waiting.get(_rows_of(part, shown))
        if not twins:
            before.append(Piece(part))
        elif (twin := twins.pop(0)).deleted != part.deleted:
            was, now = store.deleted(part), store.deleted(twin)
            before.append(Piece(part, np.setdiff1d(now, was, assume_unique=True)))
            after.append(Piece(twin, np.setdiff1d(was, now, assume_unique=True)))
    return before, [*after, *(Piece(part) for rest in waiting.values() for part in rest)]


def _rows_of(part: Part, shown: Set[str]) -> object:
    return tuple(cell.digest for cell in part.cells), tuple(one for one in part.schema if one[0] in shown)
