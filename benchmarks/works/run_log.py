"""`run.log` of one number, on the caller's side and with its threads, beside what one would write by hand."""

import json
import os
import tempfile
import time
from pathlib import Path

import modelloop

from ..measure import Measured, Work, paired, versions

POINTS = 100_000


def _run() -> Measured:
    told: dict[str, float | str] = {"points": POINTS}
    ours, reference = paired(lambda: _ours(told), _reference, rounds=3)
    return Measured(ours * 1e6, reference * 1e6, "CPU microseconds a number", told)


def _ours(told: dict[str, float | str]) -> float:
    """Log until all is in the spool: what it costs to send is the same for whoever sends."""
    with tempfile.TemporaryDirectory() as name:
        before = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = name
        try:
            run = modelloop.start_run(to="http://127.0.0.1:9", capture=False)
            run.log("loss", 0.0, step=0)
            cpu, wall = time.process_time(), time.perf_counter()
            for step in range(POINTS):
                run.log("loss", 1.0 / (step + 1), step=step)
            told["caller_wall_microseconds"] = round((time.perf_counter() - wall) / POINTS * 1e6, 2)
            run._session.keeper.drain()
            spent = time.process_time() - cpu
            run.end()
        finally:
            if before is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = before
    return spent / POINTS


def _reference() -> float:
    """Append to a list, and write it down as JSON lines at the end."""
    with tempfile.TemporaryDirectory() as name:
        kept: list[dict[str, object]] = []
        add = kept.append
        before = time.process_time()
        for step in range(POINTS):
            add({"name": "loss", "value": 1.0 / (step + 1), "step": step, "at": time.time()})
        with (Path(name) / "log.jsonl").open("w") as file:
            file.writelines(json.dumps(point) + "\n" for point in kept)
        spent = time.process_time() - before
    return spent / POINTS


WORK = Work("run.log of one number", f"a list, then JSON lines by hand ({versions()})", 1.0, _run)
