"""Optuna: what to try next, when to stop a trial early, and which parameters mattered.

What is asked depends on nothing but the seed, the trial's number and the trials known by then: each question gets a
sampler of its own, seeded for it. So a search that was killed goes on exactly as it would have, without keeping (and
later unpickling) a sampler's state.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import needed
from ..domains import Choice, Domain, Integer, Space, When
from ..records import Trial

SAMPLERS = ("tpe", "random", "gp", "nsga2")
PRUNERS = ("hyperband", "asha", "median")
_RUNG, _GENERATION = "completed_rung_", ":generation"
"""What pruners and genetic samplers write beside a trial and read again: plain numbers."""


class Advisor:
    """One search's in-memory study of Optuna, told of all trials whoever carried them out."""

    def __init__(self, space: Space, *, method: str, directions: Sequence[str], seed: int, pruner: str = "") -> None:
        self._optuna = _optuna()
        self._space, self._method, self._seed = space, method, seed
        with quiet():
            self._study = self._optuna.create_study(
                directions=["maximize" if direction == "higher" else "minimize" for direction in directions],
                sampler=self._sampler(0),
                pruner=self._pruner(pruner),
                storage=self._optuna.storages.InMemoryStorage(),
                study_name="study",  # Hyperband's brackets hang on it
            )
        self._several = len(directions) > 1
        self._prunes = bool(pruner)
        self._wanted = {name: _distribution(self._optuna, _domain(entry)) for name, entry in space.items()}
        self._open: dict[int, Any] = {}

    def ask(
        self, number: int, seed: int, fixed: Mapping[str, Any] | None = None, attrs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the parameters of a trial that begins; `fixed`: they are known already, with what is kept beside."""
        with quiet():
            if fixed is not None:
                told = {"fixed_params": dict(fixed), **_kept(attrs or {})}  # what enqueue_trial() writes
                waiting = self._optuna.trial.TrialState.WAITING
                self._study.add_trial(self._optuna.trial.create_trial(state=waiting, system_attrs=told))
            self._study.sampler = self._sampler(seed)
            asked = self._study.ask()
            params = {name: _suggest(asked, name, entry) for name, entry in self._there(asked)}
        self._open[number] = asked
        return params

    def _there(self, asked: Any) -> Iterator[tuple[str, Domain]]:
        for name, entry in self._space.items():
            if not isinstance(entry, When):
                yield name, entry
            elif all(on in asked.params and asked.params[on] in values for on, values in entry.conditions):
                yield name, entry.domain

    def attrs(self, number: int) -> dict[str, Any]:
        """Return what is to be kept beside a trial that is open."""
        return _kept(self._frozen(self._open[number]).system_attrs)

    def drop(self, number: int) -> None:
        """Forget a trial that somebody else took."""
        self._study.tell(self._open.pop(number), state=self._optuna.trial.TrialState.FAIL)

    def should_stop(self, number: int, step: int, value: float) -> bool:
        """Say, after a report, whether the trial is not worth going on with."""
        if not self._prunes or step < 0:
            return False
        with quiet():
            asked = self._open[number]
            asked.report(value, step)
            return bool(asked.should_prune())

    def tell(self, trial: Trial, values: Sequence[float], attrs: Mapping[str, Any]) -> None:
        """Learn what became of a trial: of one that was asked here, or carried out elsewhere."""
        states = self._optuna.trial.TrialState
        with quiet():
            asked = self._open.pop(trial.number, None)
            if asked is None:
                self._add(trial.params, values, state=trial.state, curve=dict(trial.curve), attrs=attrs)
            elif trial.state == "done":
                self._study.tell(asked, list(values))
            else:
                self._study.tell(asked, state=states.PRUNED if trial.state == "pruned" else states.FAIL)

    def learn(self, params: Mapping[str, Any], values: Sequence[float]) -> None:
        """Learn from a trial of an earlier study."""
        with quiet():
            self._add(params, values)

    def _add(
        self,
        params: Mapping[str, Any],
        values: Sequence[float],
        *,
        state: str = "done",
        curve: Mapping[int, float] | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        states = self._optuna.trial.TrialState
        last = list(curve.values())[-1:] if curve and not self._several else []
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state={"done": states.COMPLETE, "pruned": states.PRUNED}.get(state, states.FAIL),
                values=list(values) if state == "done" else last if state == "pruned" and last else None,
                params=dict(params),
                distributions={name: self._wanted[name] for name in params},
                intermediate_values=dict(curve or {}),
                system_attrs=dict(attrs or {}),
            )
        )

    def _frozen(self, asked: Any) -> Any:
        return self._study.get_trials(deepcopy=False)[asked.number]

    def _sampler(self, seed: int) -> Any:
        samplers = self._optuna.samplers
        if self._method == "tpe":
            return samplers.TPESampler(seed=seed)
        if self._method == "gp":
            needed("torch", "torch")
            return samplers.GPSampler(seed=seed, deterministic_objective=False)
        if self._method == "nsga2":
            return _steady(samplers.NSGAIISampler)(population_size=self._population(), seed=seed)
        return samplers.RandomSampler(seed=seed)

    def _population(self) -> int:
        """Return how many make a generation: fewer than Optuna's 50 where there is less to mix."""
        return max(16, min(50, 8 * len(self._space)))

    def _pruner(self, name: str) -> Any:
        pruners = self._optuna.pruners
        if name == "median":
            return pruners.MedianPruner(n_startup_trials=5)
        if name == "asha":
            return pruners.SuccessiveHalvingPruner()
        return pruners.HyperbandPruner() if name == "hyperband" else pruners.NopPruner()


def weights(
    space: Space, trials: Sequence[tuple[Mapping[str, Any], float]], *, direction: str, how: str, seed: int
) -> dict[str, float]:
    """Return each parameter's share of what made results differ: `fanova` (Hutter 2014) or `ped-anova` (Watanabe 2023).

    Only parameters that all these trials have take part.
    """
    optuna = _optuna()
    advisor = Advisor(space, method="random", directions=(direction,), seed=seed)
    for params, value in trials:
        advisor.learn(params, (value,))
    importance = optuna.importance
    with quiet():
        evaluator = (
            importance.FanovaImportanceEvaluator(seed=seed)
            if how == "fanova"
            else importance.PedAnovaImportanceEvaluator()
        )
        found = importance.get_param_importances(advisor._study, evaluator=evaluator)
    return {name: float(found.get(name, 0.0)) for name in space if name in found}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from talking, and leave its settings as they were."""
    optuna = _optuna()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _optuna() -> Any:
    return needed("optuna", "ml")  # .6 s, and not needed by whoever only reads a study


def _steady(kind: Any) -> Any:
    """Return the genetic sampler with parents in one order, whether they were just chosen or are remembered."""

    class Steady(kind):  # type: ignore[misc]
        def get_parent_population(self, study: Any, generation: int) -> list[Any]:
            return sorted(super().get_parent_population(study, generation), key=lambda trial: trial.number)

    return Steady


def _suggest(asked: Any, name: str, domain: Domain) -> Any:
    if isinstance(domain, Choice):
        return asked.suggest_categorical(name, domain.options)
    ask: Callable[..., Any] = asked.suggest_int if isinstance(domain, Integer) else asked.suggest_float
    return ask(name, domain.low, domain.high, log=domain.log)


def _distribution(optuna: Any, domain: Domain) -> Any:
    if isinstance(domain, Choice):
        return optuna.distributions.CategoricalDistribution(domain.options)
    if isinstance(domain, Integer):
        return optuna.distributions.IntDistribution(domain.low, domain.high, log=domain.log)
    return optuna.distributions.FloatDistribution(domain.low, domain.high, log=domain.log)


def _domain(entry: Domain | When) -> Domain:
    return entry.domain if isinstance(entry, When) else entry


def _kept(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attrs.items() if name.startswith(_RUNG) or name.endswith(_GENERATION)}


def check(method: str, pruner: str, objectives: int) -> None:
    """Raise InvalidInput where Optuna cannot do what is asked."""
    if pruner and objectives > 1:
        raise InvalidInput("Trials with several objectives cannot be pruned.", hint="Leave the pruner out.")
    if method == "gp" and objectives > 1:
        raise InvalidInput("method='gp' takes one objective here.", hint="method='nsga2' or 'tpe' takes several.")
