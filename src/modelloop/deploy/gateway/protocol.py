"""Pure: the Open Inference Protocol v2 in JSON. Bytes in, checked columns out; scores in, bytes out.

Reading has two halves. `parse` checks what is common to both arms of a route: form, names, shapes. `columns` turns the
tensors into what one version is asked with, so a challenger that wants other columns fails alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import orjson

from ...ground.core.clock import parse_time
from ...ground.core.errors import BodyTooLarge, RequestInvalid
from ...prepare.records import InputColumn
from ...register.signature import describe
from .tensors import DATATYPES, flatten

MAX_ID = 200
_SKELETON = '{"inputs": [{"name": ..., "datatype": ..., "shape": [rows], "data": [...]}, ...]}'
_NO_BINARY = (
    "Send `data` as JSON (tritonclient: set_data_from_numpy(..., binary_data=False)), and ask for JSON answers."
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input as it was sent, flattened."""

    name: str
    datatype: str
    values: list[Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose form is right; whether the values are is decided per version."""

    id: str | None
    event_time: datetime | None
    rows: int
    tensors: Mapping[str, Tensor]


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding; never unpacks more than `limit` bytes."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise RequestInvalid(f"Content-Encoding {encoding[:40]!r} is not known.", hint="Send gzip, or leave it out.")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestInvalid(
            f"The body is not gzip: {error}.", hint="Leave Content-Encoding out for a plain body."
        ) from error
    if len(plain) > limit:
        raise too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise RequestInvalid("The gzip body is cut off, or has something behind its end.", hint="Send one gzip member.")
    return plain


def too_large(limit: int) -> BodyTooLarge:
    """Return the error for a body beyond the limit."""
    return BodyTooLarge(f"The body is larger than {limit} bytes.", hint="Send fewer rows per request.")


def parse(body: bytes, known: Sequence[InputColumn], *, output: str, max_rows: int) -> Asked:
    """Read a request; raises RequestInvalid with what was found and what was expected."""
    request = _object(body)
    parameters = _parameters(request, "the request")
    _check_outputs(request, parameters, output)
    tensors: dict[str, Tensor] = {}
    rows = -1
    for position, entry in enumerate(_inputs(request, known)):
        tensor, count = _tensor(entry, position, known, max_rows)
        if tensor.name in tensors:
            raise RequestInvalid(f"The input {tensor.name!r} is there twice.", hint="Send each input once.")
        if rows >= 0 and count != rows:
            raise RequestInvalid(
                f"The input {tensor.name!r} has {count} rows, the inputs before it have {rows}.",
                hint="All inputs of a request describe the same rows.",
            )
        rows = count
        tensors[tensor.name] = tensor
    return Asked(_id(request), _event_time(parameters), rows, tensors)


def answer_body(name: str, version: str, ids: tuple[str, str], output: str, scores: Sequence[float]) -> bytes:
    """Return the body of an answer; `version` is `model:number`, `ids` the id to echo and the prediction id."""
    return orjson.dumps(
        {
            "model_name": name,
            "model_version": version.rpartition(":")[2],
            "id": ids[0],
            "parameters": {"prediction_id": ids[1], "version": version},
            "outputs": [{"name": output, "datatype": "FP32", "shape": [len(scores)], "data": scores}],
        }
    )


def metadata_body(name: str, versions: Sequence[str], inputs: Sequence[InputColumn], output: str) -> bytes:
    """Return the metadata of an endpoint."""
    return orjson.dumps(
        {
            "name": name,
            "versions": versions,
            "platform": "onnx_onnxv1",
            "inputs": [{"name": c.name, "datatype": str(c.datatype), "shape": [-1]} for c in inputs],
            "outputs": [{"name": output, "datatype": "FP32", "shape": [-1]}],
        }
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestInvalid(
            f"The body is not JSON: {error}.", hint=f"Expected {_SKELETON}; no NaN or Infinity."
        ) from error
    if not isinstance(request, dict):
        raise RequestInvalid(f"The body is {_kind(request)}, not an object.", hint=f"Expected {_SKELETON}.")
    return request


def _inputs(request: Mapping[str, Any], known: Sequence[InputColumn]) -> list[Any]:
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        found = "missing" if "inputs" not in request else "an empty list" if inputs == [] else _kind(inputs)
        raise RequestInvalid(f"`inputs` is {found}.", hint=f"Expected a list of tensors: {describe(known)}.")
    return inputs


def _tensor(entry: Any, position: int, known: Sequence[InputColumn], max_rows: int) -> tuple[Tensor, int]:
    if not isinstance(entry, dict):
        raise RequestInvalid(f"inputs[{position}] is {_kind(entry)}, not an object.", hint=f"Expected {_SKELETON}.")
    name = entry.get("name")
    if not isinstance(name, str):
        raise RequestInvalid(f"inputs[{position}] has no name.", hint=f"Expected: {describe(known)}.")
    if not any(column.name == name for column in known):
        raise _unknown(name, known)
    datatype = entry.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise RequestInvalid(
            f"The input {name!r} has the datatype {_short(datatype)}.", hint=f"Known are {', '.join(DATATYPES)}."
        )
    if "binary_data_size" in _parameters(entry, f"the input {name!r}"):
        raise RequestInvalid(f"The input {name!r} is sent as binary data, which is not supported.", hint=_NO_BINARY)
    rows = _rows(name, entry.get("shape"), max_rows)
    return Tensor(name, datatype, flatten(name, entry.get("data"), entry["shape"])), rows


def _unknown(name: str, known: Sequence[InputColumn]) -> RequestInvalid:
    close = get_close_matches(name[:100], [column.name for column in known], n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return RequestInvalid(f"There is no input {_short(name)}.", hint=f"{meant}Expected: {describe(known)}.")


def _rows(name: str, shape: Any, max_rows: int) -> int:
    whole = isinstance(shape, list) and all(type(size) is int for size in shape)
    if not whole or not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)) or shape[0] < 1:
        raise RequestInvalid(
            f"The input {name!r} has the shape {_short(shape)}.", hint="Expected [rows] or [rows, 1], at least one row."
        )
    rows: int = shape[0]
    if rows > max_rows:
        raise RequestInvalid(f"{_short(rows)} rows in one request.", hint=f"Send at most {max_rows}.")
    return rows


def _check_outputs(request: Mapping[str, Any], parameters: Mapping[str, Any], output: str) -> None:
    wanted = request.get("outputs", [])
    if not isinstance(wanted, list):
        raise RequestInvalid(f"`outputs` is {_kind(wanted)}.", hint="Expected a list, or leave it out.")
    for entry in wanted:
        name = entry.get("name") if isinstance(entry, dict) else entry
        if name != output:
            raise RequestInvalid(f"There is no output {_short(name)}.", hint=f"The only output is {output!r}.")
        asked = _parameters(entry, f"the output {output!r}")
        if asked.get("binary_data") or asked.get("classification"):
            raise RequestInvalid("Binary or classified outputs are not supported.", hint=_NO_BINARY)
    if parameters.get("binary_data_output") and not wanted:
        raise RequestInvalid("`binary_data_output` is asked for, which is not supported.", hint=_NO_BINARY)


def _parameters(holder: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestInvalid(f"`parameters` of {what} is {_kind(parameters)}.", hint="Expected an object.")
    return parameters


def _id(request: Mapping[str, Any]) -> str | None:
    found = request.get("id")
    if found is None or (isinstance(found, str) and len(found) <= MAX_ID):
        return found
    raise RequestInvalid(f"`id` is {_short(found)}.", hint=f"Expected a string of at most {MAX_ID} characters.")


def _event_time(parameters: Mapping[str, Any]) -> datetime | None:
    found = parameters.get("event_time")
    if found is None:
        return None
    try:
        return parse_time(found if isinstance(found, str) else "")
    except (ValueError, OverflowError) as error:
        raise RequestInvalid(
            f"parameters.event_time is {_short(found)}.", hint="Expected ISO 8601, for instance 2013-03-01T05:15:00Z."
        ) from error


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
