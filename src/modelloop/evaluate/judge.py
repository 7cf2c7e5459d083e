"""The judge: all that is known of a candidate from rows it has not seen, and what each gate says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..ground.core.errors import EvidenceMissing
from ..ground.stats.interval import Floats
from .answers import Answers, ParityLike, columns_of, rows_from
from .compare import difference
from .gate import Terms, judge_gate
from .measure import Measure, Rows
from .metrics import for_metric, headlines_of, measure_of, metrics_of, unknown, usual_of
from .own import own_columns, own_scores
from .records import Comparison, Evaluation, Score, SliceScore
from .scoring import score
from .settings import Check, GateSettings, ObjectiveSettings, OwnMetricSettings
from .slices import LEAST_ROWS, by_rows

__all__ = [
    "Answers",
    "ParityLike",
    "columns_needed",
    "evaluate",
    "headlines_of",
    "judge_gate",
    "metrics_of",
    "shown_of",
]
_NONE: Mapping[str, OwnMetricSettings] = MappingProxyType({})


def evaluate(
    objective: ObjectiveSettings,
    gates: Mapping[str, GateSettings],
    answers: Answers,
    metrics: Mapping[str, OwnMetricSettings] = _NONE,
) -> Evaluation:
    """Compute scores, slices and the comparison with the champion, and judge every gate.

    `metrics` are the project's own. Nothing is raised for too little evidence: numbers are None then, and gates answer
    `missing evidence`. Labels or scores that are not finite numbers raise InvalidInput.
    """
    headline = measure_of(str(objective.metric), objective.task)
    asked = _Asked(objective, headline, rows_from(answers, objective.terms, objective.task))
    baseline, champion = answers.baseline, None if answers.overlap else answers.champion_score
    terms = Terms(objective.task, objective.terms, metrics)
    return Evaluation(
        headline=_score(asked.headline, asked.rows),
        scores=tuple(_score(measure_of(name, objective.task), asked.rows) for name in shown_of(objective)),
        baseline=unknown(asked.headline.name, 0) if baseline is None else _baseline(asked, baseline),
        slices=tuple(_slices(asked, gates, answers)),
        comparison=_comparison(asked, champion),
        gates=tuple(judge_gate(name, gate, asked.headline.name, answers, terms) for name, gate in gates.items()),
        own=own_scores(metrics, asked.rows, champion),
    )


def shown_of(objective: ObjectiveSettings) -> tuple[str, ...]:
    """Return the metrics that are shown: the task's usual ones, the headline, and those asked for."""
    return tuple(dict.fromkeys([*usual_of(objective.task), str(objective.metric), *map(str, objective.also)]))


def columns_needed(
    objective: ObjectiveSettings,
    gates: Mapping[str, GateSettings],
    metrics: Mapping[str, OwnMetricSettings] = _NONE,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the holdout columns that make groups (for `Answers.slices`), and those that metrics need (`columns`)."""
    horizon = (objective.terms.horizon,) if objective.terms.horizon else ()
    groups = [*objective.slices, *horizon, *(gate.by for gate in gates.values() if gate.by)]
    formulas = [name for settings in metrics.values() for name in own_columns(settings)]
    return tuple(sorted(set(groups))), tuple(sorted({*columns_of(objective), *formulas}))


@dataclass(frozen=True, slots=True)
class _Asked:
    objective: ObjectiveSettings
    headline: Measure
    rows: Rows


def _score(measure: Measure, rows: Rows) -> Score:
    try:
        return score(measure, for_metric(measure, rows))
    except EvidenceMissing:
        return unknown(measure.name, len(rows))


def _baseline(asked: _Asked, baseline: Floats) -> Score:
    return _score(asked.headline, asked.rows.answered(baseline))


def _slices(asked: _Asked, gates: Mapping[str, GateSettings], answers: Answers) -> Iterator[SliceScore]:
    """Return the headline metric by each declared column; a gate on the column says how few rows are too few."""
    least = {gate.by: gate.min_rows for gate in gates.values() if gate.check is Check.SLICE}
    horizon = asked.objective.terms.horizon
    for column in dict.fromkeys([*asked.objective.slices, *([horizon] if horizon else [])]):
        groups = answers.slices.get(column)
        if groups is not None:
            yield from by_rows(asked.headline, asked.rows, column, groups, min_rows=least.get(column, LEAST_ROWS))


def _comparison(asked: _Asked, champion: Floats | None) -> Comparison | None:
    if champion is None:
        return None
    try:
        return difference(asked.headline, for_metric(asked.headline, asked.rows), champion)
    except EvidenceMissing:
        return None
