"""The ASGI side without a socket: records reach the log before their answers, bodies may come in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest

from gateway_parts import ONE, TWO, Frames, answerer, arm, constant, inputs
from modelloop.deploy.gateway.server import App, Gate
from modelloop.deploy.records import LogPolicy, Route, Stage

BODY = orjson.dumps({"inputs": inputs()})
HEADERS = [(b"host", b"localhost:1")]


class Wire(Frames):
    """Notes what happens, in order."""

    def __init__(self, log: LogPolicy | None = None, room: int = 100) -> None:
        super().__init__(room)
        self.events: list[str] = []
        route = Route("late", ONE, TWO, Stage.SHADOW, 1.0, "s", max_body=2000, log=log or LogPolicy())
        self.gateway = answerer(route, arm(ONE, constant(0.1)), arm(TWO, constant(0.2)), log=self)
        self.gateway.desk.shadow = lambda _: self.events.append("shadow")
        self.app = App(self.gateway, Gate(frozenset({"localhost:1"})))

    def append(self, record: bytes) -> bool:
        self.events.append("write")
        return super().append(record)

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


def test_the_record_is_written_before_the_answer_leaves() -> None:
    wire = Wire()
    assert asyncio.run(wire.ask(BODY)) == 200
    assert wire.events.index("write") < wire.events.index("answer")


def test_on_the_disk_before_the_answer_leaves() -> None:
    wire = Wire(LogPolicy(durability="disk"))

    async def together() -> tuple[list[int], bool]:
        asked = [asyncio.ensure_future(wire.ask(BODY)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        early = "answer" in wire.events
        for done in wire.waiting:
            done(True)
        return await asyncio.gather(*asked), early

    statuses, early = asyncio.run(together())
    assert (statuses, early) == ([200] * 3, False)
    assert wire.gateway.counters.in_flight == 0


@pytest.mark.parametrize("durability", ["process", "buffered", "disk"])
@pytest.mark.parametrize("required", [True, False])
def test_a_log_that_cannot_be_written(durability: str, required: bool) -> None:
    wire = Wire(LogPolicy(durability=durability, required=required), room=0)

    async def asked() -> int:
        answer = asyncio.ensure_future(wire.ask(BODY))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for done in wire.waiting:
            done(True)
        return await answer

    assert asyncio.run(asked()) == (503 if required else 200)


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
