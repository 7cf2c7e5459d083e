"""A gateway's answering part with small made-up versions, for tests without a process."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from modelloop.deploy.gateway import faces
from modelloop.deploy.gateway.answer import Answerer, Request, Response, is_inference
from modelloop.deploy.gateway.runtime import Live, LoadedArm, assemble
from modelloop.deploy.gateway.shadow import ShadowJob
from modelloop.deploy.log import _DECODER, _HEAD
from modelloop.deploy.records import Arm, Route, RoutingTable
from modelloop.prepare.records import Columns, Datatype, InputColumn
from modelloop.register.records import Signature
from modelloop.testing.fakes import FakeClock

INPUTS = (
    InputColumn("delay", Datatype.FP64, nullable=True),
    InputColumn("distance", Datatype.INT64),
    InputColumn("carrier", Datatype.BYTES),
    InputColumn("night", Datatype.BOOL),
)
ONE = Arm("delay:1", "a" * 64)
TWO = Arm("delay:2", "b" * 64)


class Made:
    """Answers with a function of the columns; keeps what it was asked with."""

    def __init__(self, answer: Callable[[Columns], Any]) -> None:
        self.answer = answer
        self.asked: list[Columns] = []

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        self.asked.append(columns)
        return np.asarray(self.answer(columns), dtype=np.float64)


def constant(value: float) -> Made:
    return Made(lambda columns: np.full(len(next(iter(columns.values()))), value))


def fails(columns: Columns) -> Any:
    raise KeyError("inside the model")


def arm(which: Arm, scorer: Made, inputs: tuple[InputColumn, ...] = INPUTS) -> LoadedArm:
    return LoadedArm(which, Signature(inputs, "score", "binary"), scorer)


class Frames:
    """A log in memory. `room`: how many records it takes."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.frames: list[bytes] = []
        self.room = room
        self.waiting: list[Callable[[bool], None]] = []
        """Who waits for the disk."""

    def append(self, record: bytes) -> bool:
        self.frames += [record] if len(self.frames) < self.room else []
        return self.frames[-1:] == [record]

    append_buffered = append

    def append_disk(self, record: bytes, done: Callable[[bool], None]) -> None:
        kept = self.append(record)
        self.waiting.append(lambda _: done(kept))


@dataclass
class Reply:
    """A response, with what was written and queued for it."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    record: bytes | None
    shadow: ShadowJob | None


def answerer(route: Route, *arms: LoadedArm, log: Frames | None = None, **more: Any) -> Answerer:
    """Return an answerer for one route whose versions are `arms`."""
    held = {each.arm: each for each in arms}
    serving, failed = assemble(RoutingTable(7, (route,)), held, held.__getitem__)
    assert not failed
    return answering(Live(serving), FakeClock(), log=log, **more)


def answering(live: Live, clock: Any, *, log: Frames | None = None, **more: Any) -> Answerer:
    jobs: list[ShadowJob] = []
    made = Answerer(live, clock, lambda: {"log": "ok"}, log=log or Frames(), shadow=jobs.append, **more)
    made.jobs = jobs  # type: ignore[attr-defined]
    return made


def tensor(name: str, datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data} | more


def inputs(rows: int = 1) -> list[dict[str, Any]]:
    return [
        tensor("delay", "FP64", [1.5] * rows),
        tensor("distance", "INT64", [100] * rows),
        tensor("carrier", "BYTES", ["AA"] * rows),
        tensor("night", "BOOL", [True] * rows),
    ]


def ask(
    gateway: Answerer,
    body: Any,
    path: str = "/v2/models/late/infer",
    *,
    headers: Mapping[bytes, bytes] | None = None,
    method: str = "POST",
) -> Reply:
    """Ask, and return the answer where it is given within the call."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    log, jobs = gateway.desk.log, gateway.jobs  # type: ignore[attr-defined]
    assert isinstance(log, Frames)
    log.frames, jobs[:] = [], []
    told: list[Response] = []
    request = Request(method, path, headers or {}, raw)
    if is_inference(path) and method == "POST":
        gateway.infer(request, told.append)
    else:
        faces.answer(gateway, request, told.append)
    (found,) = told
    return Reply(found.status, found.body, found.headers, *(log.frames[:1] or [None]), *(jobs[:1] or [None]))


def told(response: Reply) -> dict[str, Any]:
    found = orjson.loads(response.body)
    assert isinstance(found, dict)
    return found


def decoded(record: bytes) -> dict[str, Any]:
    length, checksum = _HEAD.unpack(record[: _HEAD.size])
    payload = record[_HEAD.size :]
    assert (length, checksum) == (len(payload), zlib.crc32(payload))
    found: dict[str, Any] = _DECODER.decode(payload)
    return found


def logged(response: Reply) -> dict[str, Any]:
    assert response.record is not None
    return decoded(response.record)


def require_alike(quick: bytes, careful: Response, frames: Sequence[bytes]) -> dict[str, Any]:
    """Require that the fast way's answer is the careful one's, and so its record but for times; return the record."""
    lines, _, content = quick.partition(b"\r\n\r\n")
    assert content == careful.body
    theirs = dict(line.split(b": ", 1) for line in lines.split(b"\r\n"))
    assert theirs == dict(careful.headers) | {b"content-length": str(len(content)).encode()}
    first, second = (decoded(frame) for frame in frames)
    for name in ("at", "et", "ms", "lat"):
        assert math.isfinite(first.pop(name) + second.pop(name))
    assert first == second
    return first
