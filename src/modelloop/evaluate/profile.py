"""What a version saw when it was made: the shape of each input and of its scores, small enough to travel with it.

Drift is measured against it, with nothing of the training data at hand. NumPy only: the profile is plain JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats import distance
from ..ground.stats.interval import Floats
from ..prepare.records import Columns

if TYPE_CHECKING:
    import numpy.typing as npt

SCORE = "score"
"""The name under which the scores stand beside the inputs."""
FINE = 64
"""Bins kept of a numeric column; deciles are made of them, so that ties and gaps stay visible."""
GROUPS = 10
TOP = 50
"""Categories kept by name; the others count together."""


def profile(columns: Columns, scores: Floats) -> dict[str, Any]:
    """Return the shape of the columns and scores, JSON-ready.

    Per numeric column (booleans are 0 and 1): edges at quantiles and the share of rows between them, below the first
    and above the last; per string column: the share of the most frequent values. Nulls have a share of their own.
    """
    if SCORE in columns:
        raise InvalidInput("An input column is called 'score', as the answers are.", hint="Rename the column.")
    if not len(scores) or any(len(values) != len(scores) for values in columns.values()):
        raise InvalidInput("A profile needs rows, and as many of each column as there are scores.")
    shapes = {name: _shape(values) for name, values in columns.items()}
    return {"rows": len(scores), "columns": shapes | {SCORE: _shape(scores)}}


def psi(profile: Mapping[str, Any], columns: Columns) -> dict[str, float]:
    """Return the population stability index of each column that the profile knows (`score` for the scores).

    Over about ten groups of equal reference share (values outside the reference range are a group of their own on each
    side), or over the kept categories and all others, and over nulls.
    """
    known = profile["columns"]
    return {name: _distance(known[name], values) for name, values in columns.items() if name in known and len(values)}


def _shape(values: npt.NDArray[Any]) -> dict[str, Any]:
    if values.dtype == object:
        counts = Counter(str(value) for value in values if value is not None)
        # Ties in frequency by name: equal columns have equal profiles
        top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP]
        return {
            "kind": "category",
            "nulls": 1 - counts.total() / len(values),
            "shares": {name: count / len(values) for name, count in top},
        }
    numbers = _numbers(values)
    edges = _edges(numbers)
    shares = distance.bin_counts(numbers, edges) / len(values)
    nulls = 1 - len(numbers) / len(values)
    return {"kind": "number", "nulls": nulls, "edges": edges.tolist(), "shares": shares.tolist()}


def _edges(numbers: Floats) -> Floats:
    """Return quantiles, each once, behind a first edge just below the smallest value: whatever is below that is new."""
    if not len(numbers):
        return np.empty(0)
    inner = np.unique(np.quantile(numbers, np.linspace(0, 1, FINE), method="lower"))
    return np.concatenate(([np.nextafter(inner[0], -np.inf)], inner))


def _distance(shape: Mapping[str, Any], values: npt.NDArray[Any]) -> float:
    if shape["kind"] == "category":
        return _category_distance(shape, values)
    if values.dtype == object:
        raise InvalidInput("A column that held numbers at registration holds strings now.")
    edges = np.array(shape["edges"], dtype=np.float64)
    numbers = _numbers(values)
    found = distance.bin_counts(numbers, edges) / len(values)
    expected = np.array(shape["shares"], dtype=np.float64)
    groups = [(0, 1)]
    if len(expected) > 1:  # else all were null at registration
        inside = distance.even_groups(expected[1:-1], GROUPS)
        groups += [(start + 1, end + 1) for start, end in inside] + [(len(expected) - 1, len(expected))]
    nulls = 1 - len(numbers) / len(values)
    return distance.psi(_grouped(expected, groups, shape["nulls"]), _grouped(found, groups, nulls))


def _category_distance(shape: Mapping[str, Any], values: npt.NDArray[Any]) -> float:
    names: Mapping[str, float] = shape["shares"]
    counts = Counter(None if value is None else str(value) for value in values.tolist())
    found = [counts.get(name, 0) / len(values) for name in names]
    nulls = counts.get(None, 0) / len(values)
    others = max(0.0, 1 - shape["nulls"] - sum(names.values()))
    expected = np.array([*names.values(), others, shape["nulls"]])
    return distance.psi(expected, np.array([*found, max(0.0, 1 - nulls - sum(found)), nulls]))


def _grouped(shares: Floats, groups: list[tuple[int, int]], nulls: float) -> Floats:
    return np.array([*(shares[start:end].sum() for start, end in groups), nulls])


def _numbers(values: npt.NDArray[Any]) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]
