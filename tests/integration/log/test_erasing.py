"""A person's rows go from facts, parts and the file that a running gateway writes; what cannot go at once, later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployed import live, publish, route
from gateway_process import Gateway, Place, gateway, request, wait_for, wait_ready
from modelloop.deploy import actions, tables
from modelloop.deploy.records import Erasure, LogPolicy
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context

FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
ENDPOINT, PERSON, OTHER = "late_flights", "person-of-interest", "somebody-else"
ERASER = """
import sys
from pathlib import Path
from modelloop.deploy import actions
from modelloop.testing.fakes import make_context

ctx = make_context(Path(sys.argv[1]))
actions.erase_answers(ctx, sys.argv[2], sys.argv[3], reason="asked for it", patience=60)
"""


@pytest.fixture(params=["process", "buffered", "disk"])
def durability(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(ctx: Context, durability: str) -> Place:
    """An endpoint whose requests name a business key."""
    found = live(route(ctx.blobs))
    publish(ctx.blobs, replace(found, outcome_key="order", log=LogPolicy(durability=durability)))
    known = {"name": ENDPOINT, "model": "delay", "task": "binary", "key": None, "max_body": 1_000_000, "max_rows": 100}
    serving = {"outcome_key": "order", "log": {"durability": durability}}
    with ctx.db.transaction() as connection:
        tables.insert(connection, tables.endpoint, [known | {"champion": "delay:1", "serving": serving}])
    return Place(ctx.home, ctx.blobs.url)


@pytest.fixture
def running(place: Place) -> Iterator[tuple[Gateway, httpx.Client]]:
    with gateway(place) as process, httpx.Client(base_url=process.address) as client:
        wait_ready(client)
        yield process, client


def ask(client: httpx.Client, order: str) -> None:
    answer = client.post(f"/v2/models/{ENDPOINT}/infer", json=request(order=order))
    assert answer.status_code == 200, answer.text


def bytes_with(ctx: Context, word: str) -> list[Path]:
    """Return files of the log in which a word stands; no part may have it."""
    found = [path for path in (ctx.home / "predictions").rglob("*") if path.is_file() and word.encode() in _read(path)]
    frames = actions.inputs_between(ctx, ENDPOINT, FIRST, LAST)
    assert word not in str(frames.to_dicts())
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # taken in meanwhile
        return b""


def rows(ctx: Context, key: str) -> int:
    return len(actions.predictions_of_key(ctx, ENDPOINT, key))


def events(ctx: Context, action: str) -> list[dict[str, Any]]:
    with ctx.db.reading() as connection:
        return [dict(one.detail) for one in audit.newest(connection) if one.action == action]


def finished(ctx: Context, found: Erasure) -> Erasure:
    """Let the loop go on with erasures until this one is over."""

    def over() -> Erasure | None:
        actions.finish_erasures(ctx)
        now = next(one for one in actions.erasures(ctx) if one.id == found.id)
        return now if now.finished_at is not None else None

    made = wait_for(over)
    assert isinstance(made, Erasure)
    return made


def test_an_erasure_is_complete_in_seconds_while_the_gateway_answers(
    ctx: Context, running: tuple[Gateway, httpx.Client]
) -> None:
    _, client = running
    for order in (PERSON, OTHER, PERSON):
        ask(client, order)
    done = actions.erase_answers(ctx, ENDPOINT, PERSON, reason="asked for it", patience=30)
    assert done.finished_at is not None
    assert (done.predictions, done.pending, done.by_hand) == (2, (), ())
    assert bytes_with(ctx, PERSON) == []
    assert (rows(ctx, PERSON), rows(ctx, OTHER)) == (0, 1)
    (event,) = events(ctx, "predictions.erased")
    assert (event["predictions"], event["reason"], event["fingerprint"]) == (2, "asked for it", done.fingerprint)
    assert PERSON not in str(event)
    ask(client, PERSON)  # what comes afterwards is new
    wait_for(lambda: actions.collect(ctx) or rows(ctx, PERSON))
    assert rows(ctx, PERSON) == 1
    assert actions.erasures(ctx, unfinished=True) == []
    assert list((ctx.home / "predictions").glob("*/*.close")) == []


@pytest.mark.parametrize("durability", ["process"], indirect=True)
def test_a_gateway_that_hangs_is_named_and_its_file_goes_when_it_goes_on(
    ctx: Context, running: tuple[Gateway, httpx.Client]
) -> None:
    process, client = running
    ask(client, PERSON)
    os.kill(process.process.pid, signal.SIGSTOP)
    try:
        done = actions.erase_answers(ctx, ENDPOINT, PERSON, reason="asked for it", patience=0.5)
        assert done.finished_at is None
        assert done.predictions == 1
        assert len(done.pending) == 1
        assert done.pending[0].startswith("g1/")
        assert [str(path.relative_to(ctx.home / "predictions")) for path in bytes_with(ctx, PERSON)] == [*done.pending]
        assert rows(ctx, PERSON) == 0
        assert actions.erasures(ctx, unfinished=True) == [done]
    finally:
        os.kill(process.process.pid, signal.SIGCONT)
    assert finished(ctx, done).pending == ()
    assert bytes_with(ctx, PERSON) == []


@pytest.mark.parametrize("durability", ["process"], indirect=True)
def test_a_gateway_that_is_killed_keeps_nothing(ctx: Context, running: tuple[Gateway, httpx.Client]) -> None:
    process, client = running
    ask(client, PERSON)
    os.kill(process.process.pid, signal.SIGSTOP)
    done = actions.erase_answers(ctx, ENDPOINT, PERSON, reason="asked for it", patience=0)
    assert done.finished_at is None
    process.kill()
    assert finished(ctx, done).predictions == 1
    assert bytes_with(ctx, PERSON) == []


def test_an_eraser_that_is_killed_is_made_up_for_by_the_loop(
    ctx: Context, running: tuple[Gateway, httpx.Client], tmp_path: Path
) -> None:
    process, client = running
    ask(client, PERSON)
    wait_for(lambda: actions.collect(ctx) or rows(ctx, PERSON))
    os.kill(process.process.pid, signal.SIGSTOP)
    eraser = subprocess.Popen([sys.executable, "-c", ERASER, str(tmp_path), ENDPOINT, PERSON])
    try:
        wait_for(lambda: actions.erasures(ctx, unfinished=True))
        time.sleep(0.1)
        eraser.kill()
    finally:
        eraser.wait()
        os.kill(process.process.pid, signal.SIGCONT)
    (left,) = actions.erasures(ctx)
    assert finished(ctx, left).predictions == 1
    assert bytes_with(ctx, PERSON) == []
    assert rows(ctx, PERSON) == 0
