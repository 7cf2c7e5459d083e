"""Private memory of workers that share data, beside workers that each get their own pickled copy."""

import multiprocessing
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import psutil

from modelloop.train.parallel.crew import crew_for

from ..measure import Measured, Work, versions

ROWS = 6_000_000
PROCESSES = 2


def read(trying):
    """Read all of the data, wait until the other has too, and tell what belongs to this process alone."""
    return {"private": told(trying.data["x"], trying.data["frame"], Path(trying["meeting"]), trying.number)}


def read_copy(place):
    """Do the same with a copy."""
    number, x, frame, meeting = place
    return told(x, frame, Path(meeting), number)


def told(x, frame, meeting, number) -> float:
    total = float(x.sum()) + float(frame["a"].sum()) + frame["b"].str.len_bytes().sum()
    assert total > 0
    (meeting / str(number)).touch()
    while len(list(meeting.iterdir())) < PROCESSES:
        time.sleep(0.005)
    private = psutil.Process().memory_full_info().uss
    time.sleep(0.3)  # the other one looks, too
    return float(private)


def data() -> dict[str, object]:
    text = [f"row {number % 1000}" for number in range(ROWS)]
    return {"x": np.random.default_rng(0).normal(size=ROWS), "frame": pl.DataFrame({"a": np.ones(ROWS), "b": text})}


def shared() -> float:
    with tempfile.TemporaryDirectory() as meeting, closing(crew_for(read, processes=PROCESSES, data=data())) as crew:
        for number in range(PROCESSES):
            crew.start(number, {"meeting": meeting}, 0)
        return max(crew.next().value["private"] for _ in range(PROCESSES))


def pickled() -> float:
    """Hand the data to spawned workers as joblib, or a pool, does: as arguments."""
    made = data()
    with tempfile.TemporaryDirectory() as meeting, multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        places = [(number, made["x"], made["frame"], meeting) for number in range(PROCESSES)]
        return max(pool.map(read_copy, places, chunksize=1))


def bare() -> float:
    """Return what a process has that has imported the same and read nothing."""
    text = "import numpy, polars, psutil; import modelloop.train.parallel.crew\n"
    text += "polars.DataFrame({'a': [1.0]})['a'].sum()\nprint(psutil.Process().memory_full_info().uss)"
    return float(subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout)


def _run() -> Measured:
    ours, reference, nothing = shared(), pickled(), bare()
    notes = {"rows": ROWS, "processes": PROCESSES, "MB of a process without data": round(nothing / 1e6, 1)}
    return Measured(ours / 1e6, reference / 1e6, "MB of its own, the larger worker", notes)


WORK = Work(
    "workers that read shared data",
    f"spawned workers with a pickled copy each ({versions('numpy', 'polars')})",
    0.5,
    _run,
)
