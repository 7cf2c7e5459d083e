"""What the holdout rows say, and how metrics take them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..ground.core.later import numpy as np
from ..ground.stats.interval import Floats
from .measure import Rows, rows_of
from .measures.forecasting import blocks
from .settings import ObjectiveSettings, Task, TermsSettings


class ParityLike(Protocol):
    """What a parity check found (`register.records.Parity` is one)."""

    @property
    def rows(self) -> int:
        """Return how many rows were replayed."""
        ...

    @property
    def largest(self) -> float:
        """Return the largest difference of two answers that are numbers."""
        ...

    @property
    def beyond(self) -> int:
        """Return how many rows differ by more than `tolerance`, or have an answer that is no number."""
        ...

    @property
    def tolerance(self) -> float:
        """Return the tolerance that was compared with."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """What the holdout rows say: the truth, and what each side answered. One entry per row, in the same order."""

    y: Floats
    score: Floats
    """Of the candidate: one number a row, or a row of probabilities (multiclass; labels are places of classes then)."""
    champion_score: Floats | None = None
    """Of the version that answers now; None: there is none."""
    overlap: bool = False
    """Did the champion learn from some of these rows? Then it cannot be compared on them."""
    baseline_value: float | Sequence[float] | None = None
    """Mean of the training labels, or the share of each class: what a model that looks at nothing answers. None: not
    known."""
    slices: Mapping[str, Sequence[object]] = field(default_factory=dict)
    """Values of the columns that make groups."""
    parity: ParityLike | None = None
    """None: served and training answers were not compared."""
    columns: Mapping[str, Sequence[object]] = field(default_factory=dict)
    """Values of the other columns that metrics need: query, series, scale, what formulas name (`judge.columns_of`)."""

    @property
    def all_columns(self) -> dict[str, Sequence[object]]:
        """Return all columns by name, those that make groups and the others."""
        return {**self.slices, **self.columns}

    @property
    def baseline(self) -> Floats | None:
        """Return the answers of a model that looks at nothing."""
        if self.baseline_value is None:
            return None
        return np.full(self.score.shape, self.baseline_value, dtype=np.float64)


def rows_from(answers: Answers, terms: TermsSettings, task: Task) -> Rows:
    """Return the rows as metrics take them; forecasts are in clusters of neighbours, unless the terms name others."""
    return with_blocks(rows_of(answers.y, answers.score, terms=terms, columns=answers.all_columns), task)


def with_blocks(rows: Rows, task: Task) -> Rows:
    """Return forecasts in clusters of neighbouring rows, where nothing else says what belongs together."""
    forecasts = task is Task.FORECASTING and rows.clusters is None and len(rows)
    return replace(rows, clusters=blocks(rows)) if forecasts else rows


def columns_of(objective: ObjectiveSettings) -> tuple[str, ...]:
    """Return the holdout columns that the objective's terms name."""
    terms = objective.terms
    named = (terms.query, terms.series, terms.horizon, terms.scale, terms.together)
    return tuple(dict.fromkeys(name for name in named if name))
