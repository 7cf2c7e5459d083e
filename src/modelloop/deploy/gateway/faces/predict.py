"""`/predict/ENDPOINT`: named values in, readable JSON out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson

from ....ground.core.errors import RequestInvalid
from ....prepare.records import Columns, Datatype, InputColumn
from ....register.records import TensorSpec
from ..answer import Response
from ..asked import Answered, Asked
from ..given import kind_of
from ..protocol import too_large, unpack
from ..runtime import LoadedRoute
from . import told
from .looking import arm_of, route_of
from .plain import Expected, Options, expected_of, from_columns, from_rows, options_of, word_for
from .visit import Visit, json, predicted

_OPTIONS = ("id", "event_time", "explain")
_EXAMPLES: Mapping[Datatype, Any] = {Datatype.BYTES: "text", Datatype.BOOL: True, Datatype.INT64: 1, Datatype.FP64: 1.5}
_PICTURE = "aGVsbG8="


def predict(visit: Visit) -> None:
    """Answer POST /predict/ENDPOINT."""
    with visit.counting():
        route = route_of(visit.live, visit.endpoint)
        wanted = expected_of(route)
        asked, single = read(object_of(plain_body(visit, route), wanted), wanted)
    visit.ask(visit.endpoint, None, asked, partial(_told, single=single))


def expected(visit: Visit) -> Response:
    """Answer GET /predict/ENDPOINT: what is expected, with an example that is right as it stands."""
    route = route_of(visit.live, visit.endpoint)
    arm = arm_of(route, None)
    wanted = expected_of(route)
    body = {
        "endpoint": visit.endpoint,
        "version": arm.arm.version,
        "task": arm.signature.task,
        "inputs": [*map(_column, wanted.columns.values()), *map(_spec, wanted.tensors.values())],
        "outputs": [{"name": s.name, "datatype": s.datatype, "shape": list(s.shape)} for s in arm.signature.answered],
        "labels": list(arm.signature.labels),
        "example": example(wanted),
        "send": f"POST /predict/{visit.endpoint} with the example, or "
        '{"rows": [...]}, or {"columns": {...}}; beside it "explain": true, "event_time", "id".',
    }
    return json(body)


def endpoints(visit: Visit) -> Response:
    """Answer GET /predict: the endpoints."""
    return json({"endpoints": {name: f"/predict/{name}" for name in sorted(visit.live.serving.routes)}})


def plain_body(visit: Visit, route: LoadedRoute) -> bytes:
    """Return the body, unpacked where it is compressed."""
    encoding = visit.request.headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    if len(visit.request.body) > route.route.max_body:
        raise too_large(route.route.max_body)
    return unpack(visit.request.body, encoding, route.route.max_body)


def object_of(body: bytes, wanted: Expected) -> dict[str, Any]:
    """Read a JSON object; a bare list counts as its rows."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestInvalid(
            f"The body is not JSON: {error}.", hint=f"Expected {orjson.dumps(example(wanted)).decode()}."
        ) from error
    if isinstance(found, list):
        return {"rows": found}
    if not isinstance(found, dict):
        raise RequestInvalid(
            f"The body is {kind_of(found)}, not an object.",
            hint=f"Expected {orjson.dumps(example(wanted)).decode()}.",
        )
    return found


def read(body: Mapping[str, Any], wanted: Expected) -> tuple[Asked, bool]:
    """Return the request, and whether it was one bare row. An input that is called like an option is the input."""
    for form, kind, wants in (("rows", list, "a list of objects"), ("columns", dict, "an object of lists")):
        if form in body and form not in wanted.names and not isinstance(body[form], kind):
            raise RequestInvalid(f"`{form}` is {kind_of(body[form])}.", hint=f"Expected {wants}: {wanted.described()}.")
    if isinstance(body.get("rows"), list) and ("rows" not in wanted.names or _only(body, "rows")):
        _only_options(body, "rows", wanted)
        return from_rows(wanted, body["rows"], options_of(body)), False
    if isinstance(body.get("columns"), dict) and ("columns" not in wanted.names or _only(body, "columns")):
        _only_options(body, "columns", wanted)
        return from_columns(wanted, body["columns"], options_of(body)), False
    options = {name: body[name] for name in _OPTIONS if name in body and name not in wanted.names}
    row = {name: value for name, value in body.items() if name not in options}
    return from_rows(wanted, [row], options_of(options) if options else Options()), True


def example(wanted: Expected) -> dict[str, Any]:
    """Return one row that is right: of the version's own sample, or made up."""
    needed = (c for c in wanted.columns.values() if c.name not in wanted.extra | wanted.filled)
    columns = {column.name: _seen(column, wanted.sample) for column in needed}
    return columns | {spec.name: _nested(spec, spec.shape[1:]) for spec in wanted.tensors.values()}


def _seen(column: InputColumn, sample: Columns | None) -> Any:
    """Return the sample's first value of a column that is not missing."""
    values = [] if sample is None or column.raw else told.plain(sample.get(column.name, []))
    present = [value for value in values if value is not None and value == value]  # noqa: PLR0124 - NaN is not itself
    value = present[0] if present else _PICTURE if column.raw else _EXAMPLES[column.datatype]
    return int(value) if column.datatype is Datatype.INT64 else value


def _only(body: Mapping[str, Any], form: str) -> bool:
    return not body.keys() - {form, *_OPTIONS}


def _only_options(body: Mapping[str, Any], form: str, wanted: Expected) -> None:
    beside = sorted(body.keys() - {form, *_OPTIONS})
    if beside:
        raise RequestInvalid(
            f"Beside `{form}` there is {beside[0]!r}.",
            hint=f"Only {', '.join(_OPTIONS)} may stand there; the inputs ({', '.join(wanted.names)}) belong into it.",
        )


def _told(found: Answered, *, single: bool) -> Response:
    """Write an answer: lists of one value a row, or for a bare row the values themselves."""
    lists: dict[str, list[Any] | None] = {
        "predictions": told.predictions(found),
        "probabilities": told.probabilities(found),
        "explanations": told.explanations(found),
    }
    singular = {"predictions": "prediction", "explanations": "explanation"}
    body: dict[str, Any] = {
        (singular.get(name, name) if single else name): values[0] if single else values
        for name, values in lists.items()
        if values is not None
    }
    others = told.others(found)
    if others:
        body["outputs"] = {name: values[0] if single else values for name, values in others.items()}
    body |= {"endpoint": found.endpoint, "version": found.version, "prediction_id": found.prediction}
    return predicted(body if found.id is None else body | {"id": found.id}, found)


def _column(column: InputColumn) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": word_for(column),
        "datatype": str(column.datatype),
        "nullable": column.nullable,
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "type": "nested lists", "datatype": spec.datatype, "shape": list(spec.shape)}


def _nested(spec: TensorSpec, sizes: tuple[int, ...]) -> Any:
    if sizes:
        return [_nested(spec, sizes[1:])] * max(1, sizes[0])
    if spec.datatype in ("BYTES", "BOOL"):
        return "text" if spec.datatype == "BYTES" else True
    return 0.5 if spec.datatype.startswith("FP") else 1
