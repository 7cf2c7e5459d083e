"""Gateways with versions of every form, asked through their faces, for tests without a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from gateway_parts import INPUTS, ONE, TWO, Frames, answerer, arm, constant
from modelloop.deploy.gateway import faces
from modelloop.deploy.gateway.answer import Answerer, Request, Response, is_inference
from modelloop.deploy.gateway.runtime import LoadedArm
from modelloop.deploy.records import Arm, Route
from modelloop.prepare.records import Columns, Datatype, InputColumn
from modelloop.register.records import Signature, TensorSpec

LABELS = ("early", "on time", "late")
ROW = {"delay": 12.5, "distance": 300, "carrier": "UA", "night": False}


class Outputs:
    """Answers with a function from columns to outputs; keeps what it was asked with."""

    def __init__(self, answer: Callable[[Columns], Mapping[str, npt.NDArray[Any]]]) -> None:
        self.answer = answer
        self.asked: list[Columns] = []

    def outputs(self, columns: Columns) -> Mapping[str, npt.NDArray[Any]]:
        self.asked.append(columns)
        return self.answer(columns)

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        raise AssertionError(f"outputs is asked, not score({list(columns)})")


def binary(value: float = 0.75) -> Answerer:
    """One endpoint `late` whose version always answers `value`."""
    return answerer(Route("late", ONE), arm(ONE, constant(value)), log=Frames())


def made(signature: Signature, answer: Callable[[Columns], Mapping[str, npt.NDArray[Any]]]) -> tuple[Answerer, Outputs]:
    """One endpoint `late` with a version of this signature."""
    scorer = Outputs(answer)
    return answerer(Route("late", ONE), LoadedArm(ONE, signature, scorer), log=Frames()), scorer


def multiclass() -> tuple[Answerer, Outputs]:
    """Three classes; the second is the most probable in every row. A second output counts the rows' letters."""
    outputs = (TensorSpec("probabilities", "FP32", (-1, 3)), TensorSpec("letters", "INT64", (-1,)))
    signature = Signature(
        (InputColumn("text", Datatype.BYTES),), "probabilities", "multiclass", outputs=outputs, labels=LABELS
    )

    def answer(columns: Columns) -> Mapping[str, npt.NDArray[Any]]:
        texts = columns["text"].tolist()
        rows = np.tile(np.array([[0.25, 0.5, 0.25]], dtype=np.float32), (len(texts), 1))
        return {"probabilities": rows, "letters": np.array([len(text) for text in texts], dtype=np.int64)}

    return made(signature, answer)


def picture() -> tuple[Answerer, Outputs]:
    """Takes a file's bytes, answers how many they are."""
    signature = Signature((InputColumn("file", Datatype.BYTES, raw=True),), "size", "regression")
    return made(
        signature, lambda columns: {"size": np.array([len(b) for b in columns["file"].tolist()], dtype=np.float32)}
    )


def matrix() -> tuple[Answerer, Outputs]:
    """Takes a tensor [rows, 2, 2], answers its sums."""
    signature = Signature((), "sum", "regression", tensors=(TensorSpec("x", "FP32", (-1, 2, 2)),))
    return made(signature, lambda columns: {"sum": columns["x"].sum(axis=(1, 2)).astype(np.float32)})


def two() -> Answerer:
    """A champion `delay:1` and a standby `delay:2`."""
    route = Route("late", ONE, standby=(TWO,))
    return answerer(route, arm(ONE, constant(0.25)), arm(TWO, constant(0.75)), log=Frames())


def visit(
    gateway: Answerer,
    method: str,
    path: str,
    body: Any = b"",
    headers: Mapping[bytes, bytes] | None = None,
) -> Response:
    """Send a request and return its response, which must be there at once."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    request = Request(method, path, headers or {}, raw)
    found: list[Response] = []
    if is_inference(path) and method == "POST":
        gateway.infer(request, found.append)
    else:
        faces.answer(gateway, request, found.append)
    (response,) = found
    assert isinstance(response, Response)
    return response


def told(response: Response) -> Any:
    return orjson.loads(response.body)


def refused(response: Response, status: int = 400) -> str:
    """Return the sentence of a refusal."""
    body = told(response)
    assert response.status == status, body
    assert isinstance(body["error"], str)
    return str(body["error"])


__all__ = ["INPUTS", "ONE", "TWO", "Arm"]
