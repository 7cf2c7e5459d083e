"""OpenAPI 3.1 of what this gateway answers now, generated from the signatures of what is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version as installed_version
from typing import Any

from ..answer import Response
from ..runtime import Live, LoadedRoute
from . import schemas
from .plain import expected_of
from .predict import example
from .schemas import Schema
from .visit import Visit, json

_STRING: Schema = {"type": "string"}
_LIST: Schema = {"type": "array"}
_WORDS = {
    400: "The request is not what is expected; the sentence says what is.",
    404: "There is no such thing.",
    405: "Another method is wanted; the Allow header names it.",
    409: "Callers do not decide this.",
    413: "The body is too large.",
    500: "The version failed in itself.",
    503: "There is nothing to answer with yet, or no more room.",
}


def document(visit: Visit) -> Response:
    """Answer GET /openapi.json."""
    return json(describe(visit.live))


def describe(live: Live) -> dict[str, Any]:
    """Return the description."""
    paths = dict(_fixed())
    kinds: dict[str, Schema] = {"Error": schemas.ERROR}
    for name, route in sorted(live.serving.routes.items()):
        paths |= _of_endpoint(name, route)
        kinds |= _kinds(name, route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Modelloop gateway",
            "version": installed_version("modelloop"),
            "description": "Open Inference Protocol v2, plain JSON for people, and MLflow's scoring protocol.",
        },
        "paths": paths,
        "components": {"schemas": kinds},
    }


def _fixed() -> Mapping[str, Any]:
    """Return the paths that are there whatever is loaded."""
    facts = schemas.object_of({"name": _STRING, "version": _STRING, "extensions": _LIST})
    ready = schemas.object_of({"ready": {"type": "boolean"}})
    stats, index = schemas.object_of({"model_stats": _LIST}), {"type": "array", "items": {"type": "object"}}
    body: Schema = {"type": "object", "properties": {"ready": {"type": "boolean"}}}
    return {
        "/v2": {"get": _operation("Name, release and extensions", facts)},
        "/v2/health/live": {"get": _operation("It runs", schemas.object_of({"live": {"type": "boolean"}}))},
        "/v2/health/ready": {"get": _not_yet("It has something to answer with", ready)},
        "/v2/models/stats": {"get": _operation("Counts and times of all versions", stats)},
        "/v2/repository/index": {
            "post": _operation("What is loaded, and what is not and why", index, (400,)) | _optional_body(body)
        },
        "/predict": {"get": _operation("The endpoints", schemas.object_of({"endpoints": {"type": "object"}}))},
        "/ping": {"get": _text("It has something to answer with", (503,))},
        "/health": {"get": _text("It has something to answer with", (503,))},
        "/version": {"get": _text("Release of the gateway")},
        "/metrics": {"get": _text("Counters in Prometheus' text form")},
        "/openapi.json": {"get": _operation("This description", {"type": "object"})},
    }


def _of_endpoint(name: str, route: LoadedRoute) -> dict[str, Any]:
    found: dict[str, Any] = {}
    model = f"/v2/models/{name}"
    for base, words in ((model, ""), (f"{model}/versions/{{number}}", " of one version")):
        found |= _of_model(base, name, route, words)
    wanted = expected_of(route)
    readable = _operation(f"Ask {name} with named values", _ref(name, "Prediction"), (400, 413, 500, 503))
    scored = _operation(f"Ask {name} as MLflow does", schemas.object_of({"predictions": _LIST}), (400, 413, 500, 503))
    csv = {"text/csv": {"schema": _STRING}}
    found[f"/predict/{name}"] = {
        "get": _operation(f"What {name} is asked with", {"type": "object"}, (404,)),
        "post": readable | _body(_ref(name, "Values"), example(wanted)),
    }
    found[f"/invocations/{name}"] = {
        "post": scored | _body(_ref(name, "Invocation"), {"dataframe_records": [example(wanted)]}, csv)
    }
    return found


def _of_model(base: str, name: str, route: LoadedRoute, words: str) -> dict[str, Any]:
    metadata = schemas.object_of({"name": _STRING, "versions": _LIST, "inputs": _LIST, "outputs": _LIST})
    ready = schemas.object_of({"name": _STRING, "ready": {"type": "boolean"}})
    infer = _operation(f"Ask {name}{words}", _ref(name, "Answer"), (400, 404, 413, 500, 503), binary=True)
    right = schemas.infer_example(route.champion.signature, _needed(route))
    raw = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {
        base: {"get": _operation(f"Inputs and outputs{words}", metadata, (404,))} | _numbered(base),
        f"{base}/ready": {"get": _operation(f"It can answer{words}", ready, (404, 503))} | _numbered(base),
        f"{base}/config": {"get": _operation(f"Configuration{words}", {"type": "object"}, (404,))} | _numbered(base),
        f"{base}/stats": {"get": _operation(f"Counts and times{words}", {"type": "object"}, (404,))} | _numbered(base),
        f"{base}/infer": {"post": infer | _body(_ref(name, "Request"), right, raw)} | _numbered(base),
    }


def _kinds(name: str, route: LoadedRoute) -> dict[str, Schema]:
    signature, wanted = route.champion.signature, expected_of(route)
    return {
        f"{name}.Request": schemas.infer_request(signature, route.known),
        f"{name}.Answer": schemas.infer_answer(signature),
        f"{name}.Values": schemas.predict_request(wanted),
        f"{name}.Prediction": schemas.predict_answer(signature),
        f"{name}.Invocation": schemas.invocations_request(wanted),
    }


def _needed(route: LoadedRoute) -> list[Any]:
    wanted = expected_of(route)
    return [column for name, column in wanted.columns.items() if name not in wanted.extra]


def _numbered(base: str) -> dict[str, Any]:
    if "{number}" not in base:
        return {}
    number = {"name": "number", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {"parameters": [number]}


def _operation(summary: str, answer: Schema, errors: Iterable[int] = (), *, binary: bool = False) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": answer}}
    if binary:
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    return {"summary": summary, "responses": {"200": {"description": "Right.", "content": content}} | _errors(errors)}


def _not_yet(summary: str, answer: Schema) -> dict[str, Any]:
    content = {"application/json": {"schema": answer}}
    answers = {
        "200": {"description": "Yes.", "content": content},
        "503": {"description": "Not yet.", "content": content},
    }
    return {"summary": summary, "responses": answers | _errors(())}


def _text(summary: str, errors: Iterable[int] = ()) -> dict[str, Any]:
    content = {"text/plain": {"schema": _STRING}}
    return {"summary": summary, "responses": {"200": {"description": "Right.", "content": content}} | _errors(errors)}


def _errors(statuses: Iterable[int]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(each): {"description": _WORDS[each], "content": content} for each in (*statuses, 405)}


def _body(schema: Schema, shown: Any, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": shown}, **(more or {})}
    return {"requestBody": {"required": True, "content": content}}


def _optional_body(schema: Schema) -> dict[str, Any]:
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}


def _ref(name: str, kind: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}.{kind}"}
