"""The limit for one answer: a bare asyncio protocol with httptools, uvloop, orjson and the same ONNX Runtime session.

No routing, no checks, no log: what is left is the socket, the parser, the codec and the model. Prints its port.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httptools
import numpy as np
import orjson
import uvloop

from modelloop.prepare.transform import FittedTransform
from modelloop.train.scorer import Scorer


class Limit(asyncio.Protocol):
    """Answers every POST with the score of its rows."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, self.names = scorer, [(c.name, c.datatype == "BYTES") for c in scorer.transform.inputs]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.parser, self.body = transport, httptools.HttpRequestParser(self), b""

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        tensors = {t["name"]: t["data"] for t in orjson.loads(self.body)["inputs"]}
        self.body = b""
        columns = {n: np.array(tensors[n], dtype=object if text else np.float64) for n, text in self.names}
        scores = self.scorer.score(columns)
        out = orjson.dumps(
            {"outputs": [{"name": "score", "shape": [len(scores)], "datatype": "FP32", "data": scores.tolist()}]}
        )
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(out), out))


async def main(folder: Path) -> None:
    scorer = Scorer(
        FittedTransform.from_bytes((folder / "transform.json").read_bytes()), (folder / "model.onnx").read_bytes()
    )
    server = await asyncio.get_running_loop().create_server(lambda: Limit(scorer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
