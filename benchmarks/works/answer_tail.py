"""The latency that 1 answer in 100 exceeds, of a linear model: ours beside the limit's, the worst of three loads."""

from __future__ import annotations

import tempfile
from pathlib import Path

from modelloop.deploy.records import Route, Stage

from ..answering import Load, gateway, limit, load, request, tensor_body
from ..measure import Measured, Work
from ..served import linear, put, trees
from .answer import REFERENCE

ROUNDS = 7


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        made = trees(rounds=5)
        champion, challenger = (put(home, made, number=number, tensor=linear()) for number in (1, 2))
        asked = request(tensor_body()[0])
        route = Route("bench", champion, challenger, Stage.CANARY, 0.1, "salt")
        with limit(home) as first, gateway(home, route) as second:
            load(first, asked, 8, 0.5)
            load(second, asked, 8, 0.5)
            found = {
                count: [(load(second, asked, count, 1.0), load(first, asked, count, 1.0)) for _ in range(ROUNDS)]
                for count in (1, 8, 32)
            }
    # Runs take turns, and the middle of their ratios counts: a neighbour's burst hits one run of a pair, not all.
    middle = {count: sorted(pairs, key=_ratio)[ROUNDS // 2] for count, pairs in found.items()}
    notes: dict[str, float | str] = {
        f"{count} connections": f"{ours.p99 * 1e3:.3f}/{theirs.p99 * 1e3:.3f} ms, p50 {ours.p50 / theirs.p50:.2f}"
        for count, (ours, theirs) in middle.items()
    }
    ours, theirs = max(middle.values(), key=_ratio)
    return Measured(ours.p99 * 1e3, theirs.p99 * 1e3, "ms, 99th percentile", notes)


def _ratio(pair: tuple[Load, Load]) -> float:
    return pair[0].p99 / pair[1].p99


WORK = Work("the slowest answer of 100, at 1, 8 and 32 connections", REFERENCE, 1.3, _run)
