"""Many fits at once: models x folds x seeds, as many at a time as there are processes."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from ...ground.core.errors import InvalidInput
from .crew import check_not_loading, crew_for
from .events import Crew, Event, Failed, Finished, Heard, Reported, Value
from .folds import Fitting, Fold, fit_one, given_folds, k_folds, rows_of, shared_rows
from .progress import Bar, Watch, headline
from .stopping import Patience, outdone
from .trainings import Training, Trainings, scores_of, standings_of

Fit = Callable[[Fitting], Any]


def train_many(  # noqa: PLR0913 - what may be said of it, each by its name
    fit: Fit | Mapping[str, Fit],
    *,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    folds: int | Sequence[Sequence[Any]] | None = 5,
    seeds: int | Sequence[int] = 1,
    metric: str,
    direction: str,
    data: Mapping[str, Any] | None = None,
    processes: int = 1,
    executor: str = "local",
    patience: int | None = None,
    race: bool = False,
    stop: Heard | None = None,
    time_limit: float | None = None,
    confidence: float = 0.95,
    progress: bool | None = None,
) -> Trainings:
    """Fit each model on each fold with each seed, and return how good they are with intervals.

    `fit` gets a `Fitting`: the model's parameters as a mapping, `.model`, `.train` and `.test` (row numbers), `.seed`,
    `.data`, `.report(step, value)`; it returns the metric, or several by name. Several functions by name are several
    models. `models`: name -> parameters.
    `folds`: a number (rows are dealt anew for each seed), pairs of row numbers (time-ordered ones, say), or None: the
    fit has no rows given. `seeds`: a number, or the seeds.
    A fit is stopped after `patience` reports without a better one, or where `stop` says so. `race`: a model that is
    shown to be worse than the first is not tried on the folds that are left.
    `progress`: None shows a bar where standard error is a terminal.

        trainings = train_many(fit, models={"weak": {"alpha": 10}, "strong": {"alpha": .1}}, data={"x": x, "y": y},
                               metric="auc", direction="higher", processes=2)
        print(trainings)
    """
    check_not_loading()
    if direction not in {"higher", "lower"}:
        raise InvalidInput(f"The direction is {direction!r}.", hint="'higher' or 'lower': which way is good.")
    plan = _planned(fit, models, folds, seeds, data or {})
    rules = [Patience(patience, direction=direction)] if patience is not None else []
    heard = _either([*rules, *([stop] if stop else [])])
    race_round = _Race(plan, metric, direction, confidence, race=race)
    crew = crew_for(
        functools.partial(fit_one, *plan.fits), processes=processes, executor=executor, data=plan.data,
        heard=race_round.listening(heard), time_limit=time_limit,
    )  # fmt: skip
    watch = Watch(len(plan.tasks), metric=metric, direction=direction, at_once=crew.size)
    with closing(crew), Bar(watch, title="fits", shown=progress) as bar:
        for event in _carried_out(crew, race_round):
            race_round.take(event)
            bar.take(event, race_round.told)
    return race_round.result()


@dataclass(frozen=True, slots=True)
class _Task:
    model: str
    which: int
    fold: int
    seed: int
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done."""

    fits: tuple[Fit, ...]
    tasks: tuple[_Task, ...]
    data: Mapping[str, Any]
    ratio: float
    pooled: bool


@dataclass(slots=True)
class _Race:
    """What is known while the fits go on."""

    plan: _Plan
    metric: str
    direction: str
    confidence: float
    race: bool
    waiting: deque[int] = field(default_factory=deque)
    made: list[Training] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)
    told: str = ""
    _last: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting.extend(range(len(self.plan.tasks)))

    def listening(self, heard: Heard | None) -> Heard | None:
        """Return a listener that remembers what was reported last."""
        if heard is None:
            return None

        def listen(report: Reported) -> bool:
            self._last[report.number] = report.value
            return heard(report)

        return listen

    def take(self, event: Event) -> None:
        """Take the end of a fit in."""
        if isinstance(event, Reported):
            return
        task = self.plan.tasks[event.number]
        self.made.append(_training(task, event, self.metric, self._last.get(event.number)))
        if self.race:
            self._give_up()
        means = self._means()
        if means:
            best = (max if self.direction == "higher" else min)(means, key=lambda model: means[model])
            self.told = f"best {best}: {self.metric} {means[best]:.5g}"

    def result(self) -> Trainings:
        """Return all of it."""
        made = tuple(sorted(self.made, key=lambda fit: (fit.seed, fit.fold)))
        standings = standings_of(
            made, direction=self.direction, ratio=self.plan.ratio, confidence=self.confidence, pooled=self.plan.pooled,
            given_up=frozenset(self.given_up),
        )  # fmt: skip
        return Trainings(
            self.metric, self.direction, self.confidence, self.plan.ratio, self.plan.pooled, made, standings
        )

    def _means(self) -> dict[str, float]:
        models = dict.fromkeys(fit.model for fit in self.made if fit.model not in self.given_up)
        scores = {model: list(scores_of(self.made, model, pooled=False).values()) for model in models}
        return {model: math.fsum(found) / len(found) for model, found in scores.items() if found}

    def _give_up(self) -> None:
        lost = outdone(
            self.made, self.plan.ratio, direction=self.direction, looks=len(self.plan.tasks), pooled=self.plan.pooled
        )
        if lost - self.given_up:
            self.given_up |= lost
            tasks = self.plan.tasks
            self.waiting = deque(number for number in self.waiting if tasks[number].model not in self.given_up)


def _carried_out(crew: Crew, race: _Race) -> Iterator[Event]:
    """Yield what happens until nothing is left to do."""
    busy = 0
    while race.waiting or busy:
        while race.waiting and busy < crew.size:
            number = race.waiting.popleft()
            task = race.plan.tasks[number]
            params = {"model": task.model, "which": task.which, "fold": task.fold, "params": dict(task.params)}
            crew.start(number, params, task.seed)
            busy += 1
        event = crew.next()
        if event is not None:
            busy -= not isinstance(event, Reported)
            yield event


def _planned(
    fit: Fit | Mapping[str, Fit],
    models: Mapping[str, Mapping[str, Any]] | None,
    folds: int | Sequence[Sequence[Any]] | None,
    seeds: int | Sequence[int],
    data: Mapping[str, Any],
) -> _Plan:
    fits = tuple(fit.values()) if isinstance(fit, Mapping) else (fit,)
    if isinstance(fit, Mapping) and models is not None:
        raise InvalidInput("Several fits and several models.", hint="Give one fit for all models, or one a model.")
    named = {name: {} for name in fit} if isinstance(fit, Mapping) else dict(models or {"model": {}})
    chosen = list(range(seeds)) if isinstance(seeds, int) else [int(seed) for seed in seeds]
    if not named or not chosen or len(set(chosen)) < len(chosen):
        raise InvalidInput(f"{len(named)} models with the seeds {chosen}.", hint="One of each; a seed counts once.")
    dealt = _dealt(folds, chosen, data)
    count = len(next(iter(dealt.values()))) or 1
    tasks = tuple(
        _Task(name, place if isinstance(fit, Mapping) else 0, fold, seed, params)
        for seed in chosen
        for fold in range(count)
        for place, (name, params) in enumerate(named.items())
    )
    shares = [len(test) / len(train) for made in dealt.values() for train, test in made]
    ratio = math.fsum(shares) / len(shares) if shares else 0.0
    pooled = folds is not None and not isinstance(folds, int)
    return _Plan(fits, tasks, {**data, **shared_rows(dealt)}, ratio, pooled)


def _dealt(
    folds: int | Sequence[Sequence[Any]] | None, seeds: Sequence[int], data: Mapping[str, Any]
) -> dict[int, list[Fold]]:
    if folds is None:
        return {seed: [] for seed in seeds}
    if isinstance(folds, int):
        rows = rows_of(data)
        return {seed: k_folds(rows, folds, seed) for seed in seeds}
    made = given_folds(folds)
    return dict.fromkeys(seeds, made)


def _training(task: _Task, event: Event, metric: str, last: float | None) -> Training:
    assert not isinstance(event, Reported)
    value: Value | None = None if isinstance(event, Failed) else event.value
    score = last if value is None else headline(value, metric)
    error = event.error if isinstance(event, Failed) else ""
    if isinstance(event, Failed):
        score = None
    elif score is None or not math.isfinite(score):
        score, error = None, f"The fit gave no finite {metric}: {value!r}."
    stopped = None if isinstance(event, Failed | Finished) else event.step
    return Training(task.model, task.fold, task.seed, score, value, event.seconds, event.cpu_seconds, error, stopped)


def _either(rules: Sequence[Heard]) -> Heard | None:
    """Return a rule that stops where one of several does; each hears every report."""
    if not rules:
        return None

    def hear(report: Reported) -> bool:
        answers = [rule(report) for rule in rules]
        return any(answers)

    return hear
