"""The front door for scientists: labels and answers in, one record out, the headline first. Pure, JSON-ready.

from modelloop.evaluate.report import report
found = report(y, score, task="binary", columns={"carrier": carriers}, champion=old_score)
print(found.text())
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.influence import Codes
from ..ground.stats.interval import Floats
from . import multiclass
from .answers import with_blocks
from .calibration import Calibration, calibration
from .compare import Disagreement, difference, disagreement
from .decisions import Costs, Decision, choose_threshold
from .finder import Search, find_slices
from .measure import Measure, Rows, checked, listed_values, numbers, rows_of
from .measures.binary import decided
from .measures.forecasting import coverage, interval_score, width
from .metrics import OF_TASK, measure_of, unknown, usual_of
from .own import own_scores
from .records import Comparison, OwnScore, Score, SliceScore
from .scoring import resampled
from .scoring import score as score_of
from .settings import OwnMetricSettings, Task, TermsSettings
from .slices import LEAST_ROWS, by_rows

T = TypeVar("T")
_SEARCHED: Mapping[str, str] = MappingProxyType({"binary": "log_loss", "regression": "mae", "forecasting": "mae"})


@dataclass(frozen=True, slots=True)
class Told:
    """A score with what it means."""

    score: Score
    meaning: str
    direction: str
    note: str = ""
    """Why there is no number, where there is none."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that labels and answers tell, the headline first."""

    task: str
    headline: Told
    metrics: tuple[Told, ...]
    rows: int
    own: tuple[OwnScore, ...] = ()
    comparison: Comparison | None = None
    disagreement: Disagreement | None = None
    slices: tuple[SliceScore, ...] = ()
    """Worst group first within each column."""
    found: Search | None = None
    calibration: Calibration | None = None
    decision: Decision | None = None
    confusion: tuple[tuple[float, ...], ...] = ()
    """Rows of truth, columns of decisions; classification only."""
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be told, and why."""

    def as_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, texts and finite numbers; what is infinite is None."""
        found: dict[str, Any] = _finite(asdict(self))
        return found

    def text(self) -> str:
        """Return the report in a few lines for people, the headline and the project's own metrics first."""
        lines = [_line(self.headline), f"  {self.headline.meaning}"]
        for own in self.own:
            unit = f" {own.unit}" if own.unit else ""
            lines += [f"{_number(own.score)}{unit}", f"  {own.metric.meaning}"]
        if self.comparison is not None:
            gap = self.comparison
            lines.append(
                f"Beside the champion: {gap.said} ({gap.difference:+.4g}, between {gap.low:+.4g} and {gap.high:+.4g})"
            )
        lines += [_line(one) for one in self.metrics if one.score.metric != self.headline.score.metric]
        shown = [one for one in self.slices if one.score.value is not None]
        lines += [f"Worst {one.column}: {one.group}, {_number(one.score)}" for one in shown[:1]]
        lines += [part.said for part in (self.found, self.calibration, self.decision) if part is not None]
        return "\n".join([*lines, *self.notes])


def report(
    y: object,
    score: object,
    *,
    task: str = "binary",
    headline: str | None = None,
    champion: object = None,
    columns: Mapping[str, object] | None = None,
    slices: Sequence[str] = (),
    **more: Any,
) -> Report:
    """Return all that labels and answers tell.

    `task` is binary, multiclass (`score`: one row of probabilities per label), regression, ranking or forecasting.
    `champion` are another model's answers to the same rows. `columns` may hold what `slices` and terms name; all others
    of them are searched for slices with `find=True`. More, as in `Options`: positive (the label that counts as 1),
    classes, terms, weights, costs, metrics (the project's own), intervals (low and high forecasts) with level,
    confidence, seed, find, bootstrap (`percentile` or `bca`).

    Raises InvalidInput for what is no input (numbers that are not finite, labels of no class, sizes that differ); what
    merely cannot be told has no number and a note.
    """
    try:
        kind, options = Task(task), Options(**more)
    except ValueError as error:
        raise InvalidInput(f"There is no task {task!r}.", hint=f"There are {', '.join(Task)}.") from error
    except TypeError as error:
        raise InvalidInput(f"The report takes no such thing: {error}.") from error
    if options.bootstrap not in {None, "percentile", "bca"}:
        raise InvalidInput(f"There is no bootstrap {options.bootstrap!r}.", hint="Take percentile or bca.")
    given = dict(columns or {})
    if missing := [name for name in slices if name not in given]:
        raise InvalidInput(f"There is no column {missing[0]!r} to slice by.", hint=f"There are {', '.join(given)}.")
    if kind is Task.MULTICLASS:
        return _multiclass(y, score, headline or "macro_f1", options)
    asked = _Asked(kind, headline or usual_of(kind)[0], options, given, tuple(slices))
    return _told(asked, _labels(y, options, kind), score, champion)


@dataclass(frozen=True, slots=True)
class Options:
    """What a report may be told beside labels and answers."""

    positive: object = None
    classes: Sequence[object] = ()
    terms: TermsSettings | None = None
    weights: object = None
    costs: Costs | None = None
    metrics: Mapping[str, OwnMetricSettings] | None = None
    intervals: tuple[object, object] | None = None
    level: float = 0.9
    confidence: float = 0.95
    seed: int = 0
    find: bool = False
    bootstrap: str | None = None
    top: int = 2


@dataclass(frozen=True, slots=True)
class _Asked:
    task: Task
    headline: str
    options: Options
    columns: Mapping[str, object]
    slices: tuple[str, ...]


def _told(asked: _Asked, y: Floats, score: object, champion: object) -> Report:
    options, notes, task = asked.options, _Notes([]), asked.task
    if asked.headline not in OF_TASK[task]:
        hint = f"There are {', '.join(OF_TASK[task])}."
        raise InvalidInput(f"There is no metric {asked.headline!r} for the task {task}.", hint=hint)
    rows = rows_of(y, score, terms=options.terms, weights=options.weights, columns=asked.columns)
    rows = with_blocks(rows, task)
    other = None if champion is None else numbers(champion, "champion's scores")
    measure, binary, plain = measure_of(asked.headline), task is Task.BINARY, rows.weights is None
    notes.tried(lambda: checked(measure, rows), softly=False)
    told = [_score(one, rows, options) for one in (*OF_TASK[task].values(), *_intervals(rows, options))]
    found = Report(
        task=str(task),
        headline=next(one for one in told if one.score.metric == asked.headline),
        metrics=tuple(told),
        own=own_scores(options.metrics or {}, rows, other),
        slices=_slices(asked, measure, rows),
        confusion=_confusion(rows) if binary else (),
        classes=("0", "1") if binary else (),
        rows=len(rows),
    )
    if other is not None:
        gap = notes.tried(lambda: difference(measure, rows, other, options.confidence, seed=options.seed), softly=False)
        apart = notes.tried(lambda: disagreement(rows, other, options.confidence)) if binary else None
        found = replace(found, comparison=gap, disagreement=apart)
    if options.find:
        found = replace(found, found=notes.tried(lambda: _search(asked, rows)))
    if binary and plain:
        curve = notes.tried(lambda: calibration(rows.y, rows.score, confidence=options.confidence, seed=options.seed))
        found = replace(found, calibration=curve, decision=_decision(rows, options, notes))
    return replace(found, notes=tuple(dict.fromkeys(notes.texts)))


@dataclass(frozen=True, slots=True)
class _Notes:
    """What could not be told."""

    texts: list[str]

    def tried(self, what: Callable[[], T], *, softly: bool = True) -> T | None:
        """Return what comes out, or None with a note for too little evidence (softly: also for no input for it)."""
        try:
            return what()
        except EvidenceMissing as error:
            self.texts.append(str(error))
        except InvalidInput as error:
            if not softly:
                raise
            self.texts.append(str(error))
        return None


def _labels(y: object, options: Options, task: Task) -> Floats:
    if options.positive is None or task is not Task.BINARY:
        return numbers(y, "labels")
    listed = listed_values(y)
    if options.positive not in listed:
        raise InvalidInput(f"No label is {options.positive!r}.", hint="Say which label counts as 1.")
    if len({str(one) for one in listed}) > 2:
        raise InvalidInput("There are more than two labels.", hint="Use task multiclass.")
    return np.array([one == options.positive for one in listed], dtype=np.float64)


def _score(measure: Measure, rows: Rows, options: Options) -> Told:
    metric = measure.metric
    note = ""
    try:
        found = score_of(measure, rows, options.confidence, seed=options.seed)
        if options.bootstrap is not None and measure.columns is not None:
            found = resampled(measure, rows, options.confidence, seed=options.seed, method=options.bootstrap)
    except (EvidenceMissing, InvalidInput) as error:
        found, note = unknown(metric.name, len(rows), options.confidence), str(error)
    return Told(found, metric.meaning, str(metric.direction), note)


def _intervals(rows: Rows, options: Options) -> tuple[Measure, ...]:
    if options.intervals is None:
        return ()
    low, high = (numbers(end, "intervals") for end in options.intervals)
    if low.shape != rows.y.shape or high.shape != rows.y.shape:
        raise InvalidInput(f"There are intervals {low.shape} and {high.shape} for {len(rows)} rows.")
    if not (np.isfinite(low) & np.isfinite(high) & (low <= high)).all():
        raise InvalidInput("Some intervals are no numbers, or end before they begin.")
    return *coverage(low, high, options.level), width(low, high), interval_score(low, high, options.level)


def _slices(asked: _Asked, measure: Measure, rows: Rows) -> tuple[SliceScore, ...]:
    terms = asked.options.terms
    names = [*asked.slices, *([terms.horizon] if terms and terms.horizon in asked.columns else [])]
    found: list[SliceScore] = []
    for name in dict.fromkeys(str(one) for one in names):
        if len(rows):
            found += by_rows(measure, rows, name, asked.columns[name], confidence=asked.options.confidence)
    return tuple(found)


def _search(asked: _Asked, rows: Rows) -> Search:
    """Search all columns that no term names; by the headline metric where it can be, else by one near to it."""
    measure = measure_of(asked.headline)
    if measure.columns is None or not measure.grouped:
        if str(asked.task) not in _SEARCHED:
            raise InvalidInput("Rankings are not searched for slices: name them.")
        measure = measure_of(_SEARCHED[str(asked.task)])
    terms = asked.options.terms or TermsSettings()
    taken = {terms.query, terms.series, terms.horizon, terms.scale, terms.together}
    columns = {name: values for name, values in asked.columns.items() if name not in taken}
    least = min(LEAST_ROWS, max(20, len(rows) // 10))
    return find_slices(measure, rows, columns, min_rows=least, confidence=asked.options.confidence)


def _decision(rows: Rows, options: Options, notes: _Notes) -> Decision | None:
    costs = options.costs
    if costs is None:
        return None
    return notes.tried(
        lambda: choose_threshold(rows.y, rows.score, costs, seed=options.seed, confidence=options.confidence)
    )


def _confusion(rows: Rows) -> tuple[tuple[float, ...], ...]:
    if not len(rows):
        return ()
    counts = multiclass.confusion(rows.y.astype(np.int64), decided(rows).astype(np.int64), 2, rows.weights)
    return tuple(tuple(row) for row in counts.tolist())


def _multiclass(y: object, probabilities: object, headline: str, options: Options) -> Report:
    chances = numbers(probabilities, "probabilities")
    names, codes = _classes(y, options, chances)
    weights = rows_of(codes, codes, weights=options.weights).weights
    found = multiclass.multiclass_scores(codes, chances, options.confidence, top=options.top, weights=weights)
    known = multiclass.METRICS
    told = [Told(one, known[one.metric].meaning, str(known[one.metric].direction)) for one in found]
    if headline not in known:
        raise InvalidInput(f"There is no metric {headline!r} for many classes.", hint=f"There are {', '.join(known)}.")
    counts = multiclass.confusion(codes, chances.argmax(axis=1), chances.shape[1], weights)
    return Report(
        task=str(Task.MULTICLASS),
        headline=next(one for one in told if one.score.metric == headline),
        metrics=tuple(told),
        confusion=tuple(tuple(row) for row in counts.tolist()),
        classes=names,
        rows=len(codes),
        notes=() if all(one.value is not None for one in found) else ("A class has no rows: auc_ovr cannot be told.",),
    )


def _classes(y: object, options: Options, chances: Floats) -> tuple[tuple[str, ...], Codes]:
    """Return the classes' names in the order of the probabilities' columns, and each row's class."""
    listed = listed_values(y)
    if options.classes:
        places = {str(name): place for place, name in enumerate(options.classes)}
        strange = [one for one in listed if str(one) not in places]
        if strange:
            raise InvalidInput(f"The label {strange[0]!r} is none of the classes.", hint=f"They are {list(places)}.")
        return tuple(places), np.array([places[str(one)] for one in listed], dtype=np.int64)
    if any(isinstance(one, str) for one in listed):
        raise InvalidInput(
            "Labels are text: nothing says which column of the probabilities is which class.",
            hint="Give classes=[...] in the order of the columns.",
        )
    codes = numbers(y, "labels")
    if not np.isfinite(codes).all() or (codes != np.floor(codes)).any():
        raise InvalidInput("Labels are no class numbers 0, 1, 2, ...", hint="Give classes=[...].")
    count = chances.shape[1] if chances.ndim == 2 else 0
    return tuple(str(place) for place in range(count)), codes.astype(np.int64)


def _number(score: Score) -> str:
    if score.value is None:
        return f"{score.metric} unknown ({score.rows} rows)"
    if score.low is None or score.high is None:
        return f"{score.metric} {score.value:.4g} (no interval, {score.rows} rows)"
    ends = f"between {score.low:.4g} and {score.high:.4g}"
    return f"{score.metric} {score.value:.4g}, {ends} ({score.confidence:.0%}, {score.method}, {score.rows} rows)"


def _line(told: Told) -> str:
    return _number(told.score) + (f": {told.note}" if told.note else "")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, str) else value
