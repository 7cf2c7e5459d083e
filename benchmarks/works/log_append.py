"""One record into the prediction log (durability `process`) beside write(2) of the same bytes to an open file.

Both leave the bytes in the page cache before they return, so both survive a killed process. Ours counts everything that
goes with it: the room that is reserved, rotation, the log's own thread, the cut at the end.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from modelloop.deploy.log import PredictionLog, frame

from ..measure import Measured, Work, paired, versions

COUNT, ROUNDS = 200_000, 5


def _run() -> Measured:
    one = frame({"k": "a", "pad": "x" * 380})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, reference = paired(lambda: _ours(folder, one), lambda: _bare(folder / "bare", one), ROUNDS)
        buffered, _ = paired(lambda: _buffered(folder, one), lambda: 0.0, 2)
    return Measured(ours, reference, "CPU us a record", {"bytes": len(one), "buffered": round(buffered, 3)})


def _ours(folder: Path, one: bytes) -> float:
    started = time.process_time()
    log = PredictionLog(folder, "bench", time.time_ns())
    for _ in range(COUNT):
        log.append(one)
    log.close()
    spent = time.process_time() - started
    assert not log.failed
    _clear(folder / "bench")
    return spent / COUNT * 1e6


def _buffered(folder: Path, one: bytes) -> float:
    count = COUNT // 2  # more would wait at once than is allowed to
    started = time.process_time()
    log = PredictionLog(folder, "bench", time.time_ns())
    for _ in range(count):
        log.append_buffered(one)
    log.close()
    spent = time.process_time() - started
    assert not log.failed + log.lost
    _clear(folder / "bench")
    return spent / count * 1e6


def _bare(path: Path, one: bytes) -> float:
    started = time.process_time()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for _ in range(COUNT):
        os.write(file, one)
    os.close(file)
    spent = time.process_time() - started
    path.unlink()
    return spent / COUNT * 1e6


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


WORK = Work(
    "one record appended to the prediction log", f"os.write of the same bytes ({versions('msgspec')})", 0.7, _run
)
