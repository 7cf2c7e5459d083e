"""The HTTP side without a socket: records reach the log in one write per tick, before any of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest

from gateway_parts import ONE, TWO, answerer, arm, constant, inputs
from modelloop.deploy.gateway.server import App, Commit, Gate
from modelloop.deploy.gateway.shadow import ShadowJob
from modelloop.deploy.records import Route, Stage

BODY = orjson.dumps({"inputs": inputs()})
HEADERS = [(b"host", b"localhost:1")]


class Wire:
    """Notes what happens, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.jobs: list[ShadowJob] = []
        route = Route("late", ONE, TWO, Stage.SHADOW, 1.0, "s", max_body=2000)
        gateway = answerer(route, arm(ONE, constant(0.1)), arm(TWO, constant(0.2)))
        self.app = App(gateway, Commit(self.write), self.shadow, Gate(frozenset({"localhost:1"})))

    def write(self, frames: list[bytes]) -> None:
        self.events.append(f"write {len(frames)}")

    def shadow(self, job: ShadowJob) -> None:
        self.events.append("shadow")
        self.jobs.append(job)

    async def ask(self, *parts: bytes, headers: list[tuple[bytes, bytes]] = HEADERS) -> int:
        messages = [{"type": "http.request", "body": part, "more_body": part is not parts[-1]} for part in parts]
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self.events.append("answer")
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v2/models/late/infer", "headers": headers}
        await self.app(scope, receive, send)
        return int(sent[0]["status"]) if sent else 0


def test_one_write_for_all_requests_of_a_tick_and_before_their_answers() -> None:
    wire = Wire()

    async def together() -> list[int]:
        return await asyncio.gather(*(wire.ask(BODY) for _ in range(5)))

    assert asyncio.run(together()) == [200] * 5
    assert wire.events[0] == "write 5"
    assert sorted(wire.events[1:]) == ["answer"] * 5 + ["shadow"] * 5
    assert wire.events.index("answer") < wire.events.index("shadow")


def test_a_mistake_is_not_logged() -> None:
    wire = Wire()
    assert asyncio.run(wire.ask(b"{}")) == 400
    assert wire.events == ["answer"]


def test_a_body_may_come_in_pieces_up_to_the_limit() -> None:
    assert asyncio.run(Wire().ask(BODY[:5], BODY[5:])) == 200
    assert asyncio.run(Wire().ask(b" " * 1500, b" " * 1500)) == 413
    assert asyncio.run(Wire().ask(b" " * 2001)) == 413


def test_a_caller_who_goes_away_gets_nothing() -> None:
    wire = Wire()
    assert asyncio.run(wire.ask()) == 0
    assert wire.events == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"localhost:1"), (b"origin", b"http://localhost:1")], 200),
        ([(b"host", b"localhost:1"), (b"origin", b"http://evil.example")], 403),
        ([(b"host", b"localhost:1"), (b"origin", b"null")], 403),
        ([(b"host", b"evil.example")], 403),
        ([], 403),
    ],
)
def test_only_programs_that_mean_this_gateway_may_ask(headers: list[tuple[bytes, bytes]], status: int) -> None:
    assert asyncio.run(Wire().ask(BODY, headers=headers)) == status
