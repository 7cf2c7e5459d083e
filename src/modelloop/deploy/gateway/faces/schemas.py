"""Pure: what an endpoint takes and answers, as JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ....prepare.records import Datatype, InputColumn
from ....register.records import Signature, TensorSpec
from ..given import MAX_ID
from .plain import Expected
from .predict import example

Schema = dict[str, Any]

ERROR: Schema = {
    "type": "object",
    "description": "What happened, what was found, what to do.",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "code": {"type": "string"}, "detail": {"type": "object"}},
}
_SCALARS: Schema = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
_WHOLE = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
_TAKEN = {
    Datatype.BYTES: ["BYTES"],
    Datatype.BOOL: ["BOOL"],
    Datatype.FP64: ["FP64", "FP32", *sorted(_WHOLE)],
    Datatype.INT64: ["INT64", "FP64", "FP32", *sorted(_WHOLE - {"INT64"})],
}
_SAFE = 2**53
_OPTIONS: Mapping[str, Schema] = {
    "id": {"type": "string", "maxLength": MAX_ID, "description": "Comes back with the answer."},
    "event_time": {"type": "string", "format": "date-time", "description": "When it happened, by the data's clock."},
    "explain": {"type": "boolean", "description": "Also say what each input adds to the score."},
}


def predict_request(wanted: Expected) -> Schema:
    """Return the schema of POST /predict/ENDPOINT: one row, several, or columns."""
    row, options = _row(wanted), {k: v for k, v in _OPTIONS.items() if k not in wanted.names}
    single = row | {"properties": row["properties"] | options}
    rows: Schema = {"type": "array", "minItems": 1, "maxItems": wanted.max_rows, "items": row}
    return {
        "anyOf": [
            single,
            _object({"rows": rows, **_OPTIONS}, ["rows"]),
            _object({"columns": _columns(wanted), **_OPTIONS}, ["columns"]),
        ],
        "examples": [example(wanted), {"rows": [example(wanted)]}],
    }


def predict_answer(signature: Signature) -> Schema:
    """Return the schema of its answer: singular for one bare row, plural else."""
    one: Schema = {"type": "string", "enum": list(signature.labels)} if signature.labels else {}
    return {
        "type": "object",
        "required": ["endpoint", "version", "prediction_id"],
        "properties": {
            "prediction": one,
            "predictions": {"type": "array", "items": one},
            "probabilities": {"type": ["object", "array"]},
            "outputs": {"type": "object"},
            "explanation": {"type": "object"},
            "explanations": {"type": "array"},
            "endpoint": {"type": "string"},
            "version": {"type": "string", "description": "model:number"},
            "prediction_id": {"type": "string", "description": "What an outcome is reported for later."},
            "id": {"type": "string"},
        },
    }


def invocations_request(wanted: Expected) -> Schema:
    """Return the schema of MLflow's four forms."""
    row, columns = _row(wanted), _columns(wanted)
    rows: Schema = {"type": "array", "minItems": 1, "maxItems": wanted.max_rows, "items": row}
    split = _object(
        {
            "columns": {"type": "array", "items": {"type": "string", "enum": wanted.names}, "uniqueItems": True},
            "data": {"type": "array", "minItems": 1, "items": {"type": "array"}},
            "index": {"type": "array"},
        },
        ["columns", "data"],
    )
    params: Schema = {"params": _object({k: v for k, v in _OPTIONS.items() if k != "explain"}, [])}
    forms: dict[str, Schema] = {
        "dataframe_split": split,
        "dataframe_records": rows,
        "instances": {"anyOf": [rows, columns]},
        "inputs": {"anyOf": [columns, rows]},
    }
    return {
        "oneOf": [_object({form: schema, **params}, [form]) for form, schema in forms.items()],
        "examples": [{"dataframe_records": [example(wanted)]}],
    }


def infer_request(signature: Signature, known: Iterable[InputColumn]) -> Schema:
    """Return the schema of the protocol's JSON form of a request."""
    columns = list(known)
    tensors = [_spec_tensor(s) for s in signature.tensors] or [_column_tensor(c) for c in columns]
    outputs: Schema = {
        "type": "array",
        "items": _object(
            {"name": {"type": "string", "enum": [s.name for s in signature.answered]}, "parameters": _SCALARS},
            ["name"],
        ),
    }
    parameters: Schema = _SCALARS | {
        "properties": {
            "event_time": _OPTIONS["event_time"],
            "explain": _OPTIONS["explain"],
            "binary_data_output": {"type": "boolean"},
        }
    }
    inputs: Schema = {"type": "array", "minItems": 1, "items": {"oneOf": tensors}}
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {"id": _OPTIONS["id"], "parameters": parameters, "inputs": inputs, "outputs": outputs},
        "examples": [infer_example(signature, columns)],
    }


def infer_answer(signature: Signature) -> Schema:
    """Return the schema of its answer."""
    tensor: Schema = {
        "type": "object",
        "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"type": "string", "description": f"One of {', '.join(s.name for s in signature.answered)}."},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array"},
        },
    }
    return {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "parameters": _SCALARS,
            "outputs": {"type": "array", "items": tensor},
        },
    }


def infer_example(signature: Signature, known: Iterable[InputColumn]) -> dict[str, Any]:
    """Return a request of one row that is right."""
    wanted = Expected({c.name: c for c in known}, {s.name: s for s in signature.tensors}, frozenset(), frozenset(), 1)
    shapes = {s.name: [max(1, size) for size in s.shape] for s in signature.tensors}
    kinds = {c.name: str(c.datatype) for c in wanted.columns.values()} | {s.name: s.datatype for s in signature.tensors}
    return {
        "inputs": [
            {"name": name, "datatype": kinds[name], "shape": shapes.get(name, [1]), "data": [value]}
            for name, value in example(wanted).items()
        ]
    }


def object_of(properties: Mapping[str, Any], *more: str) -> Schema:
    """Return the schema of an answer that has at least these."""
    return {"type": "object", "required": [*properties, *more], "properties": dict(properties)}


def _row(wanted: Expected) -> Schema:
    properties = {c.name: _value(c) for c in wanted.columns.values()}
    properties |= {s.name: _nested(s, s.shape[1:]) for s in wanted.tensors.values()}
    optional = wanted.filled | wanted.extra | {c.name for c in wanted.columns.values() if c.nullable}
    return _object(properties, [name for name in properties if name not in optional])


def _columns(wanted: Expected) -> Schema:
    row = _row(wanted)
    limits = {"type": "array", "minItems": 1, "maxItems": wanted.max_rows}
    return _object({name: limits | {"items": value} for name, value in row["properties"].items()}, row["required"])


def _object(properties: Mapping[str, Any], required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def _value(column: InputColumn) -> Schema:
    kinds: Mapping[Datatype, Schema] = {
        Datatype.BYTES: {"type": "string"} | ({"contentEncoding": "base64"} if column.raw else {}),
        Datatype.BOOL: {"type": "boolean"},
        Datatype.INT64: {"type": "integer", "minimum": -_SAFE, "maximum": _SAFE},
        Datatype.FP64: {"type": "number"},
    }
    found = kinds[column.datatype]
    return found | {"type": [found["type"], "null"]} if column.nullable else found


def _nested(spec: TensorSpec, sizes: tuple[int, ...]) -> Schema:
    if not sizes:
        return _element(spec.datatype)
    limits: Schema = {"minItems": 1} if sizes[0] < 0 else {"minItems": sizes[0], "maxItems": sizes[0]}
    return {"type": "array", "items": _nested(spec, sizes[1:])} | limits


def _element(datatype: str) -> Schema:
    words = {"BYTES": "string", "BOOL": "boolean"}
    return {"type": words.get(datatype, "integer" if datatype in _WHOLE else "number")}


def _column_tensor(column: InputColumn) -> Schema:
    value = _value(column)
    return _tensor(
        column.name, _TAKEN[column.datatype], {"type": "array", "items": {"anyOf": [value, {"type": "array"}]}}
    )


def _spec_tensor(spec: TensorSpec) -> Schema:
    return _tensor(spec.name, [spec.datatype], {"type": "array"})


def _tensor(name: str, datatypes: list[str], data: Schema) -> Schema:
    shape: Schema = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1}}
    properties: Schema = {
        "name": {"const": name},
        "datatype": {"type": "string", "enum": datatypes},
        "shape": shape,
        "parameters": _SCALARS,
        "data": data,
    }
    return {"type": "object", "required": ["name", "datatype", "shape", "data"], "properties": properties}
