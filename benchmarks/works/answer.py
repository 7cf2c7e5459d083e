"""One answered request: our gateway (routing, checks, log written before the answer) beside the bare limit."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl

from modelloop.deploy.records import Arm, Route, RoutingTable
from modelloop.deploy.table import TABLE_DOCUMENT, encode_table
from modelloop.evaluate.judge import Answers, evaluate
from modelloop.evaluate.profile import profile
from modelloop.evaluate.settings import MetricName, ObjectiveSettings, Task
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import category, number
from modelloop.prepare.transform import Transform
from modelloop.register import actions as register
from modelloop.register.parity import parity
from modelloop.register.records import Evidence
from modelloop.testing.fakes import make_context
from modelloop.train.candidate import candidate
from modelloop.train.scorer import Scorer

from ..measure import Measured, Work, environ, process_cpu, versions

ROWS, NUMBERS, REQUESTS, ROUNDS = 4000, 20, 3000, 4


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        body = _model(home)
        with _started([sys.executable, "-m", "benchmarks.limit_server", str(home)]) as limit, _gateway(home) as ours:
            _load(*limit, body, 300)
            _load(*ours, body, 300)
            pairs = [(_load(*ours, body, REQUESTS), _load(*limit, body, REQUESTS)) for _ in range(ROUNDS)]
    middle = sorted(pairs, key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
    return Measured(middle[0] * 1e6, middle[1] * 1e6, "CPU us a request", {"requests": REQUESTS * ROUNDS})


def _model(home: Path) -> bytes:
    """Register a 200-tree model with 20 numbers and a category; return a request for one row."""
    random = np.random.default_rng(1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame({f"n{i}": random.normal(size=ROWS) for i in range(NUMBERS)}).with_columns(
        pl.Series("kind", random.choice(["a", "b", "c"], ROWS)),
        pl.Series("at", [start + timedelta(minutes=i) for i in range(ROWS)]),
    )
    frame = frame.with_columns((pl.col("n0") + pl.col("n1") > 0).cast(pl.Float64).alias("y"))
    train, holdout = frame.head(3000), frame.tail(1000)
    prepared = Transform([*(number(f"n{i}") for i in range(NUMBERS)), category("kind")]).fit(train)
    names = [column.name for column in prepared.inputs]
    options = {"objective": "binary", "num_threads": 1, "verbose": -1}
    model = lgb.train(options, lgb.Dataset(prepared.apply(from_frame(train, names)), train["y"].to_numpy()), 200)
    made = candidate(model, prepared, train=train, holdout=holdout, label="y", time="at")
    scorer = Scorer(made.transform, made.onnx)
    scores = scorer.score(from_frame(holdout, names))
    objective = ObjectiveSettings("?", Task.BINARY, MetricName.AUC, "meaning", "y")
    answers = Answers(y=holdout["y"].to_numpy(), score=scores)
    evidence = Evidence(
        evaluate(objective, {}, answers),
        parity(scorer, from_frame(made.sample, names), made.expected, 1e-4),
        profile(from_frame(holdout, names), scores),
        {},
        objective,
    )
    ctx = make_context(home / "store", blobs_url=f"file://{home / 'blobs'}")
    version = register.register(ctx, "m", made, evidence)
    arm = Arm(version.name, version.digest)
    ctx.blobs.write_document(TABLE_DOCUMENT, encode_table(RoutingTable(1, (Route("bench", arm),))))
    ctx.db.close()
    (home / "transform.json").write_bytes(made.transform.to_bytes())
    (home / "model.onnx").write_bytes(made.onnx)
    row = holdout.row(0, named=True)
    tensors = [
        {"name": c.name, "shape": [1], "datatype": str(c.datatype), "data": [row[c.name]]} for c in prepared.inputs
    ]
    return json.dumps({"inputs": tensors}).encode()


@contextmanager
def _started(argv: list[str]) -> Iterator[tuple[int, int, str]]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environ())
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        port = int(line) if line.isdecimal() else int(json.loads(line)["address"].rsplit(":", 1)[1])
        yield process.pid, port, "/v2/models/bench/infer"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def _gateway(home: Path) -> Iterator[tuple[int, int, str]]:
    argv = [sys.executable, "-m", "modelloop.deploy.gateway", "--blobs", f"file://{home / 'blobs'}"]
    argv += ["--predictions", str(home / "predictions"), "--port", "0", "--id", "bench"]
    with _started(argv) as started:
        _, port, _ = started
        for _ in range(200):
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            line.request("GET", "/v2/models/bench/ready")
            if line.getresponse().status == 200:
                break
            time.sleep(0.05)
        yield started


def _load(pid: int, port: int, path: str, body: bytes, count: int) -> float:
    """Send `count` requests over one connection and return the server's CPU seconds for each."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    before = process_cpu(pid)
    for _ in range(count):
        line.request("POST", path, body)
        reply = line.getresponse()
        answer = reply.read()
        assert reply.status == 200, answer
    spent = process_cpu(pid) - before
    line.close()
    return spent / count


WORK = Work(
    "one row answered by the gateway",
    "bare asyncio protocol, same model, no checks, no log "
    f"({versions('httptools', 'uvloop', 'orjson', 'onnxruntime')})",
    4.0,
    _run,
)
