"""Eight processes that start at once on an empty store. All must succeed; the peers' market leader loses 8 of 8."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ..measure import Measured, Work, environ

START = (
    "import sys; from modelloop.ground.store.db import Database; from modelloop.ground.store.migrate import migrate; "
    "db = Database(sys.argv[1]); migrate(db)"
)
CONNECT = (
    "import sys; import sqlalchemy as sa; e = sa.create_engine(sys.argv[1]); "
    "e.connect().exec_driver_sql('create table if not exists t (a int)')"
)


def _run() -> Measured:
    rounds = 5
    ours = [_eight(START) for _ in range(rounds)]
    reference = [_eight(CONNECT) for _ in range(rounds)]
    succeeded = sum(count for count, _ in ours)
    if succeeded != 8 * rounds:
        raise SystemExit(f"only {succeeded} of {8 * rounds} starts succeeded")
    cpu = sorted(seconds for _, seconds in ours)[rounds // 2]
    base = sorted(seconds for _, seconds in reference)[rounds // 2]
    return Measured(cpu, base, "CPU s for eight", {"starts that succeeded": f"{succeeded} of {8 * rounds}"})


def _eight(code: str) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'facts.sqlite'}"
        before = os.times()
        argv = [sys.executable, "-c", code, url]
        started = [subprocess.Popen(argv, env=environ(), stderr=subprocess.DEVNULL) for _ in range(8)]
        good = sum(process.wait() == 0 for process in started)
        after = os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return good, spent


WORK = Work(
    "eight processes at once on an empty store",
    "eight processes that only import SQLAlchemy and create one table; MLflow 3.17 on the same work: 0 of 8 succeed",
    4.0,
    _run,
)
