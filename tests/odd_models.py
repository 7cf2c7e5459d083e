"""A Python model that does what its input says: answers, dies, hangs, leaks, raises. Nothing of it is a pickle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modelloop.prepare.records import Datatype, InputColumn
from modelloop.train.outside.process import ProcessRuntime
from modelloop.train.outside.records import Limits, Served

FINE, DIES, HANGS, GROWS, NOT_A_NUMBER, SHORT, RAISES, EXITS, MISSING, HUGE, GARBAGE = (0, *range(101, 111))
SEVERAL, WORDS, FORKS = range(111, 114)
CODE = """
import os, signal, sys, time
import numpy as np

held = []
calls = 0

class Model:
    def predict(self, frame):
        global calls
        calls += 1
        do = np.asarray(frame["do"], dtype=float)
        x = np.asarray(frame["x"], dtype=float)
        worst = int(do.max()) - 100
        if worst == 1:
            sys.stderr.write("about to die\\n"); sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if worst == 2:
            time.sleep(600)
        if worst == 3:
            held.append(np.ones(8 << 20))
        if worst == 4:
            return np.where(do == 104, np.nan, x * 2)
        if worst == 5:
            return x[:-1]
        if worst == 6:
            class Odd(Exception): pass
            raise Odd("no such thing")
        if worst == 7:
            sys.exit(3)
        if worst == 8:
            return {"other": x}
        if worst == 9:
            np.ones((1 << 40), dtype="float64")
        if worst == 10:
            for number in range(3, 1000):
                try: os.write(number, b"garbage " * 10)
                except OSError: pass
        if worst == 11:
            return np.stack([x, x], axis=1)
        if worst == 12:
            return np.array(["no number"] * len(x), dtype=object)
        if worst == 13 and not os.fork():
            x = x + 1000  # both answer
        return x * 2

def _load_pyfunc(path):
    if os.path.exists(os.path.join(path, "refuse")):
        raise RuntimeError("this model cannot be loaded")
    return Model()
"""
INPUTS = (InputColumn("x", Datatype.FP64), InputColumn("do", Datatype.FP64))
SERVED = Served(
    kind="python",
    flavor="python_function",
    data="MLmodel",
    settings={"loader_module": "odd_model"},
    inputs=INPUTS,
    output="score",
    outputs={"score": ("FP64", ())},
    pickle=True,
)


def write_odd(folder: Path) -> None:
    """Write the model."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "odd_model.py").write_text(CODE)
    (folder / "MLmodel").write_text("flavors: {python_function: {loader_module: odd_model}}\n")


def odd(write: Callable[[Path], None] = write_odd, **limits: float) -> ProcessRuntime:
    """Return it in a process of its own, with short times."""
    given = {"answer_seconds": 2.0, "beat_seconds": 0.1, **limits}
    return ProcessRuntime(SERVED, write, name="odd:1", limits=Limits(**given))  # type: ignore[arg-type]
