"""A process that logs until it is killed; what was confirmed to it stands on its standard output.

python logging_process.py FOLDER DATABASE_URL RUN [upload]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from modelloop.testing.fakes import make_context
from modelloop.train.tracking.actions.artifacts import open_upload
from modelloop.train.tracking.records import CHUNK, Batch, Metric, Owner
from modelloop.train.tracking.writer import Writer


def log(folder: Path, url: str, run: str) -> None:
    """Two metrics in each batch, so that halves would show; many batches wait at once."""
    there = Writer(make_context(folder, database_url=url))
    step = 0
    while True:
        waiting = []
        for _ in range(5):
            waiting.append((step, there.submit(Batch(run, [Metric("a", 1.0, step), Metric("b", 2.0, step)]))))
            step += 1
        for number, future in waiting:
            future.result()
            os.write(1, b"%d\n" % number)


def upload(folder: Path, url: str, run: str) -> None:
    """Chunk after chunk, never committed."""
    there = open_upload(make_context(folder, database_url=url), Owner("run", run), "big.bin")
    while True:
        there.write(os.urandom(CHUNK))
        os.write(1, b"chunk\n")


if __name__ == "__main__":
    (upload if sys.argv[4:] else log)(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
