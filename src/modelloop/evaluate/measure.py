"""What a metric is made of: rows in, a value and each row's influence on it out. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.influence import Codes, of_means
from ..ground.stats.interval import Floats, Interval
from .records import Metric
from .settings import TermsSettings

if TYPE_CHECKING:
    import numpy.typing as npt

Numbers: TypeAlias = "npt.ArrayLike"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to measure, in one order: truth, answer, and what else metrics need of them. Made by `rows_of`."""

    y: Floats
    score: Floats
    """One number a row, or a row of probabilities (multiclass)."""
    weights: Floats | None = None
    clusters: Codes | None = None
    """Rows with one code are one piece of evidence."""
    query: Codes | None = None
    series: Codes | None = None
    scale: Floats | None = None
    columns: Mapping[str, Floats] = field(default_factory=dict)
    """Further columns of numbers, for the project's own formulas."""
    terms: TermsSettings = field(default_factory=TermsSettings)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, places: npt.NDArray[Any]) -> Rows:
        """Return some of the rows; codes are counted anew."""
        picked: dict[str, Any] = {}
        for name in ("y", "score", "weights", "scale"):
            values = getattr(self, name)
            picked[name] = None if values is None else values[places]
        for name in ("clusters", "query", "series"):
            codes = getattr(self, name)
            picked[name] = None if codes is None else np.unique(codes[places], return_inverse=True)[1].reshape(-1)
        return replace(self, **picked, columns={name: values[places] for name, values in self.columns.items()})

    def answered(self, score: Floats) -> Rows:
        """Return the same rows with another model's answers."""
        return replace(self, score=np.asarray(score, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric and how it is computed: as a function of column means, or directly with influences."""

    metric: Metric
    columns: Callable[[Rows], Floats] | None = None
    """The columns whose means it is made of, one row per row (ranking: per query)."""
    of: Callable[[Floats], Floats] | None = None
    direct: Callable[[Rows], tuple[float, Floats]] | None = None
    """Value and influences, where it is no function of means."""
    alone: Callable[[Rows, float, int], tuple[float, Interval]] | None = None
    """Value and interval by a method of its own (rows, confidence, seed), for independent rows without weights."""
    alone_by: str = ""
    """What that method is called."""
    value: Callable[[Rows], float] | None = None
    """The value only, where `alone` works long for the interval: a bootstrap asks a thousand times."""
    check: Callable[[Rows], None] | None = None
    """Raises EvidenceMissing where these rows cannot tell, InvalidInput where they are no input for it."""
    least: float = 0.0
    most: float = math.inf
    share: bool = False
    """A share of trials: Wilson's interval. The last of two columns marks the trials."""
    cells: bool = False
    """Made of the four cells of label and decision only."""
    grouped: bool = True
    """Does a row's part of it not depend on which other rows there are?"""

    @property
    def name(self) -> str:
        """Return the metric's name."""
        return self.metric.name


def estimate(measure: Measure, rows: Rows) -> tuple[float, Floats | None]:
    """Return the value, and influences where the metric has them: one per row, or per query for rankings."""
    if measure.columns is not None and measure.of is not None:
        value, influence = of_means(measure.columns(rows), measure.of, rows.weights)
        if not math.isfinite(value):
            raise EvidenceMissing(f"{len(rows)} rows cannot tell {measure.name}.")
        return value, influence
    if measure.direct is not None:
        return measure.direct(rows)
    if measure.value is not None:
        return measure.value(rows), None
    assert measure.alone is not None
    return measure.alone(rows, 0.95, 0)[0], None


def checked(measure: Measure, rows: Rows) -> None:
    """Raise InvalidInput for rows that are not usable, EvidenceMissing for those that cannot tell this metric."""
    if rows.y.ndim != 1 or rows.y.shape != rows.score.shape[:1] or rows.score.ndim > 2:
        raise InvalidInput(
            f"There are labels {rows.y.shape} and scores {rows.score.shape}.", hint="One of each per row."
        )
    if not (np.isfinite(rows.y).all() and np.isfinite(rows.score).all()):
        told = np.isfinite(rows.score) if rows.score.ndim == 1 else np.isfinite(rows.score).all(axis=1)
        wrong = int((~np.isfinite(rows.y) | ~told).sum())
        raise InvalidInput(
            f"{wrong} of {len(rows)} rows have a label or a score that is not a finite number.",
            hint="Drop rows without truth; look at what the model answers for the others.",
        )
    if not len(rows):
        raise EvidenceMissing(f"There are no rows to compute {measure.name} on.")
    if measure.check is not None:
        measure.check(rows)


def rows_of(
    y: object,
    score: object,
    *,
    terms: TermsSettings | None = None,
    weights: object = None,
    columns: Mapping[str, object] | None = None,
) -> Rows:
    """Return rows to measure; the terms name the columns that hold query, series, scale and what belongs together.

    `columns` holds those and whatever formulas use; each as long as the labels. Raises InvalidInput for what is no
    number, for sizes that differ, and for weights that are negative or all zero.
    """
    terms = terms or TermsSettings()
    given = dict(columns or {})
    truth, answers = numbers(y, "labels"), numbers(score, "scores")
    if truth.ndim != 1 or truth.shape != answers.shape[:1] or answers.ndim > 2:
        raise InvalidInput(f"There are labels {truth.shape} and scores {answers.shape}.", hint="One of each per row.")
    for name, values in given.items():
        same_length(len(truth), values, name)
    codes = {name: _codes(given, getattr(terms, name)) for name in ("query", "series", "together")}
    scale = None if terms.scale is None or terms.scale not in given else numbers(given[terms.scale], terms.scale)
    return Rows(
        truth,
        answers,
        weights=None if weights is None else _weights(weights, len(truth)),
        clusters=codes["together"],
        query=codes["query"],
        series=codes["series"],
        scale=scale,
        columns={name: found for name, values in given.items() if (found := _numeric(values)) is not None},
        terms=terms,
    )


def numbers(values: object, what: str) -> Floats:
    """Return the values as float64, or raise InvalidInput for text and other things that are no numbers."""
    try:
        found: Floats = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"The {what} are not all numbers: {str(error)[:120]}.",
            hint="For two classes with names say which one is positive; for more use task multiclass.",
        ) from error
    return found


def same_length(rows: int, values: object, name: str) -> None:
    """Raise InvalidInput for a column that has not as many rows as there are labels."""
    found = len(values) if hasattr(values, "__len__") else -1
    if found != rows:
        raise InvalidInput(f"The column {name!r} has {found} rows, there are {rows} labels.", hint="One value per row.")


def _codes(columns: Mapping[str, object], name: str | None) -> Codes | None:
    if name is None or name not in columns:
        return None
    return encoded(columns[name])[1]


def encoded(values: object) -> tuple[tuple[str, ...], Codes]:
    """Return the distinct values as text, in order, and each row's place among them; None and NaN are `(missing)`."""
    array = np.asarray(values)
    if array.dtype.kind in "iub" and array.ndim == 1 and len(array):
        return _encoded_integers(array.astype(np.int64))
    places: dict[str, int] = {}
    codes = np.fromiter(
        (places.setdefault(_name(value), len(places)) for value in listed_values(values)), dtype=np.int64
    )
    order = sorted(places)
    rank = np.empty(len(order), dtype=np.int64)
    for place, name in enumerate(order):
        rank[places[name]] = place
    return tuple(order), rank[codes] if len(codes) else codes


MISSING_GROUP = "(missing)"


def spanned(array: Codes) -> tuple[tuple[str, ...], Codes]:
    """Return all integers from the least to the greatest as text, and the codes; some may have no row."""
    low, high = int(array.min()), int(array.max())
    if high - low >= max(1024, len(array)):
        return _encoded_integers(array)
    return tuple(str(value) for value in range(low, high + 1)), array - low if low else array


def _encoded_integers(array: Codes) -> tuple[tuple[str, ...], Codes]:
    low, high = int(array.min()), int(array.max())
    if high - low >= max(1024, len(array)):
        found, codes = np.unique(array, return_inverse=True)
        return tuple(str(value) for value in found.tolist()), codes.reshape(-1)
    codes = array - low if low else array
    present = np.bincount(codes, minlength=high - low + 1) > 0
    if present.all():
        return tuple(str(value) for value in range(low, high + 1)), codes
    rank = np.cumsum(present) - 1
    return tuple(str(value + low) for value in np.flatnonzero(present).tolist()), rank[codes]


def listed_values(values: object) -> list[object]:
    """Return any column as a list of Python's own values."""
    listed: Any = values.tolist() if hasattr(values, "tolist") else values
    return list(listed)


def _name(group: object) -> str:
    missing = group is None or (isinstance(group, float) and group != group)  # noqa: PLR0124 - NaN is not itself
    return MISSING_GROUP if missing else str(group)


def _numeric(values: object) -> Floats | None:
    array = np.asarray(values)
    if array.dtype.kind in "fiub":
        return array.astype(np.float64)
    if array.dtype.kind != "O" or any(isinstance(value, str) for value in array.tolist()):
        return None
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        return None


def _weights(weights: object, rows: int) -> Floats:
    found = numbers(weights, "weights")
    if found.shape != (rows,):
        raise InvalidInput(f"There are {rows} rows and weights {found.shape}.", hint="One weight per row.")
    bad = int((~np.isfinite(found) | (found < 0)).sum())
    if bad:
        raise InvalidInput(f"{bad} of {rows} weights are negative or no finite number.", hint="Weights count rows.")
    if rows and not found.any():
        raise InvalidInput("All weights are 0.", hint="Leave them out, or give some row a weight.")
    return found
