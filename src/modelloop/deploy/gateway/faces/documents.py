"""What the gateway says of itself and of its versions, in the words of the Open Inference Protocol and of Triton."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

import orjson

from ....ground.core.errors import Conflict, InvalidInput, NotReady, RequestInvalid
from ....register.records import TensorSpec
from ..answer import Response
from ..runtime import Live, LoadedArm, LoadedRoute
from .looking import arm_of, route_of
from .statistics import statistics_of
from .visit import Visit, json

EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "statistics",
)
READY = "READY"
_TRITON = {"BYTES": "TYPE_STRING"}
_FILES = {"onnx_onnxv1": "model.onnx"}
_BACKENDS = {"onnx": "onnxruntime"}


def server_facts() -> dict[str, Any]:
    """Return the metadata of the server."""
    return {"name": "modelloop", "version": installed_version("modelloop"), "extensions": list(EXTENSIONS)}


def model_facts(route: LoadedRoute, arm: LoadedArm) -> dict[str, Any]:
    """Return the metadata of an endpoint, as one of its versions answers it."""
    return {
        "name": route.route.endpoint,
        "versions": [each.number for each in route.arms],
        "platform": arm.signature.platform,
        "inputs": [_tensor(spec) for spec in arm.signature.asked],
        "outputs": [_tensor(spec) for spec in arm.signature.answered],
    }


def config_facts(route: LoadedRoute, arm: LoadedArm) -> dict[str, Any]:
    """Return what Triton calls the configuration. Rows are a size of every shape, so there is no batch size."""
    signature, name = arm.signature, route.route.endpoint
    project = signature.platform.partition("_")[0]
    numbers = [int(each.number) for each in route.arms if each.number.isdigit()]
    facts = {"version": arm.arm.version, "package": arm.arm.package, "task": signature.task}
    if signature.labels:
        facts["labels"] = orjson.dumps(signature.labels).decode()
    looked_up = {column for lookup in route.route.features for column in lookup.values}
    return {
        "name": name,
        "platform": signature.platform,
        "backend": _BACKENDS.get(project, project),
        "version_policy": {"specific": {"versions": numbers}},
        "max_batch_size": 0,
        "input": [_input(spec, spec.name in looked_up) for spec in signature.asked],
        "output": [_output(spec) for spec in signature.answered],
        "instance_group": [{"name": f"{name}_0", "kind": "KIND_CPU", "count": 1}],
        "default_model_filename": _FILES.get(signature.platform, ""),
        "parameters": {key: {"string_value": value} for key, value in facts.items()},
        "model_transaction_policy": {"decoupled": False},
    }


def index_facts(live: Live, *, ready_only: bool = False) -> list[dict[str, str]]:
    """Return every version that is loaded, and every one that should be and is not, with the reason."""
    loaded = [
        _indexed(name, arm.number, trouble_of(arm))
        for name, route in sorted(live.serving.routes.items())
        for arm in route.arms
    ]
    failed = [_indexed(*_named(version), reason) for version, reason in sorted(live.failed.items())]
    return [entry for entry in loaded + failed if entry["state"] == READY or not ready_only]


def trouble_of(arm: LoadedArm) -> str:
    """Return why a loaded version cannot answer at present; empty: it can."""
    return "" if arm.lane is None else arm.lane.trouble


def server(_: Visit) -> Response:
    """Answer GET /v2."""
    return json(server_facts())


def alive(_: Visit) -> Response:
    """Answer GET /v2/health/live."""
    return json({"live": True})


def ready(visit: Visit) -> Response:
    """Answer GET /v2/health/ready: 200 once there is something to answer with."""
    found = visit.answerer.health()
    return json(found, 200 if found["ready"] else NotReady.status)


def metadata(visit: Visit) -> Response:
    """Answer GET /v2/models/ENDPOINT."""
    route = route_of(visit.live, visit.endpoint)
    return json(model_facts(route, arm_of(route, visit.number)))


def model_ready(visit: Visit) -> Response:
    """Answer GET /v2/models/ENDPOINT/ready."""
    trouble = trouble_of(arm_of(route_of(visit.live, visit.endpoint), visit.number))
    if trouble:
        return json({"name": visit.endpoint, "ready": False, "error": trouble}, NotReady.status)
    return json({"name": visit.endpoint, "ready": True})


def config(visit: Visit) -> Response:
    """Answer GET /v2/models/ENDPOINT/config."""
    route = route_of(visit.live, visit.endpoint)
    return json(config_facts(route, arm_of(route, visit.number)))


def stats(visit: Visit) -> Response:
    """Answer GET /v2/models/ENDPOINT/stats."""
    route = route_of(visit.live, visit.endpoint)
    arms = [arm_of(route, visit.number)] if visit.number else route.arms
    counts = visit.answerer.counters.snapshot()
    return json({"model_stats": [statistics_of(counts, route, arm) for arm in arms]})


def all_stats(visit: Visit) -> Response:
    """Answer GET /v2/models/stats."""
    routes, counts = visit.live.serving.routes.values(), visit.answerer.counters.snapshot()
    return json({"model_stats": [statistics_of(counts, route, arm) for route in routes for arm in route.arms]})


def index(visit: Visit) -> Response:
    """Answer POST /v2/repository/index; the body may be empty, or say `{"ready": true}`."""
    return json(index_facts(visit.live, ready_only=_only_ready(visit.request.body)))


def load_refused(_: Visit) -> Response:
    """Refuse to load or unload: callers do not decide what answers."""
    raise Conflict(
        "Versions are not loaded or unloaded by callers of the gateway.",
        hint="They come and go by rollouts: `modelloop deploy`.",
    )


def infer(visit: Visit) -> None:
    """Hand an inference to the answerer, which servers do by themselves."""
    visit.answerer.infer(visit.request, visit.done)


def _only_ready(body: bytes) -> bool:
    if not body.strip():
        return False
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestInvalid(f"The body is not JSON: {error}.", hint="Leave it out, or send {}.") from error
    if not isinstance(found, dict) or not isinstance(found.get("ready", False), bool):
        raise InvalidInput('The body is not an object like {"ready": true}.', hint="Leave it out, or send {}.")
    return bool(found.get("ready", False))


def _indexed(name: str, number: str, reason: str) -> dict[str, str]:
    return {"name": name, "version": number, "state": "UNAVAILABLE" if reason else READY, "reason": reason}


def _named(version: str) -> tuple[str, str]:
    """Return model and number of `model:number`; what could not be loaded may also be the table itself."""
    name, _, number = version.rpartition(":")
    return (name, number) if name and number.isdigit() else (version, "")


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _input(spec: TensorSpec, optional: bool) -> dict[str, Any]:
    return _config_tensor(spec) | {"format": "FORMAT_NONE", "optional": optional}


def _output(spec: TensorSpec) -> dict[str, Any]:
    return _config_tensor(spec) | {"label_filename": ""}


def _config_tensor(spec: TensorSpec) -> dict[str, Any]:
    kind = _TRITON.get(spec.datatype, f"TYPE_{spec.datatype}")
    return {"name": spec.name, "data_type": kind, "dims": list(spec.shape)}
