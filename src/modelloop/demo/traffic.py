"""The callers: departure desks that ask the gateway over HTTP and report what came true, late.

Every failed answer is counted. A connection that breaks because a process was killed is tried again, as any client
would.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson

from ..ground.core.clock import iso
from ..ground.core.later import polars as pl
from .world import Board

STRINGS = ("carrier", "origin", "dest", "date")
DESKS = 3
RETRY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a desk was told about the rows of one board."""

    prediction: str
    version: str
    board: Board
    scores: list[float]


@dataclass(slots=True)
class Tally:
    """What the callers have seen so far."""

    requests: int = 0
    rows: int = 0
    failed: int = 0
    reconnects: int = 0
    last_failure: str = ""
    answers: list[Answer] = field(default_factory=list)


class Desks:
    """A few desks, each with one connection of its own. Not thread-safe: one player uses it."""

    def __init__(self, host: str, port: int, endpoint: str, inputs: Sequence[str]) -> None:
        self._address = (host, port)
        self._path = f"/v2/models/{endpoint}/infer"
        self._inputs = tuple(inputs)
        self._lines: list[http.client.HTTPConnection | None] = [None] * DESKS
        self._pool = ThreadPoolExecutor(DESKS)
        self.tally = Tally()

    def ask(self, boards: Sequence[Board]) -> list[Answer]:
        """Ask about all boards, the desks side by side, and return the answers in the order of the boards."""
        lanes = [self._pool.submit(self._lane, desk, boards[desk::DESKS]) for desk in range(DESKS)]
        by_desk = [lane.result() for lane in lanes]
        answers: list[Answer] = []
        for index in range(len(boards)):
            answer = by_desk[index % DESKS][index // DESKS]
            if isinstance(answer, Answer):
                answers.append(answer)
                self.tally.rows += len(answer.scores)
            else:
                self.tally.failed += 1
                self.tally.last_failure = answer
        self.tally.requests += len(boards)
        self.tally.answers.extend(answers)
        return answers

    def close(self) -> None:
        """Hang up."""
        self._pool.shutdown()
        for line in self._lines:
            if line is not None:
                line.close()

    def _lane(self, desk: int, boards: Sequence[Board]) -> list[Answer | str]:
        return [self._one(desk, board) for board in boards]

    def _one(self, desk: int, board: Board) -> Answer | str:
        body = request_body(board, self._inputs)
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                status, reply = self._post(desk, body)
                break
            except (OSError, http.client.HTTPException) as error:
                self._lines[desk] = None
                self.tally.reconnects += 1
                if time.monotonic() > deadline:
                    return f"no connection for {RETRY_SECONDS:.0f} s: {error}"
                time.sleep(0.05)  # the supervisor is restarting the gateway
        if status != http.HTTPStatus.OK:
            return f"{status}: {reply[:300].decode(errors='replace')}"
        answer = orjson.loads(reply)
        facts = answer["parameters"]
        return Answer(facts["prediction_id"], facts["version"], board, answer["outputs"][0]["data"])

    def _post(self, desk: int, body: bytes) -> tuple[int, bytes]:
        line = self._lines[desk]
        if line is None:
            line = self._lines[desk] = http.client.HTTPConnection(*self._address, timeout=30)
        line.request("POST", self._path, body)
        reply = line.getresponse()
        return reply.status, reply.read()


def request_body(board: Board, inputs: Sequence[str]) -> bytes:
    """Return the Open Inference Protocol request for a board: one tensor a column, and the clock of the year 2013."""
    count = board.rows.height
    tensors = [
        {
            "name": name,
            "shape": [count],
            "datatype": "BYTES" if name in STRINGS else "FP64",
            "data": board.rows[name].to_list(),
        }
        for name in inputs
    ]
    return orjson.dumps({"parameters": {"event_time": iso(board.asked_at)}, "inputs": tensors})


def outcomes(
    answers: Sequence[Answer], known_until: datetime, delay: timedelta
) -> tuple[list[dict[str, object]], list[Answer]]:
    """Return the outcomes of boards whose flights landed `delay` ago, and the answers that wait for the truth."""
    ready: list[dict[str, object]] = []
    waiting: list[Answer] = []
    for answer in answers:
        if answer.board.asked_at + timedelta(hours=8) + delay > known_until:
            waiting.append(answer)
            continue
        rows = answer.board.rows.with_row_index("row").filter(
            pl.col("late").is_not_null() & pl.col("landed_at").is_not_null()
        )
        for row, late, landed in rows.select("row", "late", "landed_at").iter_rows():
            ready.append({"prediction_id": answer.prediction, "row": row, "label": late, "event_time": iso(landed)})
    return ready, waiting
