"""One row of one tensor: the shortest way gives the answer, the record and the columns of the careful one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_parts import ONE, TWO, Frames, Made, answerer, decoded, require_alike
from modelloop.deploy.gateway.answer import Answerer, Request
from modelloop.deploy.gateway.fast import Fast
from modelloop.deploy.gateway.runtime import LoadedArm
from modelloop.deploy.gateway.shadow import Shadow
from modelloop.deploy.records import Arm, LogPolicy, Route, Stage
from modelloop.prepare.records import Columns
from modelloop.register.records import Signature, TensorSpec

PATH = "/v2/models/late/infer"
SIGNATURE = Signature((), "score", "binary", tensors=(TensorSpec("x", "FP32", (-1, 3)),))


class Graph(Made):
    """Answers as a session does, whatever the gateway calls."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__(lambda columns: self._of(columns["x"]))
        self.factor = factor
        self.fed: list[npt.NDArray[Any]] = []
        """What it was asked with by the bare session."""
        self.found: npt.NDArray[Any] | None = None
        """What the bare session answers, if not what is right."""

    @property
    def bare(self) -> tuple[Any, str]:
        return self, "score"

    def run(self, names: list[str], feed: Columns, _options: None) -> list[npt.NDArray[Any]]:
        assert names == ["score"]
        self.fed.append(feed["x"].copy())
        return [self._of(feed["x"]) if self.found is None else self.found]

    def outputs(self, columns: Columns) -> dict[str, Any]:
        self.asked.append(columns)
        return {"score": self._of(columns["x"])}

    def _of(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return (np.tanh(rows).sum(axis=1) * np.float32(self.factor)).astype(np.float32)


def gateway(route: Route, *graphs: tuple[Arm, Graph]) -> tuple[Answerer, Fast, Frames]:
    made = answerer(route, *(LoadedArm(arm, SIGNATURE, graph) for arm, graph in graphs))
    log = made.desk.log
    assert isinstance(log, Frames)
    fast = Fast(made, lambda _: None)
    quick(fast, body([0, 0, 0]))  # so that the way a body begins is known
    log.frames.clear()
    made.jobs.clear()  # type: ignore[attr-defined]
    for _, graph in graphs:
        graph.fed.clear()
    return made, fast, log


def body(values: list[Any]) -> bytes:
    return json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": values}]}).encode()


def quick(fast: Fast, asked: bytes, *more: tuple[bytes, bytes]) -> bytes | None:
    head = fast.head(PATH.encode(), [(b"content-length", str(len(asked)).encode()), *more])
    assert head is not None
    return fast.answer(head, asked, 0.0)


def careful(made: Answerer, asked: bytes, prediction: str) -> Any:
    told: list[Any] = []
    made.infer(Request("POST", PATH, {}, asked), told.append, prediction=prediction)
    return told[0]


def fed(made: Answerer) -> int:
    """Return how often the bare sessions were asked."""
    scorers: list[Any] = [arm.scorer for arm in made.live.serving.routes["late"].arms]
    return sum(len(scorer.fed) for scorer in scorers)


ROUTES = {
    "alone": Route("late", ONE),
    "canary": Route("late", ONE, TWO, Stage.CANARY, 0.5, "salt"),
    "shadow": Route("late", ONE, TWO, Stage.SHADOW, 1.0, "salt"),
}
PARTS = {kind: gateway(route, (ONE, Graph()), (TWO, Graph(0.5))) for kind, route in ROUTES.items()}
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(ROUTES)), st.lists(NUMBERS, min_size=3, max_size=3))
def test_it_is_what_the_careful_way_gives(kind: str, values: list[float]) -> None:
    made, fast, log = PARTS[kind]
    log.frames.clear()
    before = fed(made)
    answer = quick(fast, body(values))
    assert answer is not None
    assert fed(made) == before + 1
    other = careful(made, body(values), fast.prediction)
    first = require_alike(answer, other, log.frames)
    assert ("sv" in first) == (kind == "shadow")


def test_both_versions_of_a_canary_answer() -> None:
    made, fast, log = PARTS["canary"]
    log.frames.clear()
    for _ in range(60):
        assert quick(fast, body([1, 2, 3]))
    assert {decoded(frame)["v"] for frame in log.frames} == {ONE.version, TWO.version}
    tallies = made.counters.snapshot().arms
    assert all(tallies["late", arm.version, name].answered for arm, name in ((ONE, "champion"), (TWO, "challenger")))


@pytest.mark.parametrize(
    "found",
    [
        np.array([np.nan], np.float32),
        np.array([np.inf], np.float32),
        np.array([0.5]),
        np.array([1], np.int32),
        np.array([0.5, 0.5], np.float32),
        np.array([[0.5, 0.5]], np.float32),
        np.array([[[0.5]]], np.float32),
        np.array(0.5, np.float32),
        np.array([], np.float32),
        np.array(["0.5"]),
    ],
    ids=str,
)
def test_an_answer_that_is_not_one_number_is_left_to_the_careful_way(found: npt.NDArray[Any]) -> None:
    graph = Graph()
    _, fast, log = gateway(Route("late", ONE), (ONE, graph))
    graph.found = found
    assert quick(fast, body([1, 2, 3])) is None
    assert not log.frames, "nothing was written"
    assert len(graph.fed) == 1, "it is not asked twice"


def test_a_column_of_one_number_is_one_number() -> None:
    graph = Graph()
    _, fast, _ = gateway(Route("late", ONE), (ONE, graph))
    graph.found = np.array([[0.5]], np.float32)
    answer = quick(fast, body([1, 2, 3]))
    assert answer is not None
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["outputs"][0]["data"] == [0.5]


@pytest.mark.parametrize("values", [[1, 2, True], [False, 1e3, 2], [1, 2, None], [1, 2, "3"], [1, 2], [1, 2, 1e39]])
def test_what_is_no_row_of_numbers_is_left_to_the_careful_way(values: list[Any]) -> None:
    graph = Graph()
    _, fast, log = gateway(Route("late", ONE), (ONE, graph))
    assert quick(fast, body(values)) is None
    assert (log.frames, graph.fed) == ([], [])


@pytest.mark.parametrize("values", [[1e-7, 2e5, -3.5e2], [1, 2.5, -0.0]])
def test_exponents_are_numbers(values: list[float]) -> None:
    graph = Graph()
    _, fast, _ = gateway(Route("late", ONE), (ONE, graph))
    assert quick(fast, body(values)) is not None
    np.testing.assert_array_equal(graph.fed, [np.array([values], np.float32)])


def test_rows_that_wait_for_the_shadow_are_their_own() -> None:
    made, fast, _ = gateway(ROUTES["shadow"], (ONE, Graph()), (TWO, Graph(0.5)))
    rows = [[float(number), 0.5, -1.0] for number in range(5)]
    for row in rows:
        assert quick(fast, body(row)) is not None
    asked = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}
    assert quick(fast, orjson.dumps({"inputs": [asked]})) is not None  # of another form, in the same batch
    for jobs, wanted in ((made.jobs[:5], rows), (made.jobs, [*rows, [1, 2, 3], [4, 5, 6]])):  # type: ignore[attr-defined]
        frames: list[bytes] = []
        shadow = Shadow(frames.extend)
        for job in jobs:
            shadow.offer(job)
        shadow.drain()
        scores = [score for frame in frames for score in decoded(frame)["s"]]
        expected = (np.tanh(np.array(wanted, np.float32)).sum(axis=1) * np.float32(0.5)).astype(np.float32)
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
        assert [decoded(frame)["id"] for frame in frames] == [job.prediction for job in jobs]


@pytest.mark.parametrize("policy", [LogPolicy(drop=("x",)), LogPolicy(mask=("x",))])
def test_what_must_not_be_written_is_not(policy: LogPolicy) -> None:
    _, fast, log = gateway(Route("late", ONE, log=policy), (ONE, Graph()))
    assert quick(fast, body([1, 2, 3])) is not None
    raw = np.array([1, 2, 3], "<f4").tobytes()
    assert raw not in log.frames[0]


def test_a_packed_answer_is_packed() -> None:
    _, fast, _ = gateway(Route("late", ONE), (ONE, Graph()))
    answer = quick(fast, body([1, 2, 3]), (b"accept-encoding", b"gzip"))
    assert answer is not None
    assert b"content-encoding: gzip" in answer
