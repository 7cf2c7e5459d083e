"""A run's way to a control server, or to any MLflow server: MLflow's REST over httpx, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import orjson

from ..ground.core.errors import (
    Conflict,
    Denied,
    InvalidInput,
    ModelloopError,
    NotFound,
    NotReady,
    StoreUnavailable,
    Unauthenticated,
)
from .destination import CLIENT_ID, Header, Home, Point

_API = "/api/2.0/mlflow/"
_FILES = "/api/2.0/mlflow-artifacts/artifacts/"
_UPLOAD_PIECE = 1024 * 1024
_KINDS: Mapping[str, type[ModelloopError]] = {
    "RESOURCE_DOES_NOT_EXIST": NotFound,
    "RESOURCE_ALREADY_EXISTS": Conflict,
    "INVALID_STATE": Conflict,
    "PERMISSION_DENIED": Denied,
    "UNAUTHENTICATED": Unauthenticated,
}
_REFUSALS = frozenset((400, 404, 409, 413, 422, 501))


class Wire:
    """A Destination over HTTP. A lost answer is asked for again: the same thing twice is one thing."""

    def __init__(self, url: str, token: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.base = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=self.base,
            headers=headers,
            timeout=httpx.Timeout(60.0, connect=5.0),
            transport=transport,
            trust_env=False,
        )
        self._roots: dict[str, str] = {}
        self.moved = 0

    def open(self, header: Header, *, again: bool) -> Home:
        """Make the run where it is not there yet."""
        if header.resumed or header.attached:
            if (known := self._known(header, attached=header.attached)) is not None:
                if header.resumed:
                    self._post("runs/update", {"run_id": known.run, "status": "RUNNING"})
                return known
            if header.attached:
                raise NotReady(f"Run {header.run} has not arrived at {self.base} yet.")
        experiment = self._experiment(header.experiment)
        if again and (found := self._sent_before(header, experiment)) is not None:
            return found
        tags = {**header.tags, CLIENT_ID: header.run}
        body = {
            "run_id": header.run,
            "experiment_id": experiment,
            "user_id": header.user,
            "run_name": header.name,
            "start_time": header.start_ms,
            "tags": _pairs(tags),
        }
        try:
            return self._home(self._post("runs/create", body)["run"])
        except Conflict:  # a server that takes our ids, and has this one already
            return self._home(self._get("runs/get", run_id=header.run)["run"])

    def write(self, home: Home, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Add to a run with one request."""
        metrics = [
            {"key": name, "value": _number(value), "step": step, "timestamp": at} for name, value, step, at in points
        ]
        body = {"run_id": home.run, "metrics": metrics, "params": _pairs(params), "tags": _pairs(tags)}
        self._post("runs/log-batch", body)

    def upload(self, home: Home, path: str, source: Path | bytes) -> None:
        """Send a file through the server, piece by piece."""
        place = f"{_FILES}{self._root(home)}/{quote(path, safe='/')}"
        if isinstance(source, bytes):
            self._request("PUT", place, content=source)
            return
        length = {"content-length": str(source.stat().st_size)}
        self._request("PUT", place, content=self._read(source), headers=length)

    def finish(self, home: Home, status: str, end_ms: int) -> None:
        """End the run."""
        self._post("runs/update", {"run_id": home.run, "status": status, "end_time": end_ms})

    def steps(self, run: str) -> Mapping[str, int]:
        """Return the last step of each metric."""
        found = self._get("runs/get", run_id=run)["run"]
        return {metric["key"]: int(metric.get("step", 0)) for metric in found.get("data", {}).get("metrics", ())}

    def url(self, home: Home) -> str:
        """Return where MLflow's pages show a run."""
        return f"{self.base}/#/experiments/{home.experiment}/runs/{home.run}"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _known(self, header: Header, *, attached: bool) -> Home | None:
        """Find a run that was there before: by its id here, or by the one it had in its first process."""
        try:
            return self._home(self._get("runs/get", run_id=header.run)["run"])
        except (NotFound, InvalidInput):
            if not attached:
                raise
        return self._sent_before(header, self._experiment(header.experiment))

    def _sent_before(self, header: Header, experiment: str) -> Home | None:
        wanted = f"tags.`{CLIENT_ID}` = '{header.run}'"
        body = {"experiment_ids": [experiment], "filter": wanted, "max_results": 1}
        runs = self._post("runs/search", body).get("runs", ())
        return self._home(runs[0]) if runs else None

    def _experiment(self, name: str) -> str:
        try:
            return str(self._get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"])
        except NotFound:
            pass
        try:
            return str(self._post("experiments/create", {"name": name})["experiment_id"])
        except Conflict:  # somebody else made it at the same time
            return str(self._get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"])

    def _home(self, run: Mapping[str, Any]) -> Home:
        info = run["info"]
        home = Home(str(info.get("run_id") or info["run_uuid"]), str(info["experiment_id"]))
        self._roots[home.run] = str(info.get("artifact_uri", ""))
        return home

    def _root(self, home: Home) -> str:
        """Return the part of an upload's address that names the run's folder."""
        if home.run not in self._roots:
            self._home(self._get("runs/get", run_id=home.run)["run"])
        parts = urlsplit(self._roots[home.run])
        if parts.scheme not in ("", "mlflow-artifacts"):
            raise InvalidInput(
                f"{self.base} keeps artifacts at {parts.scheme}://, and takes none itself.",
                hint="Start MLflow's server with --serve-artifacts, or use Modelloop's control.",
            )
        return parts.path.strip("/") or f"{home.experiment}/{home.run}/artifacts"

    def _read(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(_UPLOAD_PIECE):
                self.moved += len(piece)
                yield piece

    def _get(self, path: str, **query: str) -> Any:
        return self._request("GET", _API + path, params=query)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._request("POST", _API + path, content=orjson.dumps(body), headers=_JSON)

    def _request(self, method: str, path: str, **what: Any) -> Any:
        try:
            reply = self._http.request(method, path, **what)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            told = str(error) or type(error).__name__
            raise StoreUnavailable(f"{self.base} does not answer: {told}.") from error
        if not reply.is_success:
            raise _raised(reply, self.base)
        try:
            return orjson.loads(reply.content) if reply.content else {}
        except orjson.JSONDecodeError as error:
            raise StoreUnavailable(f"{self.base} answers something else than MLflow's API.") from error


_JSON = {"content-type": "application/json"}


def _raised(reply: httpx.Response, base: str) -> ModelloopError:
    """Return what a refusal stands for: to be tried again, unless the server says why exactly this cannot be."""
    try:
        body = reply.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "error_code" not in body:
        body = {}
    told = str(body.get("message") or f"{base} answered {reply.status_code}.")
    if reply.status_code in (401, 403):
        hint = "Give the server's token in MODELLOOP_TRACKING_TOKEN."
        return (Unauthenticated if reply.status_code == 401 else Denied)(told, hint=hint)
    if body and reply.status_code in _REFUSALS:
        return _KINDS.get(str(body["error_code"]), InvalidInput)(told)
    if reply.status_code == 413:
        return InvalidInput(told)
    return StoreUnavailable(told)


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in values.items()]


def _number(value: float) -> float | str:
    """Return a number as JSON can hold it: MLflow writes the others as text."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
