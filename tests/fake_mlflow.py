"""A small server that speaks the part of MLflow's REST that a run needs; it can be told to fail, to be slow, to forget.

It is what an MLflow server is to the wire client: it chooses run ids by itself, unless told to take the client's.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "t" * 40
NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
KEY = re.compile(r"[/\w.\- :]+")


@dataclass
class Kept:
    """A run as the server has it."""

    id: str
    experiment: str
    name: str
    user: str
    status: str = "RUNNING"
    end_ms: int | None = None
    points: set[tuple[str, str, int, int]] = field(default_factory=set)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


class FakeMlflow:
    """Started on a free port of this machine; `stop` and `start` take it away and bring it back at the same place."""

    def __init__(self, *, takes_ids: bool = False) -> None:
        self.takes_ids = takes_ids
        self.runs: dict[str, Kept] = {}
        self.experiments: dict[str, str] = {}
        self.requests: list[str] = []
        self.status = 0
        """Every request is answered by this status, if it is not 0."""
        self.lose_answers = 0
        """So many requests are carried out, and never answered."""
        self.pause = 0.0
        self.lock = threading.Lock()
        self.port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        fake = self

        class Handler(_Handler):
            server_of = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        if path.startswith("/api/2.0/mlflow-artifacts/artifacts/"):
            _, run, _, name = path.removeprefix("/api/2.0/mlflow-artifacts/artifacts/").split("/", 3)
            self.runs[run].files[unquote(name)] = body
            return 200, {}
        asked = query if method == "GET" else json.loads(body)
        name = path.removeprefix("/api/2.0/mlflow/").replace("/", "_").replace("-", "_")
        return getattr(self, f"_{name}")(asked)

    def _experiments_get_by_name(self, asked: Any) -> tuple[int, Any]:
        found = self.experiments.get(asked["experiment_name"])
        if found is None:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}
        return 200, {"experiment": {"experiment_id": found, "name": asked["experiment_name"]}}

    def _experiments_create(self, asked: Any) -> tuple[int, Any]:
        if asked["name"] in self.experiments:
            return 400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "there is one"}
        self.experiments[asked["name"]] = str(len(self.experiments) + 1)
        return 200, {"experiment_id": self.experiments[asked["name"]]}

    def _runs_create(self, asked: Any) -> tuple[int, Any]:
        run = asked["run_id"] if self.takes_ids else f"{len(self.runs):032x}"
        if run in self.runs:
            return 400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "there is one"}
        made = Kept(run, asked["experiment_id"], asked["run_name"], asked["user_id"])
        made.tags = {tag["key"]: tag["value"] for tag in asked["tags"]}
        self.runs[run] = made
        return 200, {"run": self._shown(made)}

    def _runs_get(self, asked: Any) -> tuple[int, Any]:
        return 200, {"run": self._shown(self.runs[asked["run_id"]])}

    def _runs_search(self, asked: Any) -> tuple[int, Any]:
        key, value = re.fullmatch(r"tags\.`(.+)` = '(.+)'", asked["filter"]).groups()  # type: ignore[union-attr]
        found = [run for run in self.runs.values() if run.tags.get(key) == value]
        return 200, {"runs": [self._shown(run) for run in found[:1]]} if found else {}

    def _runs_update(self, asked: Any) -> tuple[int, Any]:
        run = self.runs[asked["run_id"]]
        run.status, run.end_ms = asked["status"], asked.get("end_time")
        return 200, {"run_info": {}}

    def _runs_log_batch(self, asked: Any) -> tuple[int, Any]:
        run = self.runs[asked["run_id"]]
        assert len(asked["metrics"]) + len(asked["params"]) + len(asked["tags"]) <= 1000
        assert len(asked["params"]) <= 100
        for metric in asked["metrics"]:
            if not KEY.fullmatch(metric["key"]) or metric["key"] == "refused":
                return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": f"bad name {metric['key']!r}"}
        for param in asked["params"]:
            if run.params.get(param["key"], param["value"]) != param["value"]:
                return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": f"param {param['key']} changed"}
        for metric in asked["metrics"]:
            value = NUMBERS.get(metric["value"], metric["value"])
            run.points.add((metric["key"], repr(float(value)), metric["step"], metric["timestamp"]))
        run.params |= {param["key"]: param["value"] for param in asked["params"]}
        run.tags |= {tag["key"]: tag["value"] for tag in asked["tags"]}
        return 200, {}

    def _shown(self, run: Kept) -> Any:
        latest = {name: step for name, _, step, _ in sorted(run.points, key=lambda point: point[2])}
        info = {
            "run_id": run.id,
            "experiment_id": run.experiment,
            "artifact_uri": f"mlflow-artifacts:/{run.experiment}/{run.id}/artifacts",
        }
        metrics = [{"key": name, "step": str(step)} for name, step in latest.items()]
        return {"info": info, "data": {"metrics": metrics}}


class _Handler(BaseHTTPRequestHandler):
    server_of: FakeMlflow
    disable_nagle_algorithm = True  # head and body are two writes: else each answer waits 40 ms for the client
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        fake = self.server_of
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        parts = urlsplit(self.path)
        if fake.pause:
            time.sleep(fake.pause)
        if fake.status:
            self._answer(fake.status, {})
            return
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error_code": "UNAUTHENTICATED", "message": "no token"})
            return
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with fake.lock:
            fake.requests.append(f"{self.command} {parts.path}")
            try:
                status, answer = fake.answer(self.command, parts.path, query, body)
            except KeyError:
                status, answer = 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}
            lost = fake.lose_answers > 0 and self.command == "POST"
            fake.lose_answers -= lost
        if lost:
            self.close_connection = True
            self.connection.close()
            return
        self._answer(status, answer)

    def _answer(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""
