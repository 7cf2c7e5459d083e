"""The judge: all that is known of a candidate from rows it has not seen, and what each gate says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..ground.core.errors import EvidenceMissing
from .compare import compare
from .gate import Answers, ParityLike, judge_gate
from .metrics import Floats, compute, unknown
from .records import Comparison, Evaluation, Score, SliceScore
from .settings import Check, GateSettings, ObjectiveSettings, Task
from .slices import LEAST_ROWS, by_group

__all__ = ["Answers", "ParityLike", "evaluate", "judge_gate", "metrics_of"]


def evaluate(objective: ObjectiveSettings, gates: Mapping[str, GateSettings], answers: Answers) -> Evaluation:
    """Compute scores, slices and the comparison with the champion, and judge every gate.

    Nothing is raised for too little evidence: numbers are None then, and gates answer `missing evidence`. Labels or
    scores that are not finite numbers raise InvalidInput.
    """
    headline = str(objective.metric)
    baseline = answers.baseline
    return Evaluation(
        headline=_score(headline, answers.y, answers.score),
        scores=tuple(_score(metric, answers.y, answers.score) for metric in metrics_of(objective.task)),
        baseline=unknown(headline, 0) if baseline is None else _score(headline, answers.y, baseline),
        slices=tuple(_slices(objective, gates, answers)),
        comparison=_comparison(headline, answers),
        gates=tuple(judge_gate(name, gate, headline, answers) for name, gate in gates.items()),
    )


def metrics_of(task: Task) -> tuple[str, ...]:
    """Return the metrics that make sense for the task."""
    return ("auc", "log_loss", "brier") if task is Task.BINARY else ("mae", "rmse", "r2")


def _score(metric: str, y: Floats, score: Floats) -> Score:
    try:
        return compute(metric, y, score)
    except EvidenceMissing:
        return unknown(metric, len(y))


def _slices(objective: ObjectiveSettings, gates: Mapping[str, GateSettings], answers: Answers) -> Iterator[SliceScore]:
    """Return the headline metric by each declared column; a gate on the column says how few rows are too few."""
    least = {gate.by: gate.min_rows for gate in gates.values() if gate.check is Check.SLICE}
    for column in objective.slices:
        groups = answers.slices.get(column)
        if groups is not None:
            rows = least.get(column, LEAST_ROWS)
            yield from by_group(str(objective.metric), answers.y, answers.score, column, groups, min_rows=rows)


def _comparison(metric: str, answers: Answers) -> Comparison | None:
    if answers.champion_score is None or answers.overlap:
        return None
    try:
        return compare(metric, answers.y, answers.score, answers.champion_score)
    except EvidenceMissing:
        return None
