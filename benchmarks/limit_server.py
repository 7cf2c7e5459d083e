"""The limit for one answer: a bare asyncio protocol with httptools, uvloop, orjson and the same ONNX Runtime session.

No routing, no checks, no log: what is left is the socket, the parser, the codec and the model. It reads what the
gateway reads (tensors by name in JSON, or raw behind it) and answers the same outputs. Prints its port.

    python -m benchmarks.limit_server FOLDER     # model.onnx, and transform.json for named columns
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httptools
import numpy as np
import orjson
import uvloop

from modelloop.prepare.transform import FittedTransform
from modelloop.train.scorer import Scorer, open_session

Score = Callable[[list[dict[str, Any]], memoryview], np.ndarray]


def by_tensor(folder: Path) -> Score:
    """Answer one FP32 tensor."""
    session = open_session((folder / "model.onnx").read_bytes())
    wanted, feed = [session.get_outputs()[0].name], session.get_inputs()[0].name

    def score(inputs: list[dict[str, Any]], raw: memoryview) -> np.ndarray:
        tensor = inputs[0]
        if "data" in tensor:
            values = np.array(tensor["data"], dtype=np.float32)
        else:
            values = np.frombuffer(raw, dtype=np.float32)
        return session.run(wanted, {feed: values.reshape(tensor["shape"])})[0].reshape(-1)

    return score


def by_columns(folder: Path) -> Score:
    """Answer named columns, prepared by the transform."""
    transform = FittedTransform.from_bytes((folder / "transform.json").read_bytes())
    scorer = Scorer(transform, (folder / "model.onnx").read_bytes())
    names = [(c.name, object if c.datatype == "BYTES" else np.float64) for c in transform.inputs]

    def score(inputs: list[dict[str, Any]], _raw: memoryview) -> np.ndarray:
        tensors = {tensor["name"]: tensor["data"] for tensor in inputs}
        return scorer.outputs({name: np.array(tensors[name], dtype=kind) for name, kind in names})["score"]

    return score


class Limit(asyncio.Protocol):
    """Answers every POST with the score of its rows."""

    def __init__(self, score: Score) -> None:
        self.score = score

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.parser = transport, httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.body, self.head = b"", 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"inference-header-content-length":
            self.head = int(value)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        view = memoryview(self.body)
        head = self.head or len(view)
        scores = self.score(orjson.loads(view[:head])["inputs"], view[head:])
        output = {"name": "score", "datatype": "FP32", "shape": [len(scores)]}
        if self.head:
            raw = scores.tobytes()
            answer = {"model_name": "bench", "outputs": [output | {"parameters": {"binary_data_size": len(raw)}}]}
            out = orjson.dumps(answer)
            lines = b"inference-header-content-length: %d\r\ncontent-length: %d" % (len(out), len(out) + len(raw))
            self.transport.write(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s%s" % (lines, out, raw))
            return
        answer = {"model_name": "bench", "outputs": [output | {"data": scores}]}
        out = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
        head_line = b"content-type: application/json\r\ncontent-length: %d" % len(out)
        self.transport.write(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (head_line, out))


async def main(folder: Path) -> None:
    score = by_columns(folder) if (folder / "transform.json").exists() else by_tensor(folder)
    server = await asyncio.get_running_loop().create_server(lambda: Limit(score), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
