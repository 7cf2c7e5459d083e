"""An MLflow server, read through its REST API, without MLflow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from ...ground.core.errors import InvalidInput, NotReady, Unauthenticated
from ...train.tracking.records import (
    DatasetInput,
    Experiment,
    Lifecycle,
    LoggedModel,
    Metric,
    ModelOutput,
    ModelState,
    TrackedRun,
    TrackedState,
)
from ..records import Files, ForeignFile, ForeignModel, ForeignRegistered, ForeignRun, ForeignVersion
from .rows import with_columns

API, AJAX = "/api/2.0/mlflow", "/ajax-api/2.0/mlflow"
SCHEME = "mlflow-artifacts:"
TIMEOUT = 120.0
MAX_DEPTH = 40
Body = Mapping[str, Any]


class Server:
    """A store behind an address. The token, or user and password, come from MLflow's environment variables."""

    def __init__(self, url: str, environ: Mapping[str, str] | None = None) -> None:
        given = os.environ if environ is None else environ
        split = urlsplit(url)
        self.name = urlunsplit((split.scheme, split.netloc.rpartition("@")[2], split.path, "", "")).rstrip("/")
        token = given.get("MLFLOW_TRACKING_TOKEN")
        user = given.get("MLFLOW_TRACKING_USERNAME") or split.username
        password = given.get("MLFLOW_TRACKING_PASSWORD") or split.password
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        auth = httpx.BasicAuth(user, password or "") if user and not token else None
        self._client = httpx.Client(base_url=self.name, headers=headers, auth=auth, timeout=TIMEOUT)

    def experiments(self) -> Iterable[Experiment]:
        """Yield all experiments."""
        for one in self._paged("POST", "experiments/search", "experiments", view_type="ALL", max_results=1000):
            yield Experiment(
                id=int(one["experiment_id"]),
                name=one["name"],
                lifecycle=Lifecycle(one.get("lifecycle_stage", "active")),
                made_ms=int(one.get("creation_time", 0)),
                changed_ms=int(one.get("last_update_time", 0)),
                tags=_pairs(one.get("tags")),
            )

    def runs(self, experiment: int) -> Iterable[ForeignRun]:
        """Yield all runs of an experiment."""
        asked = {"experiment_ids": [str(experiment)], "run_view_type": "ALL", "max_results": 1000}
        for one in self._paged("POST", "runs/search", "runs", **asked):
            yield _run(one, experiment)

    def metrics(self, run: TrackedRun) -> Iterator[Metric]:
        """Yield the history of a run's metrics; a metric's is in memory as a whole, to be put into order."""
        for name in sorted(run.metrics):
            asked = {"run_id": run.id, "metric_key": name, "max_results": 25_000}
            found = {_point(one) for one in self._paged("GET", "metrics/get-history", "metrics", **asked)}
            yield from sorted(found, key=lambda one: (one.at_ms, one.step, *_sortable(one.value)))

    def models(self, experiment: int) -> Iterable[ForeignModel]:
        """Yield the logged models of an experiment; a server of before MLflow 3 has none."""
        asked = {"experiment_ids": [str(experiment)], "max_results": 50}
        try:
            for one in self._paged("POST", "logged-models/search", "models", **asked):
                yield _model(one, experiment)
        except _Absent:
            return

    def registered(self) -> Iterable[ForeignRegistered]:
        """Yield the registered models with their versions."""
        versions: dict[str, list[ForeignVersion]] = {}
        for one in self._paged("GET", "model-versions/search", "model_versions", max_results=1000):
            versions.setdefault(one["name"], []).append(_version(one))
        for one in self._paged("GET", "registered-models/search", "registered_models", max_results=100):
            yield ForeignRegistered(
                name=one["name"],
                description=one.get("description") or "",
                made_ms=int(one.get("creation_timestamp", 0)),
                tags=_pairs(one.get("tags")),
                aliases={alias["alias"]: int(alias["version"]) for alias in one.get("aliases", ())},
                versions=sorted(versions.get(one["name"], []), key=lambda found: found.number),
            )

    def files(self, kind: str, owner: str, place: str, experiment: int) -> Files:  # noqa: ARG002 - of the protocol
        """Return what is listed and downloaded through the server."""
        return _Remote(self, kind, owner, place)

    def totals(self) -> Mapping[str, int]:
        """Return nothing: a server does not tell."""
        return {}

    def not_taken(self) -> Mapping[str, int]:
        """Return nothing: a server does not tell how much it holds of what has no place here."""
        return {}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, address: str, asked: Mapping[str, Any]) -> Body:
        """Return the answer of one question."""
        return self._asked("GET", address, asked)

    @contextmanager
    def stream(self, address: str, asked: Mapping[str, Any]) -> Iterator[httpx.Response]:
        """Open a download; raises OSError."""
        try:
            with self._client.stream("GET", address, params=dict(asked) or None) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise FileNotFoundError(f"the server answers {answer.status_code}")
                yield answer
        except httpx.HTTPError as error:
            raise ConnectionError(str(error)) from error

    def _paged(self, method: str, path: str, word: str, **asked: Any) -> Iterator[Body]:
        token = ""
        while True:
            more = {"page_token": token} if token else {}
            body = self._asked(method, f"{API}/{path}", {**asked, **more})
            yield from body.get(word, ())
            following = body.get("next_page_token") or ""
            if not following or following == token:
                return
            token = following

    def _asked(self, method: str, path: str, asked: Mapping[str, Any]) -> Body:
        try:
            if method == "GET":
                answer = self._client.get(path, params=dict(asked))
            else:
                answer = self._client.post(path, json=dict(asked))
            if answer.status_code in (404, 501):
                raise _Absent(f"{self.name}{path} answers {answer.status_code}.", hint="Is it a server of MLflow?")
            if answer.status_code in (401, 403):
                raise Unauthenticated(
                    f"{self.name} answers {answer.status_code}.",
                    hint="Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
                )
            answer.raise_for_status()
            body = answer.json()
        except httpx.HTTPError as error:
            raise NotReady(f"{self.name} does not answer: {error}.", hint="Is it up, and the address right?") from error
        except ValueError as error:
            raise InvalidInput(f"{self.name}{path} answers no JSON.", hint="Is it a server of MLflow?") from error
        if not isinstance(body, dict):
            raise InvalidInput(f"{self.name}{path} answers what MLflow does not.")
        return body


class _Absent(NotReady):
    """The server has no such address."""


class _Remote:
    """The artifacts of one run or model on a server."""

    def __init__(self, server: Server, kind: str, owner: str, place: str) -> None:
        self._server, self._kind, self._owner, self._place = server, kind, owner, place
        self._left_out: list[str] = []

    @property
    def missing(self) -> str:
        """Nothing is known before it is listed."""
        return ""

    def left_out(self) -> Sequence[str]:
        """Return what could not be listed."""
        return tuple(self._left_out)

    def listed(self) -> Iterator[ForeignFile]:
        """Yield all files."""
        self._left_out = []
        yield from self._below("", 0)

    def read(self, path: str) -> Iterator[bytes]:
        """Yield a file as it comes."""
        asked: dict[str, str] = {}
        if self._place.startswith(SCHEME):
            start = self._place.removeprefix(SCHEME).strip("/")
            start = start if not self._place.startswith(f"{SCHEME}//") else urlsplit(self._place).path.strip("/")
            address = f"/api/2.0/mlflow-artifacts/artifacts/{quote(start)}/{quote(path)}"
        elif self._kind == "run":
            address, asked = "/get-artifact", {"path": path, "run_uuid": self._owner}
        else:
            address = f"{AJAX}/logged-models/{self._owner}/artifacts/files"
            asked = {"artifact_file_path": path}
        with self._server.stream(address, asked) as answer:
            try:
                yield from answer.iter_bytes(1 << 20)
            except httpx.HTTPError as error:
                raise ConnectionError(str(error)) from error

    def _below(self, path: str, depth: int) -> Iterator[ForeignFile]:
        if depth > MAX_DEPTH:
            self._left_out.append(f"{path}: deeper than {MAX_DEPTH} folders")
            return
        for one in self._folder(path):
            found = str(one["path"])
            if one.get("is_dir"):
                yield from self._below(found, depth + 1)
            else:
                yield ForeignFile(found, int(one.get("file_size") or 0))

    def _folder(self, path: str) -> list[Body]:
        """Return what is directly in a folder, whatever pages it comes in."""
        asked: dict[str, Any] = {"path": path} if path else {}
        address = f"{API}/artifacts/list"
        if self._kind == "run":
            asked["run_id"] = self._owner
        else:
            address = f"{API}/logged-models/{self._owner}/artifacts/directories"
            asked = {"artifact_directory_path": path} if path else {}
        found: list[Body] = []
        token = ""
        while True:
            try:
                body = self._server.get(address, {**asked, **({"page_token": token} if token else {})})
            except (NotReady, InvalidInput) as error:
                self._left_out.append(f"{path or '.'}: {error.message}")
                return found
            found += body.get("files", ())
            token = body.get("next_page_token") or ""
            if not token:
                return sorted(found, key=lambda one: str(one["path"]))


def _run(one: Body, experiment: int) -> ForeignRun:
    info, data = one["info"], one.get("data", {})
    inputs, outputs = one.get("inputs", {}), one.get("outputs", {})
    tags = _pairs(data.get("tags"))
    end = info.get("end_time")
    run = TrackedRun(
        id=info.get("run_id") or info["run_uuid"],
        experiment=experiment,
        name=info.get("run_name") or tags.get("mlflow.runName", ""),
        user=info.get("user_id") or "",
        status=TrackedState(info.get("status", "RUNNING")),
        lifecycle=Lifecycle(info.get("lifecycle_stage", "active")),
        start_ms=int(info.get("start_time", 0)),
        end_ms=None if end is None else int(end),
        revision=0,
        metrics={point.name: point for point in map(_point, data.get("metrics", ()))},
        params=_pairs(data.get("params")),
        tags=tags,
        inputs=[_dataset(given) for given in inputs.get("dataset_inputs", ())],
        model_inputs=[given["model_id"] for given in inputs.get("model_inputs", ())],
        model_outputs=[
            ModelOutput(made["model_id"], int(made.get("step", 0))) for made in outputs.get("model_outputs", ())
        ],
    )
    return ForeignRun(run, None, info.get("artifact_uri") or "")


def _dataset(given: Body) -> DatasetInput:
    found = given["dataset"]
    return DatasetInput(
        name=found["name"],
        digest=found["digest"],
        source_type=found.get("source_type", ""),
        source=found.get("source", ""),
        schema=found.get("schema"),
        profile=found.get("profile"),
        tags=_pairs(given.get("tags")),
    )


def _model(one: Body, experiment: int) -> ForeignModel:
    info, data = one["info"], one.get("data", {})
    model = LoggedModel(
        id=info["model_id"],
        experiment=experiment,
        name=info.get("name", ""),
        status=ModelState(info.get("status", ModelState.READY.value)),
        kind=info.get("model_type") or "",
        source_run=info.get("source_run_id") or None,
        made_ms=int(info.get("creation_timestamp_ms", 0)),
        changed_ms=int(info.get("last_updated_timestamp_ms", 0)),
        lifecycle=Lifecycle.ACTIVE,
        status_message=info.get("status_message") or "",
        tags=_pairs(info.get("tags")),
        params=_pairs(data.get("params")),
        metrics=[_point(value, info["model_id"]) for value in data.get("metrics", ())],
    )
    return ForeignModel(model, info.get("artifact_uri") or "")


def _version(one: Body) -> ForeignVersion:
    return ForeignVersion(
        model=one["name"],
        number=int(one["version"]),
        source=one.get("source") or "",
        place="",
        run_id=one.get("run_id") or None,
        model_id=one.get("model_id") or None,
        description=one.get("description") or "",
        made_ms=int(one.get("creation_timestamp", 0)),
        tags=with_columns(_pairs(one.get("tags")), one.get("current_stage"), one.get("status")),
    )


def _point(one: Body, model_id: str | None = None) -> Metric:
    where = (one.get("dataset_name") or None, one.get("dataset_digest") or None) if model_id else (None, None)
    run_id = one.get("run_id") or None if model_id else None
    value = float(one.get("value", 0.0))
    return Metric(one["key"], value, int(one.get("step", 0)), int(one.get("timestamp", 0)), model_id, *where, run_id)


def _pairs(found: Sequence[Body] | None) -> dict[str, str]:
    return {one["key"]: one.get("value", "") for one in found or ()}


def _sortable(value: float) -> tuple[float, bool]:
    """Return a value as it is ordered in both databases: NaN is kept as 0 with a mark."""
    nan = value != value  # noqa: PLR0124 - the test for NaN
    return (0.0 if nan else value, nan)
