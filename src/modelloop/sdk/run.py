"""A run that logs: what user code holds. `start_run` begins one, `run.log` takes everything.

The caller's side of logging a number is a check of its name and one append to a queue. Nothing here waits for a server,
and nothing raises into training: what cannot be kept is said once on stderr and counted in `run.problems`.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from ..ground.core.errors import InvalidInput
from ..ground.core.ids import new_id
from ..ground.flow.step import current
from ..train.tracking import checks
from ..train.tracking.records import INT64
from . import origin, where
from .destination import NOT_NOW, Header
from .intake import Intake
from .keeping import LONGEST_QUEUE, now_ms
from .names import check_experiment, check_run_name
from .problems import Problems
from .session import Session
from .watching import KINDS
from .where import Where

PARENT = "mlflow.parentRunId"
PIPELINE_RUN = "modelloop.run"
_PATIENCE = 2.0
"""So long `run.id` waits for a server's first answer: it may give the run another id."""


def start_run(
    experiment: str = "Default",
    *,
    name: str = "",
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    parent: Run | str | None = None,
    id: str | None = None,  # noqa: A002 - what everybody calls it
    capture: bool | Collection[str] | None = None,
    to: str | os.PathLike[str] | None = None,
) -> Run:
    """Begin a run and return it; `with` ends it, and so does the end of the process.

    It goes to `to` (a server's address or a project's folder), else to MODELLOOP_TRACKING_URI, else into the store of
    the project one is in. `id` goes on with a run that is there; `parent` makes this one part of another. `capture`:
    True, False, or some of "output", "system", "code", "seeds"; default: all, for a part of another run none.

    Raises NotFound where there is nothing to log to, or no run `id`, and InvalidInput for names that cannot be.
    """
    place = where.find(to, os.environ, Path.cwd())
    watched = _watched(capture, parent)
    problems = Problems()
    run_id = new_id("run", datetime.now(UTC)) if id is None else checks.run_id(id)
    _, source = origin.source()
    header = Header(
        run=run_id,
        experiment=check_experiment(experiment),
        name=check_run_name(name) or f"{Path(source).stem}-{run_id[-6:].lower()}",
        user=origin.user(),
        start_ms=now_ms(),
        tags={**origin.tags(), **_related(parent)},
        target=place.target,
        resumed=id is not None,
    )
    steps = _steps(place, run_id, problems) if id is not None else {}
    run = Run(place, header, problems, watched=watched, steps=steps)
    run.log(params=params, tags=tags)
    return run


class Run:
    """A run that goes on. Safe to use from many threads; a forked child adds to it and leaves its end to the parent."""

    _hot: dict[str, Iterator[int]]
    """The intake's names while it takes something, else empty."""

    def __init__(
        self,
        place: Where,
        header: Header,
        problems: Problems,
        *,
        watched: frozenset[str] = frozenset(),
        steps: Mapping[str, int] | None = None,
    ) -> None:
        self.experiment = header.experiment
        self._place, self._header, self._problems = place, header, problems
        self._owner, self._ended = os.getpid(), False
        self._left: list[Session] = []
        self._begin(header, watched, steps or {})
        atexit.register(self._at_exit)
        os.register_at_fork(after_in_child=_forked(weakref.ref(self)))

    @property
    def id(self) -> str:
        """The run's id. A server that chooses ids by itself is waited for up to two seconds."""
        known = "" if self._session is None or self._place.target.startswith("store:") else self._session.id(_PATIENCE)
        return known or self._header.run

    @property
    def url(self) -> str:
        """The address of the run's page; "" while the server has not answered, and where there is none."""
        return "" if self._session is None else self._session.url(_PATIENCE)

    @property
    def problems(self) -> Mapping[str, int]:
        """What could not be kept, and how often: text -> times."""
        return self._problems.counted()

    def log(
        self,
        name: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        value: Any = None,
        step: int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """Log one value under a name, many as a mapping, params, tags, or a file by its path.

        A number is a metric; a frame or a list of mappings a table; a figure a picture; bytes, text, arrays and paths
        are files. Without `step` a metric's values count on from 0.
        """
        if type(value) is float and type(name) is str:  # the hot way: one number under a name that was met before
            counter = self._hot.get(name)
            if counter is not None and (step is None or (type(step) is int and -INT64 <= step < INT64)):
                queue = self._queue
                queue.append((name, value, next(counter) if step is None else step, time.time_ns() // 1_000_000))
                if len(queue) > LONGEST_QUEUE and self._session is not None:
                    self._session.keeper.relieve()
                return
        intake = self._open_intake()
        if intake is None:
            return
        intake.log(name, value, step)
        if params:
            intake.params(params)
        if tags:
            intake.tags(tags)

    def child(self, name: str = "", *, params: Mapping[str, Any] | None = None, **more: Any) -> Run:
        """Begin a run that is part of this one (a fold, a trial), in the same experiment and place."""
        target = self._place.target.removeprefix("store:")
        return start_run(self.experiment, name=name, params=params, parent=self, **{"to": target, **more})

    def end(self, status: str = "FINISHED", error: BaseException | None = None) -> None:
        """End the run and wait until all has arrived, or the destination does not answer; the rest is then kept."""
        session = self._session
        if self._ended or session is None:
            return
        if error is not None:
            self._intake.error(error)
        self._ended = True
        self._hot = {}
        atexit.unregister(self._at_exit)
        session.finish(status)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() == self._owner:
            self.end(_status(error), None if _status(error) == "FINISHED" else error)
        else:
            self.end()

    def __repr__(self) -> str:
        return f"<run {self._header.run} of {self.experiment!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as something that adds to the same run."""
        return _attached, (self._place.target, self._header)

    def _begin(self, header: Header, watched: frozenset[str], steps: Mapping[str, int], *, sends: bool = True) -> None:
        session = Session(self._place, header, self._problems, watched, sends=sends)
        self._session: Session | None = session
        self._intake = Intake(session.keeper, session.keep_file, self._problems, steps)
        self._queue = self._intake.queue
        self._hot = self._intake.names
        session.start()

    def _open_intake(self) -> Intake | None:
        """Return what takes; None after the end. A forked child gets a spool of its own when it first logs."""
        if self._ended:
            self._problems.add("Something was logged after the end of the run, and was not kept.")
            return None
        if self._session is None:
            self._begin(replace(self._header, attached=True, resumed=False), frozenset(), {}, sends=False)
            if (processes := sys.modules.get("multiprocessing.util")) is not None:
                processes.Finalize(None, self.end, exitpriority=10)  # its children leave without atexit
        return self._intake

    def _after_fork(self) -> None:
        """Forget what is the parent's: its threads are not here, and what waits in its queue is not ours to send."""
        session, self._session = self._session, None
        self._problems.reborn()
        self._hot = {}
        if session is not None:
            self._left.append(session)  # kept: its connections, closed here, would be closed there
            session.abandon()

    def _at_exit(self) -> None:
        error = None if origin.in_notebook() else getattr(sys, "last_exc", getattr(sys, "last_value", None))
        if os.getpid() != self._owner:
            self.end()
        else:
            self.end(_status(error), error)


def _status(error: BaseException | None) -> str:
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return "FINISHED"
    return "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"


def _forked(found: weakref.ref[Run]) -> Any:
    def after() -> None:
        run = found()
        if run is not None and not run._ended:
            run._after_fork()

    return after


def _attached(target: str, header: Header) -> Run:
    """Make, in another process, what adds to a run."""
    place = where.find(target.removeprefix("store:"), os.environ, Path.cwd())
    return Run(place, replace(header, attached=True, resumed=False), Problems())


def _watched(capture: bool | Collection[str] | None, parent: Run | str | None) -> frozenset[str]:
    if capture is None:
        capture = not isinstance(parent, Run)
    if isinstance(capture, bool):
        return frozenset(KINDS if capture else ())
    kinds = frozenset((capture,) if isinstance(capture, str) else capture)
    if unknown := kinds - set(KINDS):
        raise InvalidInput(
            f"capture has {', '.join(sorted(map(repr, unknown)))}.", hint=f"Expected some of: {', '.join(KINDS)}."
        )
    return kinds


def _related(parent: Run | str | None) -> dict[str, str]:
    """Return the tags that say what a run is part of: another one, or the pipeline run that it was begun in."""
    found: dict[str, str] = {}
    if pipeline := getattr(current.get(), "run_id", ""):
        found = {PIPELINE_RUN: pipeline, PARENT: pipeline}
    if parent is not None:
        found[PARENT] = parent.id if isinstance(parent, Run) else checks.run_id(parent)
    return found


def _steps(place: Where, run: str, problems: Problems) -> Mapping[str, int]:
    """Return where the metrics of a run that goes on stand; raises NotFound where there is no such run."""
    try:
        destination = where.destination(place)
        try:
            return destination.steps(run)
        finally:
            destination.close()
    except NOT_NOW as error:
        problems.say(f"{error} Steps of metrics are counted from 0.")
    return {}
