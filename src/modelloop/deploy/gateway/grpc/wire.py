"""Pure: between the protocol's messages and its binary form over HTTP, which is read and written in one place for both.

A message becomes the JSON head with the raw tensors behind it; an answer's head and raw tensors become a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from ....ground.core.errors import RequestInvalid
from ....ground.core.later import numpy as np
from ..binary import packed, unpacked
from ..tensors import DATATYPES, TYPES, WHOLE

CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Which list of typed contents holds a datatype. FP16 has none: it travels as raw bytes."""


def body_of(request: Any) -> tuple[bytes, int]:
    """Return a request's body in the binary form, and the length of its JSON; raises RequestInvalid."""
    raws = list(_raws(request))
    head = {
        "parameters": parameters_of(request.parameters) | {"binary_data_output": True},
        "inputs": [_input(entry, len(raw)) for entry, raw in zip(request.inputs, raws, strict=True)],
    }
    if request.id:
        head["id"] = request.id
    if request.outputs:
        head["outputs"] = [{"name": o.name, "parameters": _raw_always(o.parameters)} for o in request.outputs]
    written = orjson.dumps(head)
    return b"".join([written, *raws]), len(written)


def fill(answer: Any, body: bytes, head: int, *, raw: bool) -> None:
    """Write an answer that is given in the binary form: with raw tensors, or typed ones for who sent such."""
    told = orjson.loads(body[:head])
    answer.model_name, answer.model_version, answer.id = told["model_name"], told["model_version"], told["id"]
    for name, value in told["parameters"].items():
        answer.parameters[name].string_param = str(value)
    raw = raw or any(output["datatype"] not in CONTENTS for output in told["outputs"])
    at = head
    for output in told["outputs"]:
        end = at + output["parameters"]["binary_data_size"]
        entry = answer.outputs.add(name=output["name"], datatype=output["datatype"])
        entry.shape.extend(output["shape"])
        if raw:
            answer.raw_output_contents.append(body[at:end])
        else:
            _type(entry, output["datatype"], output["shape"], memoryview(body)[at:end])
        at = end


def is_typed(request: Any) -> bool:
    """Say whether the tensors are sent in typed lists."""
    return any(entry.HasField("contents") for entry in request.inputs)


def parameters_of(found: Any) -> dict[str, Any]:
    """Return a map of parameters as plain values."""
    named = ((name, value, value.WhichOneof("parameter_choice")) for name, value in found.items())
    return {name: getattr(value, choice) for name, value, choice in named if choice is not None}


def _raws(request: Any) -> Iterable[bytes]:
    raw = list(request.raw_input_contents)
    if raw and is_typed(request):
        both = next(entry.name for entry in request.inputs if entry.HasField("contents"))
        raise RequestInvalid(
            f"There are raw_input_contents, and the input {both[:80]!r} has contents too.",
            hint="Send all inputs raw, or all of them typed.",
        )
    if raw and len(raw) != len(request.inputs):
        raise RequestInvalid(
            f"There are {len(request.inputs)} inputs and {len(raw)} raw_input_contents.",
            hint="Send one of them for each input, in the same order.",
        )
    return raw if raw else [_packed(entry) for entry in request.inputs]


def _input(entry: Any, size: int) -> dict[str, Any]:
    parameters = parameters_of(entry.parameters) | {"binary_data_size": size}
    return {
        "name": entry.name,
        "datatype": entry.datatype,
        "shape": list(entry.shape),
        "parameters": parameters,
    }


def _raw_always(found: Any) -> dict[str, Any]:
    return parameters_of(found) | {"binary_data": True}


def _packed(entry: Any) -> bytes:
    """Return typed contents as raw bytes."""
    wanted, given = CONTENTS.get(entry.datatype), [field.name for field, _ in entry.contents.ListFields()]
    if entry.datatype not in DATATYPES:
        return b""  # refused by its datatype when it is read
    if wanted is None or any(field != wanted for field in given):
        raise RequestInvalid(
            f"The {entry.datatype} input {entry.name[:80]!r} has {', '.join(given) or 'no contents'}.",
            hint=f"Expected {wanted or 'raw_input_contents'}.",
        )
    values = getattr(entry.contents, wanted)
    if entry.datatype == "BYTES":
        made = np.empty(len(values), dtype=np.object_)
        made[:] = list(values)
        return packed(made)
    kind = np.dtype(TYPES[entry.datatype])
    if entry.datatype in WHOLE and kind.itemsize < 4:
        _require_within(entry, values, np.iinfo(kind))
    return packed(np.array(values, dtype=kind))


def _require_within(entry: Any, values: Any, limits: Any) -> None:
    """32 bits hold the small integers too, and may hold more than those can."""
    for position, value in enumerate(values):
        if not limits.min <= value <= limits.max:
            raise RequestInvalid(
                f"The input {entry.name[:80]!r} has {value} at position {position}.",
                hint=f"Expected {entry.datatype} values, {limits.min} to {limits.max}.",
            )


def _type(entry: Any, datatype: str, shape: list[int], raw: memoryview) -> None:
    values = unpacked(entry.name, datatype, shape, raw)
    flat = values if isinstance(values, list) else values.tolist()
    if datatype == "BYTES":
        flat = [value if isinstance(value, bytes) else value.encode() for value in flat]
    getattr(entry.contents, CONTENTS[datatype]).extend(flat)
