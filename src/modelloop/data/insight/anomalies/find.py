"""All searches over one table, cheap ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ....ground.core.errors import ContractInvalid
from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...records import Finding
from ...settings import AnomalySettings, ContractSettings
from ..personal import detect
from ..profile import Profile, category_counts, kind_of, profile
from .columns import categories, constants, missing
from .leakage import leakage
from .looked import Looked
from .outliers import outliers
from .repeats import duplicates, near_duplicates
from .strange import strange_rows
from .units import units

_SEARCHES: tuple[Callable[[Looked], Iterator[Finding]], ...] = (
    missing, constants, categories, units, outliers, duplicates, near_duplicates, leakage, strange_rows,
)  # fmt: skip


def find(
    frame: pl.DataFrame, contract: ContractSettings, reference: Profile | None, *, now: Profile | None = None
) -> tuple[Finding, ...]:
    """Return what is unusual in the rows of an arrival, already typed and protected.

    `reference`: what the table looked like before; without it, what needs a comparison is not looked for. `now` spares
    work: the profile of `frame`, where it is known. Counts are of all rows; a search that samples says so.
    """
    settings = contract.anomalies or AnomalySettings()
    if settings.label is not None and settings.label not in frame.columns:
        raise ContractInvalid(
            f"Anomalies have the label {settings.label!r}, which is not a column.",
            hint=f"Columns are {', '.join(frame.columns)}.",
        )
    if not len(frame):
        return ()
    counts = _counts(frame)
    personal = detect(frame, contract, counts=counts, ignore=settings.ignore)
    hidden = frozenset(one.column for one in personal)
    now = now or profile(frame, counts=counts)
    earlier = {one.name: one for one in reference.columns} if reference else {}
    looked = Looked(frame, contract, settings, now, reference, earlier, counts, hidden)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest float
        found = [one for search in _SEARCHES for one in search(looked)]
    return (*found, *personal)


def _counts(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Count the values of text columns once, for all searches."""
    texts = [one for one in frame.iter_columns() if kind_of(one.dtype) == "category" and one.dtype != pl.Boolean]
    counted = {one.name: category_counts(one) for one in texts if one.null_count() < len(one)}
    return {name: found for name, found in counted.items() if found is not None}
