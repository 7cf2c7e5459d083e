"""Memory of a gateway with one small model, after load, and how long a cold start takes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from modelloop.deploy.records import Route

from ..answering import gateway, load, request, tensor_body
from ..measure import Measured, Work
from ..served import linear, put, trees

LIMIT = 100.0


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        arm = put(home, trees(rounds=5), tensor=linear())
        before = time.perf_counter()
        with gateway(home, Route("bench", arm)) as server:
            start = time.perf_counter() - before
            load(server, request(tensor_body()[0]), 32, 2.0)
            lines = Path(f"/proc/{server.pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split()[0].rstrip(":"): int(line.split()[1]) / 1024 for line in lines[1:]}
    notes: dict[str, float | str] = {"cold start to the first answer, s": start, "RSS, MB": sizes["Rss"]}
    return Measured(sizes["Pss"], LIMIT, "MB (PSS)", notes)


WORK = Work("memory of a gateway with one small model", "the bar of 100 MB", 1.0, _run)
