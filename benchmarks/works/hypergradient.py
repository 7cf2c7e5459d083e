"""200 penalties of a ridge regression by their gradients, beside 200 trials of TPE over the same space and objective.

Both sides are given the same problem, which costs half a millisecond a trial: the search is compared, not the fit.
Ours is counted until its loss is as low as the best of the 200 trials; making the problem counts on both sides.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import optuna

from modelloop.train.domains import real
from modelloop.train.gradients import Linear, descend, per_feature, ridge

from ..measure import Measured, Work, versions

ROWS, FEATURES, TRIALS, ROUNDS = 5_000, 200, 200, 5
LOW, HIGH = 1e-4, 1e4  # the middle, where a descent begins, is hardly a penalty at all
SPACE = per_feature("penalty", FEATURES, real(LOW, HIGH, log=True))


class Reached(Exception):
    """The loss is low enough."""


def _rows(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """A third of the features matter, each to another degree, and neighbours are correlated."""
    weights = np.random.default_rng(0).normal(size=FEATURES) * (np.arange(FEATURES) % 3 == 0) * 0.4
    chance = np.random.default_rng(seed)
    x = chance.normal(size=(rows, FEATURES))
    x[:, 1:] = 0.8 * x[:, 1:] + 0.6 * x[:, :-1]
    return x, x @ weights + 4 * chance.normal(size=rows)


TRAIN, VALID, TEST = _rows(1, ROWS), _rows(2, 2_000), _rows(3, 20_000)


def _problem() -> Linear:
    return ridge(TRAIN, VALID, held_out=TEST, penalty="feature")


def _tpe() -> tuple[float, dict[str, float], float]:
    """Return the CPU seconds, the best parameters and their loss."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    before = time.process_time()
    problem = _problem()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    study.optimize(lambda t: problem({n: t.suggest_float(n, LOW, HIGH, log=True) for n in SPACE}), n_trials=TRIALS)
    return time.process_time() - before, study.best_params, study.best_value


def _until(loss: float) -> tuple[float, int]:
    """Return the CPU seconds and evaluations until a descent has found `loss`."""
    told: list[float] = []

    def tell(_params: object, value: float, _seconds: float) -> None:
        told.append(value)
        if value <= loss:
            raise Reached

    before = time.process_time()
    try:
        descend(_problem(), SPACE, trials=TRIALS, seed=1, tell=tell)
    except Reached:
        return time.process_time() - before, len(told)
    raise AssertionError(f"{min(told)} after {len(told)} evaluations, not {loss}")


def _run() -> Measured:
    descend(_problem(), SPACE, trials=2, seed=1)  # SciPy is imported
    reference, params, loss = _tpe()
    ours = [_until(loss) for _ in range(ROUNDS)]
    problem = _problem()
    before = time.process_time()
    whole = descend(problem, SPACE, trials=TRIALS, seed=1)
    spent = time.process_time() - before
    of_tpe = problem.held_out(params)
    one = ridge(TRAIN, VALID, held_out=TEST)
    single = descend(one, {"penalty": real(LOW, HIGH, log=True)}, trials=40, seed=1)
    assert of_tpe is not None
    assert whole.held_out is not None
    assert single.held_out is not None
    before = time.process_time()
    for _ in range(TRIALS):
        problem(params)
    bare = time.process_time() - before
    return Measured(
        statistics.median(seconds for seconds, _ in ours),
        reference,
        "CPU s",
        {
            "evaluations until as good": ours[0][1],
            "CPU s of TPE's 200 fits alone": round(bare, 3),
            "validation loss where the descent begins": round(problem(dict.fromkeys(SPACE, (LOW * HIGH) ** 0.5)), 4),
            "validation loss of TPE": round(loss, 4),
            "validation loss of 200 evaluations with gradients": round(whole.value, 4),
            "their CPU s": round(spent, 3),
            "held-out loss: one penalty": round(single.held_out.value, 4),
            "held-out loss: TPE": round(of_tpe.value, 4),
            "held-out loss: gradients": round(whole.held_out.value, 4),
            "the noise alone": 16.0,
        },
    )


WORK = Work(
    "200 penalties of a 5,000 x 200 ridge, to the validation loss of 200 TPE trials",
    f"TPE over the same space and objective, 200 trials ({versions('optuna', 'scipy', 'numpy')})",
    0.1,
    _run,
)
