"""One attempt of a run in this process: looked at, checked, called, ended. Knows no SQL: the journal writes."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..core.errors import RunCancelled, StaleState, StoreUnavailable
from ..core.hashing import hash_json
from . import environment
from .calls import check_calls, steps_in
from .failure import attempt
from .given import arguments_for
from .journal import Journal, RunWaits
from .making import check_places
from .project import load_function
from .records import CodeVersion, InputRef, Run, RunState, Usage
from .session import Place, RunSession
from .values import seed_libraries

Resolve = Callable[[InputRef], object]
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def carry_out(journal: Journal, place: Place, resolve: Resolve, *, accounts: bool) -> Run:
    """Carry out a run that was begun; return it as it ended, or waits.

    Errors of user code are recorded, not raised. What is raised (StoreUnavailable, StaleState) leaves the run as it
    is. `accounts`: nobody else measures this process.
    """
    session = RunSession(journal, place)
    began, cpu = time.perf_counter(), time.process_time()
    try:
        values, error = attempt(
            lambda: _call_pipeline(journal.run, session, resolve), passing=(StoreUnavailable, StaleState)
        )
    except RunWaits:
        return journal.end({"state": RunState.WAITING}, _taken(began, cpu) if accounts else None)
    if isinstance(error, RunCancelled):
        values = {"state": RunState.CANCELLED}
    elif error is not None:
        values = {"state": RunState.FAILED, "error": asdict(session.blame(error))}
    assert values is not None
    return journal.end(values, _taken(began, cpu) if accounts else None)


def _taken(began: float, cpu: float) -> Usage:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
    return Usage(time.process_time() - cpu, peak, time.perf_counter() - began)


def _call_pipeline(run: Run, session: RunSession, resolve: Resolve) -> dict[str, Any]:
    """Call the user's pipeline; return how the run ended. Everything that can be told before its first step, is."""
    function = load_function(Path(run.project_dir), run.function)
    shape = session.keys.shapes.of(getattr(function, "function", function))
    _describe(run, session, session.keys.fingerprints.of(function))
    given = {**run.params, **{n: session.maker.give(resolve(ref), ref.digest) for n, ref in run.inputs.items()}}
    arguments = arguments_for(shape, given, seed=run.seed)
    check_calls(function, session.keys.sources, session.keys.shapes)
    check_places(steps_in(function, session.keys.sources), session.place.executor)
    restore = seed_libraries(run.seed)
    try:
        with session.open():
            returned = function(**arguments)
    finally:
        restore()
    shape.check_result(returned, f"Pipeline {run.pipeline}")
    kept, _ = session.maker.store(returned, f"Pipeline {run.pipeline}")
    return {"state": RunState.DONE, "result": kept.text, "result_digest": kept.digest}


def _describe(run: Run, session: RunSession, code: Mapping[str, str]) -> None:
    """Record with which code and environment this attempt works."""
    blobs = session.place.blobs
    commit, difference = environment.code_version(Path(run.project_dir))
    diff = blobs.put(difference.encode()) if difference else None
    version = CodeVersion(commit, bool(difference), diff, hash_json(dict(code)))
    session.journal.describe({"code": asdict(version), "environment": blobs.put(environment.describe())})
