"""A search in a process of its own: `python searcher.py DATABASE_URL HOME NAME METHOD TRIALS SECONDS [confirm]`.

Prints the study as JSON. Each call of the objective is a line in HOME/calls before it begins.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

from modelloop.ground.core.clock import SystemClock
from modelloop.ground.core.records import Actor, Role
from modelloop.ground.store.blobs import Blobs
from modelloop.ground.store.context import Context
from modelloop.ground.store.db import Database
from modelloop.train.search import choice, integer, real, search, when

SPACE = {"größe": real(-5, 5), "n": integer(1, 50, log=True), "k": choice("a", "b"), "d": when(real(0, 1), k="a")}


def main(url: str, home: Path, name: str, method: str, trials: int, seconds: float, *, confirm: bool) -> None:
    def loss(trying):
        with (home / "calls").open("a") as file:
            file.write(f"{trying.number} {os.getpid()}\n")
        noise = random.Random(trying.seed).gauss(0, 0.01)
        for step in range(3):
            time.sleep(seconds / 3)
            trying.report(step, abs(trying["größe"]) + 1 / (step + 1) + noise)
        return abs(trying["größe"]) + trying["n"] / 100 + trying.get("d", 0.3) + noise

    db = Database(url)
    ctx = Context(db, Blobs((home / "blobs").as_uri()), SystemClock(), Actor("tester", Role.ADMIN), home)
    study = search(
        loss, SPACE, trials=trials, seed=3, direction="lower", metric="loss", method=method,
        pruner="median" if method == "random" else None, store=ctx, name=name, weights="none",
        confirm=4 if confirm else None,
    )  # fmt: skip
    told = [[t.number, dict(t.params), t.value, t.state, [list(p) for p in t.curve]] for t in study.trials]
    again = [[one.number, list(one.values)] for one in study.sure.repeated] if study.sure else []
    sys.stdout.write(json.dumps({"trials": told, "best": study.best, "repeated": again}))
    db.close()


if __name__ == "__main__":
    main(
        sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]), float(sys.argv[6]),
        confirm="confirm" in sys.argv,
    )  # fmt: skip
