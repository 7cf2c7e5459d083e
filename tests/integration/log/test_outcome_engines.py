"""What was answered and what turned out true, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelloop.deploy import actions
from modelloop.deploy.log import frame
from modelloop.deploy.records import Truth
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context
from served import ENDPOINT, T0, Gateway, micro, serve_first


@pytest.fixture
def ctx(tmp_path: Path, database_url: str) -> Iterator[Context]:
    made = make_context(tmp_path, database_url=database_url)
    yield made
    made.db.close()


@pytest.fixture
def gateway(ctx: Context) -> Gateway:
    """A gateway that serves a first version."""
    return serve_first(ctx)


def record(name: str, key: str, **more: Any) -> bytes:
    found = {"k": "a", "id": name, "at": micro(T0), "et": micro(T0), "ep": ENDPOINT, "gen": 1, "arm": "champion"}
    return frame(found | {"v": "delay:1", "x": {"x": [None]}, "s": [0.5], "ms": 1.0, "bk": key} | more)


def test_the_whole_way(ctx: Context, gateway: Gateway) -> None:
    outputs = {"p": [[float("nan"), 1.0]], "word": ["zero\0byte"]}
    early = actions.join_outcomes(ctx, ENDPOINT, [Truth(1.0, key="k1"), Truth(0.0, prediction="p2")])
    assert (early.accepted, early.waiting) == (0, 2)
    assert gateway.log.write([record("p1", "k1", o=outputs, sl={"s": ["\0"]}), record("p2", "k2")])
    assert gateway.log.append(frame({"k": "s", "id": "p1", "v": "delay:2", "s": [0.25], "ms": 2.0, "o": outputs}))
    failed = {"k": "f", "id": "f1", "at": micro(T0), "et": micro(T0), "ep": ENDPOINT, "gen": 1}
    assert gateway.log.append(frame(failed | {"arm": "champion", "v": "delay:1", "err": "bang\0", "rows": 2}))
    assert actions.collect(ctx) == 2
    assert gateway.log.append(frame({"k": "s", "id": "p2", "v": "delay:2", "s": None, "err": "late"}))
    actions.collect(ctx)
    (first,), (second,) = actions.prediction(ctx, "p1"), actions.prediction(ctx, "p2")
    assert (first.label, first.answer, first.missing) == (
        1.0,
        {"p": [None, 1.0], "word": "zero\N{REPLACEMENT CHARACTER}byte"},
        ("x",),
    )
    assert (first.shadow_score, first.shadow_milliseconds, first.shadow_answer) == (0.25, 2.0, first.answer)
    assert (second.label, second.shadow_error) == (0.0, "late")
    assert [one.id for one in actions.failures(ctx, ENDPOINT)] == ["f1"]
    assert actions.waiting_outcomes(ctx, ENDPOINT) == []
    assert [one.id for one in actions.replay(ctx, ENDPOINT, T0, T0 + timedelta(1), rows=1)] == ["p1", "p2"]
    assert actions.erase_answers(ctx, ENDPOINT, "k1", reason="asked for it").rewritten == 1
    kept = SimpleNamespace(endpoints={ENDPOINT: SimpleNamespace(log=SimpleNamespace(keep_days=1))})
    cast(Any, ctx.clock).advance(timedelta(days=100_0))
    assert actions.forget_old(ctx, cast(Any, kept)).predictions == 1


def test_outcomes_and_predictions_that_meet_miss_none(ctx: Context, gateway: Gateway) -> None:
    """Outcomes are told while what they are about is being taken in."""

    def work(number: int) -> None:
        if number % 2:
            actions.collect(ctx)
        else:
            actions.join_outcomes(ctx, ENDPOINT, [Truth(1.0, key=f"k{n}") for n in range(number, number + 2)])

    for number in range(16):
        assert gateway.log.append(record(f"p{number}", f"k{number}"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(16)))
    actions.collect(ctx)
    assert [actions.prediction(ctx, f"p{number}")[0].label for number in range(16)] == [1.0] * 16
    assert actions.waiting_outcomes(ctx, ENDPOINT) == []
