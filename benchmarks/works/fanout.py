"""A hundred calls of a trivial step by `map`, over processes: beside a pool that records nothing."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from modelloop.ground.flow import actions
from modelloop.ground.pool.adapters.local import LocalExecutor
from modelloop.testing.fakes import make_context

from .. import flows
from ..measure import PYTHON, Measured, Work, environ, paired, versions

PROCESSES = 2
_walls: dict[str, list[float]] = {"ours": [], "pool": []}


def _run() -> Measured:
    ours, reference = paired(_ours, _reference, rounds=3)
    walls = {f"{name} wall s": round(min(taken), 3) for name, taken in _walls.items()}
    return Measured(ours, reference, "CPU s", {**walls, "bar of wall s": 1.0, "calls": 100, "processes": PROCESSES})


def _spent() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _ours() -> float:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "steps.py").write_text(flows.OURS)
        sys.modules.pop("steps", None)
        ctx = make_context(home / "store")
        run = actions.submit(ctx, pipeline="fan", function="steps:fan", project_dir=home, inputs={}, params={})
        executor = LocalExecutor(home, ctx.blobs.url, processors=PROCESSES)
        before, began = _spent(), time.perf_counter()
        actions.execute(ctx, run.id, resolve=lambda ref: ref, processes=PROCESSES, executor=executor)
        _walls["ours"].append(time.perf_counter() - began)
        spent = _spent() - before
        assert actions.result(ctx, run.id) == sum(n * n for n in range(100))
        assert {step.place for step in actions.steps_of(ctx, run.id)} != {""}
        ctx.db.close()
    return spent


def _reference() -> float:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "pool.py"
        script.write_text(flows.POOL)
        before, began = _spent(), time.perf_counter()
        subprocess.run([PYTHON, str(script)], check=True, env=environ())
        _walls["pool"].append(time.perf_counter() - began)
        return _spent() - before


WORK = Work(
    f"a 100-way fan-out over {PROCESSES} processes, each call recorded ({os.cpu_count()} processors)",
    f"concurrent.futures with spawned processes, nothing recorded ({versions()})",
    4.0,
    _run,
)
