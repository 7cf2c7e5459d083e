"""64 rows of 30 features, a linear model: raw tensors both ways beside JSON both ways, at the same gateway."""

from __future__ import annotations

import tempfile
from pathlib import Path

from modelloop.deploy.records import Route

from ..answering import gateway, load, request, tensor_body
from ..measure import Measured, Work
from ..served import linear, put, trees

ROWS, ROUNDS = 64, 4


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        arm = put(home, trees(rounds=5), tensor=linear())
        raw, head = tensor_body(ROWS, binary=True)
        listed, _ = tensor_body(ROWS)
        with gateway(home, Route("bench", arm)) as server:
            pairs = [
                (load(server, request(raw, head=head), 8, 1.0), load(server, request(listed), 8, 1.0))
                for _ in range(ROUNDS)
            ][1:]
    binary, text = sorted(pairs, key=lambda pair: pair[0].cpu / pair[1].cpu)[len(pairs) // 2]
    notes: dict[str, float | str] = {"answers a second, binary": binary.rate, "answers a second, JSON": text.rate}
    return Measured(binary.cpu * 1e6, text.cpu * 1e6, "CPU us an answer", notes)


WORK = Work("64 rows as raw tensors", "the same rows as JSON, the same gateway", 0.5, _run)
