"""Trials of 200 ms on two processes beside one: wall seconds, since waiting is what is saved."""

import tempfile
import time
from importlib import import_module
from pathlib import Path

from modelloop.ground.core.clock import SystemClock
from modelloop.testing.fakes import make_context
from modelloop.train.parallel.crew import Trying
from modelloop.train.search import real, search

from ..measure import Measured, Work, versions

TRIALS, SECONDS = 60, 0.2


def objective(trying: Trying) -> float:
    """Take 200 ms, as a small model does; the machine's processors are shared, so it waits instead of working."""
    time.sleep(SECONDS)
    return (trying["x"] - 0.3) ** 2


def _run() -> Measured:
    import_module("sklearn.ensemble")  # for what mattered; whoever comes first would pay for loading it
    _wall(1, trials=12)  # as for what TPE needs from its eleventh trial on
    two, one = _wall(2), _wall(1)
    return Measured(two, one, "wall s", {"trials": TRIALS, "times as many": round(one / two, 2), "bar of times": 1.7})


def _wall(processes: int, trials: int = TRIALS) -> float:
    with tempfile.TemporaryDirectory() as folder:
        ctx = make_context(Path(folder), clock=SystemClock())
        began = time.perf_counter()
        study = search(
            objective, {"x": real(0, 1)}, trials=trials, seed=1, direction="lower", metric="loss", processes=processes,
            store=ctx, name="bench",
        )  # fmt: skip
        taken = time.perf_counter() - began
        assert study.cost is not None
        assert study.cost.failed == 0
        ctx.db.close()
    return taken


WORK = Work(
    f"{TRIALS} durable trials of {SECONDS * 1e3:.0f} ms on two processes",
    f"the same on one ({versions('optuna')})",
    1 / 1.7,
    _run,
)
