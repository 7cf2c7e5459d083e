"""The project's own metrics: formulas over outcomes, decisions and costs, measured as any other metric. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.interval import Floats
from .compare import difference
from .formula import RESERVED, Formula, read
from .measure import Measure, Rows
from .measures.binary import decided
from .metrics import unknown
from .records import Comparison, Metric, OwnScore
from .scoring import score
from .settings import OwnMetricSettings


def own_measure(name: str, settings: OwnMetricSettings) -> Measure:
    """Return the measure that a formula describes; raises InvalidInput where it cannot be read."""
    formula = read(settings.formula)
    metric = Metric(name, settings.meaning, settings.direction)

    def columns(rows: Rows) -> Floats:
        found = formula.columns(_known(formula, rows), len(rows))
        wrong = int((~np.isfinite(found)).any(axis=1).sum())
        if wrong:
            raise EvidenceMissing(f"The formula of {name!r} gives no number in {wrong} of {len(rows)} rows.")
        # how many rows a sum counts travels with the means
        return np.column_stack([found, np.full(len(rows), float(len(rows)))])

    def of(means: Floats) -> Floats:
        return formula.of(means[:, :-1], means[:, -1])

    return Measure(metric, columns=columns, of=of, least=-math.inf, grouped=False)


def own_columns(settings: OwnMetricSettings) -> tuple[str, ...]:
    """Return the holdout columns that a formula needs."""
    return tuple(name for name in read(settings.formula).names if name not in RESERVED)


def own_scores(metrics: Mapping[str, OwnMetricSettings], rows: Rows, champion: Floats | None) -> tuple[OwnScore, ...]:
    """Return each of the project's own metrics with its interval, and beside the champion's on the same rows."""
    return tuple(_scored(name, settings, rows, champion) for name, settings in metrics.items())


def _scored(name: str, settings: OwnMetricSettings, rows: Rows, champion: Floats | None) -> OwnScore:
    measure = own_measure(name, settings)
    try:
        found, note = score(measure, rows), ""
        comparison: Comparison | None = None if champion is None else difference(measure, rows, champion)
    except (EvidenceMissing, InvalidInput) as error:
        found, note, comparison = unknown(name, len(rows)), str(error), None
    return OwnScore(measure.metric, settings.unit, settings.formula, found, comparison, note)


def _known(formula: Formula, rows: Rows) -> dict[str, Floats]:
    score = rows.score if rows.score.ndim == 1 else rows.score.max(axis=1)
    told = {"label": rows.y, "score": score, "answer": score, "threshold": np.asarray(rows.terms.threshold)}
    found: dict[str, Floats] = {}
    for name in formula.names:
        if name == "decision":
            found[name] = decided(rows)
        elif name in told:
            found[name] = told[name]
        elif name in rows.columns:
            found[name] = rows.columns[name]
        else:
            raise InvalidInput(
                f"The formula takes a column {name!r} of numbers, which the rows do not have.",
                hint=f"They have {', '.join((*RESERVED, *rows.columns))}.",
            )
    return found
