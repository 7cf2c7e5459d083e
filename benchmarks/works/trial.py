"""What a trial costs beside its objective, kept durably: our search on SQLite beside Optuna with its journal file."""

import tempfile
import time
from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend

from modelloop.ground.core.clock import SystemClock
from modelloop.testing.fakes import make_context
from modelloop.train.search import choice, integer, real, search

from ..measure import Measured, Work, paired, versions

TRIALS = 200
SPACE = {
    "rate": real(1e-4, 1, log=True),
    "leaves": integer(2, 256, log=True),
    "share": real(0, 1),
    "kind": choice("a", "b"),
}
_walls: dict[str, list[float]] = {"ours": [], "optuna": []}


def _run() -> Measured:
    ours, reference = paired(_ours, _reference, rounds=2)
    walls = {f"{name} wall ms": round(min(taken) / TRIALS * 1e3, 2) for name, taken in _walls.items()}
    return Measured(ours * 1e3, reference * 1e3, "CPU ms a trial", {**walls, "bar of wall ms": 10.0, "trials": TRIALS})


def _loss(rate: float, leaves: int, share: float, kind: str) -> float:
    return (rate - 0.1) ** 2 + (leaves - 31) ** 2 / 1e4 + share + (kind == "a")


def _ours() -> float:
    with tempfile.TemporaryDirectory() as folder:
        ctx = make_context(Path(folder), clock=SystemClock())
        before, began = time.process_time(), time.perf_counter()
        study = search(
            lambda trying: _loss(**trying), SPACE, trials=TRIALS, seed=1, direction="lower", metric="loss",
            store=ctx, name="bench",
        )  # fmt: skip
        spent = time.process_time() - before
        _walls["ours"].append(time.perf_counter() - began)
        assert len(study.trials) == TRIALS
        ctx.db.close()
    return spent / TRIALS


def _reference() -> float:
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        return _loss(
            trial.suggest_float("rate", 1e-4, 1, log=True), trial.suggest_int("leaves", 2, 256, log=True),
            trial.suggest_float("share", 0, 1), trial.suggest_categorical("kind", ["a", "b"]),
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(Path(folder) / "journal.log")))
        before, began = time.process_time(), time.perf_counter()
        study = optuna.create_study(storage=storage, sampler=optuna.samplers.TPESampler(seed=1))
        study.optimize(objective, n_trials=TRIALS)
        spent = time.process_time() - before
        _walls["optuna"].append(time.perf_counter() - began)
    return spent / TRIALS


WORK = Work(
    "a trial of a durable TPE search, without its objective",
    f"Optuna's study with its journal file, which a crash of the machine may tear ({versions('optuna')})",
    1.5,
    _run,
)
