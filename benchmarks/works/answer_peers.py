"""Answers a second beside packaged servers: the same 30 numbers, a linear model and 200 trees, 1, 8 and 32 connections.

Ours answers in the Open Inference Protocol with metrics and the prediction log on; each peer in its own form, as its
documentation says (`benchmarks/serving`). Held against the best peer of each cell. One server runs at a time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx

from modelloop.deploy.records import Route
from modelloop.train.adapters.graph import positive

from ..answering import gateway, request, tensor_body
from ..measure import Measured, Work, environ
from ..served import put, trees
from ..serving import asked, data

CONNECTIONS = (1, 8, 32)
SECONDS, ROUNDS = 1.0, 3
SCORE_OPTIONS = {"zipmap": False}


def _run() -> Measured:
    notes: dict[str, float | str] = {}
    worst, pair = 0.0, (1.0, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("linear", "trees"):
            home = Path(folder) / kind
            home.mkdir()
            graph = _graph(kind)
            mine = _ours(home, graph)
            expected = float(data.fitted(kind).predict_proba(np.array([asked.ROW], dtype=np.float32))[0, 1])
            theirs = {name: _theirs(home, name, kind, graph, expected) for name in asked.PEERS}
            if missing := [name for name, found in theirs.items() if not found]:
                notes[f"{kind}, not measured"] = ", ".join(missing)
            for count in CONNECTIONS:
                best = max((name for name in theirs if count in theirs[name]), key=lambda name: theirs[name][count])
                notes[f"{kind}, {count} connections, times {best}"] = round(mine[count] / theirs[best][count], 1)
                if theirs[best][count] / mine[count] > worst:
                    worst, pair = theirs[best][count] / mine[count], (1 / mine[count], 1 / theirs[best][count])
            rates = {name: {count: round(rate) for count, rate in found.items()} for name, found in theirs.items()}
            notes[f"{kind}, answers a second"] = json.dumps({"ours": {c: round(r) for c, r in mine.items()}, **rates})
    return Measured(*pair, "s an answer (the cell in which the best peer is nearest)", notes)


def _graph(kind: str) -> bytes:
    """Return the fitted model as a graph that answers one probability a row."""
    model = data.fitted(kind)
    made = to_onnx(model, data.rows(1), options={id(model): SCORE_OPTIONS}, target_opset={"": 17, "ai.onnx.ml": 3})
    return positive(made, columns=2)


def _ours(home: Path, graph: bytes) -> dict[int, float]:
    arm = put(home, trees(columns=3, rounds=5), tensor=graph)
    body, _ = tensor_body()
    with gateway(home, Route("bench", arm)) as server:
        sent = request(body).replace(b"%PORT%", str(server.port).encode())
        return {count: _rate(server.port, sent, count) for count in CONNECTIONS}


def _theirs(home: Path, name: str, kind: str, graph: bytes, expected: float) -> dict[int, float]:
    folder = home / name
    folder.mkdir()
    (folder / "model.onnx").write_bytes(graph)
    try:
        with asked.started(name, kind, home, expected) as port:
            sent = asked.request(name, port)
            return {count: _rate(port, sent, count) for count in CONNECTIONS}
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(f"{kind}: {name} is not measured: {error}", file=sys.stderr)
        return {}


def _rate(port: int, sent: bytes, count: int) -> float:
    argv = [sys.executable, "-m", "benchmarks.asking", str(port), str(count), str(SECONDS)]
    rates = []
    for _ in range(ROUNDS):
        told = json.loads(subprocess.run(argv, input=sent, stdout=subprocess.PIPE, check=True, env=environ()).stdout)
        rates.append(told["answers"] / told["seconds"])
    return statistics.median(rates)


WORK = Work(
    "answers a second beside packaged servers",
    "the best of MLflow 3.17.2, BentoML 1.4.39, LitServe 0.2.19, MLServer 1.7.1, KServe 0.21.0, Ray Serve 2.60.0, "
    "Triton (PyTriton 0.7.0), one worker each",
    0.125,
    _run,
)
