"""Commits of a 1 % change to the mixed table, a million rows: ours, Delta's, DVC's; peers in their own environments."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from modelloop.data.records import Part, Schema
from modelloop.data.versions.layout import Store, append, replace, scan, upsert
from modelloop.ground.store.blobs import Blobs

from .measure import environ
from .mixed import CACHE, ROWS, table
from .peers import peer

CHANGED = 10_000
ROUNDS = 5
WORDS = {pl.Int64(): "integer", pl.Float64(): "float", pl.String(): "string"}
DELTA = ("deltalake==1.6.6", "polars==2.1.0")
DVC = ("dvc==3.67.1",)

DELTA_SCRIPT = """
import json, shutil, sys, time
from pathlib import Path
import polars as pl
from deltalake import DeltaTable, write_deltalake
folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
old, changes, new = (pl.read_parquet(folder / f"{name}.parquet") for name in ("old", "changes", "new"))
place = folder / "delta"
def size():
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
def merge():
    table = DeltaTable(str(place))
    change = table.merge(changes, "t.id = s.id", source_alias="s", target_alias="t")
    change.when_matched_update_all().when_not_matched_insert_all().execute()
def overwrite():
    write_deltalake(str(place), new, mode="overwrite")
found = {}
for work in (merge, overwrite):
    for _ in range(rounds + 1):
        shutil.rmtree(place, ignore_errors=True)
        write_deltalake(str(place), old)
        before, wall, cpu = size(), time.perf_counter(), time.process_time()
        work()
        now = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "bytes": size() - before}
        found.setdefault(work.__name__, []).append(now)
print(json.dumps(found))
"""

DVC_SCRIPT = """
import json, os, shutil, subprocess, sys, time
from pathlib import Path
folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
def run(*words):
    subprocess.run(words, check=True, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
def dvc(*words):
    run(sys.executable, "-m", "dvc", *words)
def git(*words):
    run("git", "-c", "user.name=b", "-c", "user.email=b@example.org", *words)
def commit(name):
    shutil.copyfile(folder / f"{name}.parquet", place / "table.parquet")
    dvc("add", "table.parquet")
    dvc("push")
    git("add", "table.parquet.dvc", ".gitignore")
    git("commit", "-m", name)
def size():
    return sum(path.stat().st_size for path in remote.rglob("*") if path.is_file())
found = []
for number in range(rounds):
    place, remote = folder / f"dvc{number}", folder / f"remote{number}"
    place.mkdir()
    git("init")
    dvc("init")
    dvc("config", "core.analytics", "false")
    dvc("remote", "add", "-d", "local", str(remote))
    commit("old")
    before, wall, cpu = size(), time.perf_counter(), os.times()
    commit("new")
    now = os.times()
    spent = sum(now[2:4]) - sum(cpu[2:4])
    found.append({"cpu": spent, "wall": time.perf_counter() - wall, "bytes": size() - before})
print(json.dumps({"commit": found}))
"""


@dataclass(frozen=True)
class Figures:
    """Medians of a commit."""

    cpu: float
    wall: float
    bytes: float

    @classmethod
    def of(cls, rounds: list[dict[str, float]]) -> Figures:
        return cls(*(statistics.median(one[name] for one in rounds) for name in ("cpu", "wall", "bytes")))


@dataclass(frozen=True)
class Tables:
    """The table, the rows that change (one column of 10,000 rows, spread), and the table with them."""

    old: pl.DataFrame
    changes: pl.DataFrame
    new: pl.DataFrame

    @property
    def schema(self) -> Schema:
        return tuple((name, WORDS[kind]) for name, kind in self.old.schema.items())


def tables() -> Tables:
    random = np.random.default_rng(23)
    old = table().with_columns(id=pl.Series(random.permutation(ROWS)))
    rows = np.sort(random.choice(ROWS, CHANGED, replace=False))
    values = old["f3"].to_numpy().copy()
    values[rows] += 1
    new = old.with_columns(f3=pl.Series(values))
    return Tables(old, new[rows], new)


def folder_store(folder: Path) -> Store:
    blobs = Blobs(f"file://{folder}")
    return Store(blobs.put, blobs.get, blobs.path)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def plain_size(given: Tables) -> int:
    """Return the bytes of the table as one Parquet file."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "table.parquet"
        given.old.write_parquet(path)
        return path.stat().st_size


def keyed(given: Tables) -> Figures:
    """The changed rows arrive; the key says which they replace."""
    return _ours(
        lambda store: append((), given.old, given.schema, store),
        lambda parts, store: upsert(parts, given.changes, given.schema, ("id",), store)[0],
        given,
    )


def whole_file(given: Tables) -> Figures:
    """The whole table arrives again, and nobody knows what is different."""
    return _ours(
        lambda store: replace((), given.old, given.schema, (), store),
        lambda parts, store: replace(parts, given.new, given.schema, (), store),
        given,
    )


def _ours(
    first: Callable[[Store], tuple[Part, ...]],
    second: Callable[[tuple[Part, ...], Store], tuple[Part, ...]],
    given: Tables,
) -> Figures:
    rounds = []
    for _ in range(ROUNDS + 1):
        with tempfile.TemporaryDirectory() as name:
            store = folder_store(Path(name))
            parts = first(store)
            before, wall, cpu = size_of(Path(name)), time.perf_counter(), time.process_time()
            after = second(parts, store)
            spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
            rounds.append(spent | {"bytes": size_of(Path(name)) - before})
            held = scan(after, given.schema, store).select("id", "f3").sort("id").collect()
            assert held.equals(given.new.select("id", "f3").sort("id"))
    return Figures.of(rounds[1:])


def delta(given: Tables) -> tuple[Figures, Figures]:
    """Return Delta's figures: merge of the changed rows, overwrite with the whole table."""
    found = _peer(peer("delta", *DELTA), DELTA_SCRIPT, given, ROUNDS)
    return Figures.of(found["merge"][1:]), Figures.of(found["overwrite"][1:])


def dvc(given: Tables) -> Figures:
    """Return DVC's figures: write the table as Parquet (DVC has no part in that; its input is a file), add, push to a
    folder, git commit."""
    found = Figures.of(_peer(peer("dvc", *DVC), DVC_SCRIPT, given, 3)["commit"])
    written = Figures.of([_writing(given) for _ in range(3)])
    return Figures(found.cpu + written.cpu, found.wall + written.wall, found.bytes)


def _writing(given: Tables) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        wall, cpu = time.perf_counter(), time.process_time()
        given.new.write_parquet(Path(name) / "table.parquet")
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "bytes": 0}


def _peer(python: Path, script: str, given: Tables, rounds: int) -> dict[str, list[dict[str, float]]]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        for part in ("old", "changes", "new"):
            getattr(given, part).write_parquet(Path(name) / f"{part}.parquet")
        environment = environ() | {"DVC_NO_ANALYTICS": "1", "PATH": f"{python.parent}:{os.environ['PATH']}"}
        told = subprocess.run(
            [python, "-c", script, name, str(rounds)], check=True, capture_output=True, text=True, env=environment
        ).stdout
    return dict(json.loads(told.splitlines()[-1]))


def notes(ours: Figures, delta: Figures, dvc: Figures) -> dict[str, float | str]:
    """Return the figures beside the ratio."""
    told: dict[str, float | str] = {}
    for name, one in (("ours", ours), ("delta", delta), ("dvc", dvc)):
        told |= {f"{name} CPU s": round(one.cpu, 3), f"{name} wall s": round(one.wall, 3)}
        told |= {f"{name} MB added": round(one.bytes / 1e6, 2)}
    for name, one in (("delta", delta), ("dvc", dvc)):
        told |= {f"{name} / ours, CPU": round(one.cpu / ours.cpu, 1)}
        told |= {f"{name} / ours, wall": round(one.wall / ours.wall, 1)}
    return told | {"versions": ", ".join([*DELTA, *DVC])}
