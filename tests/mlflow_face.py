"""The MLflow-compatible API without a socket: requests go to the application as uvicorn would hand them over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from modelloop.ground.store.context import Context
from modelloop.mlflow.desk import open_desk
from modelloop.mlflow.face import Face
from modelloop.mlflow.routes import ROUTES
from modelloop.train.tracking.writer import Writer
from modelloop.web.session import Doorkeeper

TOKEN = "the-token"
BEARER = f"Bearer {TOKEN}"


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error_code"])

    @property
    def message(self) -> str:
        return str(self.json["message"])


class Client:
    """Speaks to a face; `authorization` goes with every request."""

    def __init__(self, face: Face) -> None:
        self.face = face
        self.authorization: str | None = BEARER

    def call(self, method: str, path: str, body: Any = b"", **more: Any) -> Reply:
        """Send one request whole. `body`: bytes, or what becomes JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return run(self.send(method, path, [data], **more))

    async def send(
        self, method: str, path: str, parts: Sequence[bytes | None], *, query: Any = None, headers: Any = ()
    ) -> Reply:
        """Send a body in parts; None: the client goes away there. The status of a reply that never came is 0."""
        waiting: list[Mapping[str, Any]] = [
            {"type": "http.disconnect"}
            if part is None
            else {"type": "http.request", "body": part, "more_body": place < len(parts) - 1}
            for place, part in enumerate(parts)
        ]
        sent: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            if waiting:
                return waiting.pop(0)
            await asyncio.sleep(3600)
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        given = [(b"host", b"127.0.0.1"), *headers]
        if self.authorization is not None:
            given.append((b"authorization", self.authorization.encode()))
        text = query if isinstance(query, bytes) else urlencode(query or {}, doseq=True).encode()
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": text,
            "headers": given,
        }
        await self.face(scope, receive, send)
        if not sent:
            return Reply(0, {}, b"")
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Reply(sent[0]["status"], {n.decode(): v.decode() for n, v in sent[0]["headers"]}, body)

    def get(self, path: str, /, **query: Any) -> Reply:
        return self.call("GET", f"/api/2.0/mlflow/{path}", query=query)

    def post(self, path: str, /, **body: Any) -> Reply:
        return self.call("POST", f"/api/2.0/mlflow/{path}", body)

    def patch(self, path: str, /, **body: Any) -> Reply:
        return self.call("PATCH", f"/api/2.0/mlflow/{path}", body)

    def delete(self, path: str, /, **body: Any) -> Reply:
        return self.call("DELETE", f"/api/2.0/mlflow/{path}", body)

    def put_file(self, place: str, data: bytes) -> Reply:
        return self.call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{place}", data)

    def get_file(self, place: str) -> Reply:
        return self.call("GET", f"/api/2.0/mlflow-artifacts/artifacts/{place}")

    def list_files(self, place: str) -> list[dict[str, Any]]:
        reply = self.call("GET", "/api/2.0/mlflow-artifacts/artifacts", query={"path": place})
        assert reply.status == 200, reply.body
        return list(reply.json["files"])

    def begin(self, experiment: str = "0", **body: Any) -> dict[str, Any]:
        """Begin a run and return it."""
        reply = self.post("runs/create", experiment_id=experiment, start_time=1_700_000_000_000, **body)
        assert reply.status == 200, reply.body
        return dict(reply.json["run"])

    def run_of(self, run_id: str) -> dict[str, Any]:
        reply = self.get("runs/get", run_id=run_id)
        assert reply.status == 200, reply.body
        return dict(reply.json["run"])


@contextmanager
def client_of(ctx: Context) -> Iterator[Client]:
    """Yield a client of a face on this store."""
    writer = Writer(ctx)
    desk = open_desk(writer)
    door = Doorkeeper(TOKEN, ctx.home / "secrets")
    try:
        yield Client(Face(ctx, door, desk, ROUTES))
    finally:
        writer.close()
        desk.readers.shutdown()


def run(work: Coroutine[Any, Any, Reply]) -> Reply:
    """Run one request to its end."""
    return asyncio.run(work)
