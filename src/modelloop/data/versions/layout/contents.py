"""The content of a cell: a hash of its values, found without writing them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl

if TYPE_CHECKING:
    import numpy.typing as npt


FOLDS = 32
Words: TypeAlias = "npt.NDArray[np.uint64]"


@cache
def _multipliers() -> Words:
    """Odd, so that a difference in one value is never folded away. What was hashed before depends on them."""
    drawn = np.random.Generator(np.random.PCG64(20260301)).integers(0, 2**64, FOLDS, dtype=np.uint64)
    return np.asarray(drawn | np.uint64(1))


def content_of(columns: Iterable[pl.Series]) -> str:
    """Return a hash that equal columns of equal types share, in whatever chunks or buffers they are; NaN is NaN, and
    -0.0 is 0.0.

    Each value is hashed to 64 bits by Polars, 32 stretches of these are folded to one (a sum with odd factors), and
    SHA-256 is taken of that: three times as fast as of the values. The chance that a changed value goes unseen is
    2^-64; nobody is kept from making two values that collide, which would keep the older of the two. Another version
    of Polars hashes differently: then nothing is found equal, and cells are written.
    """
    digest = hashlib.sha256(f"polars {pl.__version__};".encode())
    for column in columns:
        digest.update(f"{column.dtype}:{column.len()}:{column.null_count()};".encode())
        hashed = column.hash(seed=0).rechunk().to_numpy()
        stretch = len(hashed) // FOLDS
        table = hashed[: FOLDS * stretch].reshape(FOLDS, stretch)
        digest.update(np.ascontiguousarray(np.einsum("nm,n->m", table, _multipliers())).data)
        digest.update(hashed[FOLDS * stretch :].data)
    return digest.hexdigest()
