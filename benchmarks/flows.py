"""The same ten trivial steps in each engine that also keeps results, as whole processes; ours through the command."""

from __future__ import annotations

import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .measure import PYTHON, environ
from .peers import peer

ROUNDS = 7
OURS = """
from modelloop import pipeline, step

@step
def add(total, number):
    return total + number

@step
def square(number):
    return number * number

@pipeline
def chain(start=0):
    total = start
    for number in range(10):
        total = add(total, number)
    return total

@pipeline
def fan():
    return sum(square.map(range(100)))
"""
TOML = """
[project]
name = "bench"
owner = "bench"

[objective]
task = "binary"
metric = "auc"
label = "y"
meaning = "m"
question = "q"

[pipelines.chain]
function = "steps:chain"

[pipelines.fan]
function = "steps:fan"
"""
HAMILTON_STEPS = "def s0(start: int) -> int:\n    return start\n" + "".join(
    f"\ndef s{n}(s{n - 1}: int) -> int:\n    return s{n - 1} + {n}\n" for n in range(1, 11)
)
HAMILTON = """
import sys
from hamilton import driver
import steps
made = driver.Builder().with_modules(steps).with_cache(path="cache").build()
assert made.execute(["s10"], inputs={"start": int(sys.argv[1])})["s10"] == 55 + int(sys.argv[1])
"""
KEDRO = """
import sys
from kedro.io import DataCatalog
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.pickle import PickleDataset
made = pipeline([node(lambda total, n=n: total + n, f"s{n}", f"s{n + 1}", name=f"add{n}") for n in range(10)])
catalog = DataCatalog({f"s{n}": PickleDataset(filepath=f"data/s{n}.pickle") for n in range(11)})
catalog.save("s0", int(sys.argv[1]))
SequentialRunner().run(made, catalog)
assert catalog.load("s10") == 45 + int(sys.argv[1])
"""
DBOS = """
import os, sys
from dbos import DBOS, DBOSConfig
DBOS(config={"name": "bench", "system_database_url": "sqlite:///dbos.sqlite", "run_admin_server": False})

@DBOS.step()
def add(total, number):
    return total + number

@DBOS.workflow()
def chain(start):
    total = start
    for number in range(10):
        total = add(total, number)
    return total

DBOS.launch()
assert chain(int(sys.argv[1])) == 45 + int(sys.argv[1])
DBOS.destroy()
"""
POOL = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

def square(number):
    return number * number

if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert sum(pool.map(square, range(100))) == sum(n * n for n in range(100))
"""


@dataclass(frozen=True)
class Engine:
    """How one engine is started for a run that starts from a number; the same number again finds its results."""

    name: str
    argv: Callable[[int], list[str]]
    folder: Path


@dataclass(frozen=True)
class Taken:
    """Medians of whole processes."""

    cpu: float
    wall: float


def ours(folder: Path) -> Engine:
    """Return our own engine in a project with a store."""
    folder.mkdir(parents=True)
    (folder / "steps.py").write_text(OURS)
    (folder / "modelloop.toml").write_text(TOML)
    place = ["--project", str(folder), "--json"]
    subprocess.run([PYTHON, "-m", "modelloop", "runs", "list", *place], check=True, capture_output=True, env=environ())
    argv = [PYTHON, "-m", "modelloop", "run", "chain", *place]
    return Engine("modelloop", lambda start: [*argv, "-P", f"start={start}"], folder)


def peers(folder: Path) -> list[Engine]:
    """Return the others, each in an environment of its own."""
    made = [
        ("hamilton", peer("hamilton", "sf-hamilton==1.90.0", "numpy", "pandas"), HAMILTON),
        ("kedro", peer("kedro", "kedro==1.7.0", "kedro-datasets[pickle]==9.6.0"), KEDRO),
        ("dbos", peer("dbos", "dbos==3.4.0"), DBOS),
    ]
    return [_engine(folder / name, name, python, script) for name, python, script in made]


def measure(engines: list[Engine], *, fresh: bool) -> dict[str, Taken]:
    """Return what a process of each takes whose results are new, or all kept: in turn, a first one for warmth."""
    cpu: dict[str, list[float]] = {engine.name: [] for engine in engines}
    wall: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for number in range(ROUNDS + 1):
        for engine in engines:
            began = time.perf_counter()
            cpu[engine.name].append(_cpu(engine.argv(1000 + number if fresh else 1), engine.folder))
            wall[engine.name].append(time.perf_counter() - began)
    return {name: Taken(statistics.median(cpu[name][1:]), statistics.median(wall[name][1:])) for name in cpu}


def _engine(folder: Path, name: str, python: Path, script: str) -> Engine:
    folder.mkdir(parents=True)
    (folder / "run.py").write_text(script)
    (folder / "steps.py").write_text(HAMILTON_STEPS)
    return Engine(name, lambda start: [str(python), "run.py", str(start)], folder)


def _cpu(argv: list[str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, check=False, cwd=folder, capture_output=True, text=True, env=environ())
    if done.returncode:
        raise RuntimeError(f"{argv}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
