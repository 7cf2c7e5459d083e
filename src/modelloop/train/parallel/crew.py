"""Who carries out trials: a crew of processes on this machine, on a Ray cluster, or this process alone.

A search asks for trials with `start` and hears what became of them from `next`:

    with closing(crew_for(objective, processes=2, data={"x": x}, heard=decide)) as crew:
        crew.start(0, {"depth": 3}, seed=1)
        event = crew.next()          # Finished(0, .83, ...)

`heard` is called with each report while the trial waits for its answer, and returns whether the trial should stop:
this is the way to prune that works for all crews alike, this process included. Without it, reports come from `next`
(from this process only after the trial is over), nobody waits for an answer, and `stop` takes effect at the trial's
next report.

A script without `if __name__ == "__main__":` is run again by each process up to the place where it asks for a crew.
Whoever writes something down before it asks for one calls `check_not_loading` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...ground.core.errors import InvalidInput
from .adapters.ray import RayCrew
from .events import Crew, Event, Failed, Finished, Heard, Objective, Reported, Stopped, Value
from .own import OwnCrew, value_of
from .processes import ProcessCrew
from .shelf import as_given
from .target import check_not_loading
from .trying import Pruned, Trying

__all__ = [
    "Crew",
    "Event",
    "Failed",
    "Finished",
    "Heard",
    "Objective",
    "Pruned",
    "Reported",
    "Stopped",
    "Trying",
    "Value",
    "check_not_loading",
    "crew_for",
    "ray_address",
    "value_of",
]

_RAY = "ray://"


def crew_for(
    objective: Objective,
    *,
    processes: int = 1,
    executor: str = "local",
    data: Mapping[str, Any] | None = None,
    heard: Heard | None = None,
    time_limit: float | None = None,
) -> Crew:
    """Return a crew that carries out an objective, `processes` trials at a time. Whoever gets it closes it.

    `executor`: `local` (one process: this one), or `ray` (a cluster of its own on this machine), or `ray://HOST:PORT`
    (one that runs: HOST:PORT as [pool] has it). `data` is shared with all processes, without copies. `time_limit`:
    seconds that one trial may take, then its process is ended; only other processes can be held to it.
    """
    check_not_loading()
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise InvalidInput(f"A crew of {processes!r} processes.", hint="processes=2: a whole number from 1 on.")
    if time_limit is not None and not time_limit > 0:
        raise InvalidInput(f"A time limit of {time_limit!r} s for a trial.", hint="It is a number of seconds above 0.")
    if executor == "local":
        if processes == 1 and time_limit is None:
            return OwnCrew(objective, data=as_given(data or {}), heard=heard)
        return ProcessCrew(objective, size=processes, data=data or {}, heard=heard, time_limit=time_limit)
    address = ray_address(executor)
    return RayCrew(objective, size=processes, data=data or {}, address=address, heard=heard, time_limit=time_limit)


def ray_address(executor: str) -> str:
    """Return the address of the cluster that an executor names: `local`, or HOST:PORT."""
    if executor == "ray" or (executor.startswith(_RAY) and executor != _RAY):
        return executor.removeprefix(_RAY) if executor != "ray" else "local"
    raise InvalidInput(f"There is no executor {executor!r}.", hint="'local', 'ray', or 'ray://HOST:PORT'.")
