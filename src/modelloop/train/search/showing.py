"""What a person sees of a search while it goes on: a bar with the best so far, where there is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..parallel.events import Event, Failed, Finished, Stopped
from ..parallel.progress import Bar, Watch
from ..records import Trial
from .asked import Options, Plan


@contextmanager
def shown(plan: Plan, options: Options, total: int) -> Iterator[Callable[[Trial], None]]:
    """Yield what is to be told of each trial that ends; draws a bar meanwhile, and tells the caller's `watch`."""
    heard = options.get("watch")
    at_once = options.get("processes", 1)
    watch = Watch(total, metric=plan.metrics[0], direction=plan.directions[0], at_once=at_once)
    with Bar(watch, title=options.get("name") or plan.method, shown=options.get("progress")) as bar:

        def tell(trial: Trial) -> None:
            bar.take(_event(trial))
            if heard is not None:
                heard(trial)

        yield tell


def _event(trial: Trial) -> Event:
    if trial.state == "pruned":
        step = trial.curve[-1][0] if trial.curve else -1
        return Stopped(trial.number, step, trial.seconds, trial.cpu_seconds)
    if trial.value is None:
        return Failed(trial.number, trial.error, trial.seconds, trial.cpu_seconds)
    return Finished(trial.number, trial.value, trial.seconds, trial.cpu_seconds)
