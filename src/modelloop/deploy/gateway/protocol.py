"""Pure: a request of the Open Inference Protocol v2, in JSON or with raw tensors behind it. Bytes in, `Asked` out.

Reading has two halves. `parse` checks what is common to all versions of a route: form, names, shapes. What one version
is asked with is made of the tensors per version, so a challenger that wants other columns fails alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import orjson

from ...ground.core.errors import BodyTooLarge, RequestInvalid
from ...prepare.records import Datatype, InputColumn
from ...register.records import Signature, TensorSpec
from ...register.signature import describe
from .asked import Asked, Tensor, Wanted
from .binary import unpacked
from .given import event_time_of, id_of, kind_of, short
from .tensors import DATATYPES, flatten

_SKELETON = '{"inputs": [{"name": ..., "datatype": ..., "shape": [rows], "data": [...]}, ...]}'
_MATRICES = ("FP32", "FP64", "FP16")


@dataclass(frozen=True, slots=True)
class Form:
    """What a request to a route may carry."""

    columns: Mapping[str, InputColumn]
    tensors: Mapping[str, TensorSpec]
    matrix: tuple[str, ...] = ()
    """Columns that may come as one matrix [rows, columns] of another name, in this order: all of them are numbers."""
    max_rows: int = 1000

    @property
    def expected(self) -> str:
        """Return the inputs as a sentence part."""
        tensors = [f"{spec.name} {spec.datatype} {list(spec.shape)}" for spec in self.tensors.values()]
        columns = describe(list(self.columns.values()))
        return ", ".join([*([columns] if columns else []), *tensors])


def form_of(signatures: Sequence[Signature], extra: Sequence[str], max_rows: int) -> Form:
    """Return the form of a route whose versions have these signatures, the champion's first.

    `extra`: names that are welcome though no version reads them (a key, columns that outcomes join by).
    """
    columns: dict[str, InputColumn] = {}
    tensors: dict[str, TensorSpec] = {}
    for signature in signatures:
        for column in () if signature.tensors else signature.inputs:
            columns.setdefault(column.name, column)
        for spec in signature.tensors:
            tensors.setdefault(spec.name, spec)
    first = signatures[0]
    numbers = not first.tensors and all(c.datatype in (Datatype.FP64, Datatype.INT64) for c in first.inputs)
    matrix = tuple(column.name for column in first.inputs) if numbers and len(first.inputs) > 1 else ()
    for name in extra:
        if name not in tensors:
            columns.setdefault(name, InputColumn(name, Datatype.BYTES, nullable=True))
    return Form(columns, tensors, matrix, max_rows)


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding; never unpacks more than `limit` bytes."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise RequestInvalid(
            f"Content-Encoding {encoding[:40]!r} is not known.", hint="Send gzip or deflate, or leave it out."
        )
    wraps = (31,) if encoding != "deflate" else (15, -15)  # deflate: with its wrapper, or as some send it, bare
    for bits in wraps:
        unpacker = zlib.decompressobj(wbits=bits)
        try:
            plain = unpacker.decompress(body, limit + 1)
        except zlib.error as error:
            if bits != wraps[-1]:
                continue
            raise RequestInvalid(
                f"The body is not {encoding}: {error}.", hint="Leave Content-Encoding out for a plain body."
            ) from error
        break
    if len(plain) > limit:
        raise too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise RequestInvalid(
            f"The {encoding} body is cut off, or has something behind its end.", hint=f"Send one {encoding} member."
        )
    return plain


def too_large(limit: int) -> BodyTooLarge:
    """Return the error for a body beyond the limit."""
    return BodyTooLarge(f"The body is larger than {limit} bytes.", hint="Send fewer rows per request.")


def head_length(value: bytes | None, size: int) -> int | None:
    """Read the header Inference-Header-Content-Length of a body of `size` bytes."""
    if value is None:
        return None
    if not value.strip().isdigit() or len(value) > 12 or int(value) > size:
        raise RequestInvalid(
            f"Inference-Header-Content-Length is {value[:40]!r}, the body has {size} bytes.",
            hint="Expected the length of the JSON before the raw tensors.",
        )
    return int(value)


def parse(body: bytes, form: Form, *, outputs: Sequence[str], head: int | None = None) -> Asked:
    """Read a request; raises RequestInvalid with what was found and what was expected.

    `outputs`: names that may be asked for; `head`: length of the JSON, where raw tensors follow.
    """
    request = _object(body if head is None else body[:head])
    parameters = _parameters(request, "the request")
    reader = _Reader(form, None if head is None else memoryview(body)[head:])
    tensors: dict[str, Tensor] = {}
    rows = -1
    for position, entry in enumerate(_inputs(request, form)):
        tensor = reader.tensor(entry, position)
        if tensor.name in tensors:
            raise RequestInvalid(f"The input {tensor.name!r} is there twice.", hint="Send each input once.")
        if rows >= 0 and tensor.shape[0] != rows:
            raise RequestInvalid(
                f"The input {tensor.name!r} has {tensor.shape[0]} rows, the inputs before it have {rows}.",
                hint="All inputs of a request describe the same rows.",
            )
        rows = tensor.shape[0]
        tensors[tensor.name] = tensor
    reader.require_end()
    explain, binary = _flag(parameters, "explain"), _flag(parameters, "binary_data_output")
    wanted = _wanted(request, binary, outputs, explain=explain)
    return Asked(
        id_of(request.get("id")),
        event_time_of(parameters.get("event_time"), "parameters.event_time"),
        rows,
        tensors,
        wanted,
        binary,
        parameters,
        explain,
    )


def expanded(form: Form, asked: Asked) -> Asked:
    """Return the request with a matrix taken apart into its columns."""
    if not form.matrix:
        return asked
    others = [tensor for name, tensor in asked.tensors.items() if name not in form.columns and name not in form.tensors]
    if len(others) != 1 or others[0].shape != (asked.rows, len(form.matrix)):
        return asked
    (whole,) = others
    width, shape = len(form.matrix), (asked.rows,)
    tensors = {name: tensor for name, tensor in asked.tensors.items() if name != whole.name}
    for at, name in enumerate(form.matrix):
        tensors.setdefault(name, Tensor(name, whole.datatype, shape, whole.values[at::width]))
    return replace(asked, tensors=tensors)


@dataclass(slots=True)
class _Reader:
    """Reads inputs one after the other; raw ones off the bytes behind the JSON."""

    form: Form
    raw: memoryview | None
    at: int = 0

    def tensor(self, entry: Any, position: int) -> Tensor:
        form = self.form
        if not isinstance(entry, dict):
            raise RequestInvalid(
                f"inputs[{position}] is {kind_of(entry)}, not an object.", hint=f"Expected {_SKELETON}."
            )
        name = entry.get("name")
        if not isinstance(name, str):
            raise RequestInvalid(f"inputs[{position}] has no name.", hint=f"Expected: {form.expected}.")
        shape = entry.get("shape")
        matrix = self._is_matrix(name, shape)
        if not (matrix or name in form.columns or name in form.tensors):
            raise _unknown(name, form)
        datatype = entry.get("datatype")
        known = _MATRICES if matrix else DATATYPES
        if not isinstance(datatype, str) or datatype not in known:
            raise RequestInvalid(
                f"The input {name!r} has the datatype {short(datatype)}.", hint=f"Known are {', '.join(known)}."
            )
        sizes = self._shape(name, shape, matrix)
        return self._filled(name, datatype, sizes, entry)

    def require_end(self) -> None:
        """Raise unless all raw bytes belong to an input."""
        if self.raw is not None and self.at != len(self.raw):
            raise RequestInvalid(
                f"{len(self.raw) - self.at} raw bytes behind the JSON belong to no input.",
                hint="Say `binary_data_size` in the parameters of each input that is sent raw.",
            )

    def _is_matrix(self, name: str, shape: Any) -> bool:
        form = self.form
        if not form.matrix or name in form.columns or name in form.tensors:
            return False
        return isinstance(shape, list) and len(shape) == 2 and shape[1] == len(form.matrix)

    def _shape(self, name: str, shape: Any, matrix: bool) -> tuple[int, ...]:
        whole = isinstance(shape, list) and all(type(size) is int for size in shape)
        if name in self.form.tensors:
            wanted = self.form.tensors[name].shape
            if not whole or len(shape) != len(wanted) or any(size < 1 for size in shape):
                raise RequestInvalid(
                    f"The input {name!r} has the shape {short(shape)}.",
                    hint=f"Expected {list(wanted)} (-1: any size).",
                )
        elif not whole or not (matrix or len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)) or shape[0] < 1:
            raise RequestInvalid(
                f"The input {name!r} has the shape {short(shape)}.",
                hint="Expected [rows] or [rows, 1], at least one row.",
            )
        if shape[0] > self.form.max_rows:
            raise RequestInvalid(f"{short(shape[0])} rows in one request.", hint=f"Send at most {self.form.max_rows}.")
        return tuple(shape)

    def _filled(self, name: str, datatype: str, shape: tuple[int, ...], entry: Mapping[str, Any]) -> Tensor:
        parameters = _parameters(entry, f"the input {name!r}")
        if "shared_memory_region" in parameters:
            raise RequestInvalid(f"The input {name!r} lies in shared memory.", hint="Send `data`, or raw bytes.")
        size = parameters.get("binary_data_size")
        if size is None:
            if datatype == "FP16":
                raise RequestInvalid(
                    f"The input {name!r} is sent as FP16 in JSON.", hint="FP16 is sent raw; in JSON send FP32."
                )
            return Tensor(name, datatype, shape, flatten(name, entry.get("data"), shape))
        raw = self._raw(name, size)
        if "data" in entry:
            raise RequestInvalid(f"The input {name!r} has both `data` and raw bytes.", hint="Send one of them.")
        return Tensor(name, datatype, shape, unpacked(name, datatype, shape, raw))

    def _raw(self, name: str, size: Any) -> memoryview:
        if type(size) is not int or size < 0:
            raise RequestInvalid(
                f"binary_data_size of the input {name!r} is {short(size)}.", hint="Expected a number of bytes."
            )
        if self.raw is None:
            raise RequestInvalid(
                f"The input {name!r} is sent raw, and the header Inference-Header-Content-Length is missing.",
                hint="It says how long the JSON before the raw bytes is.",
            )
        if self.at + size > len(self.raw):
            raise RequestInvalid(
                f"The input {name!r} says it has {size} raw bytes, {len(self.raw) - self.at} are left.",
                hint="Raw tensors follow the JSON in the order of the inputs.",
            )
        self.at += size
        return self.raw[self.at - size : self.at]


def _object(body: bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestInvalid(
            f"The body is not JSON: {error}.", hint=f"Expected {_SKELETON}; no NaN or Infinity."
        ) from error
    if not isinstance(request, dict):
        raise RequestInvalid(f"The body is {kind_of(request)}, not an object.", hint=f"Expected {_SKELETON}.")
    return request


def _inputs(request: Mapping[str, Any], form: Form) -> list[Any]:
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        found = "missing" if "inputs" not in request else "an empty list" if inputs == [] else kind_of(inputs)
        raise RequestInvalid(f"`inputs` is {found}.", hint=f"Expected a list of tensors: {form.expected}.")
    return inputs


def _unknown(name: str, form: Form) -> RequestInvalid:
    close = get_close_matches(name[:100], [*form.columns, *form.tensors], n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    whole = f" Or one matrix FP32 [rows, {len(form.matrix)}]." if form.matrix else ""
    return RequestInvalid(f"There is no input {short(name)}.", hint=f"{meant}Expected: {form.expected}.{whole}")


def _wanted(request: Mapping[str, Any], binary: bool, outputs: Sequence[str], *, explain: bool) -> tuple[Wanted, ...]:
    entries = request.get("outputs")
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise RequestInvalid(f"`outputs` is {kind_of(entries)}.", hint="Expected a list, or leave it out.")
    found: dict[str, Wanted] = {}
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else entry
        if not isinstance(name, str) or not (name in outputs or (explain and name.startswith("explain_"))):
            only = f"The only output is {outputs[0]!r}" if len(outputs) == 1 else f"There are {', '.join(outputs)}"
            raise RequestInvalid(f"There is no output {short(name)}.", hint=f"{only}.")
        if name in found:
            raise RequestInvalid(f"The output {name!r} is asked for twice.", hint="Name each output once.")
        found[name] = _one_wanted(name, _parameters(entry, f"the output {name!r}"), binary)
    return tuple(found.values())


def _one_wanted(name: str, parameters: Mapping[str, Any], binary: bool) -> Wanted:
    if "shared_memory_region" in parameters:
        raise RequestInvalid(f"The output {name!r} is wanted in shared memory.", hint="Take it as JSON or raw bytes.")
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise RequestInvalid(
            f"classification of the output {name!r} is {short(classes)}.", hint="Expected how many classes to name."
        )
    return Wanted(name, _flag(parameters, "binary_data", binary, f"binary_data of the output {name!r}"), classes)


def _parameters(holder: Any, what: str) -> Mapping[str, Any]:
    parameters = holder.get("parameters") if isinstance(holder, dict) else None
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestInvalid(f"`parameters` of {what} is {kind_of(parameters)}.", hint="Expected an object.")
    return parameters


def _flag(parameters: Mapping[str, Any], name: str, otherwise: bool = False, where: str = "") -> bool:
    found = parameters.get(name, otherwise)
    if not isinstance(found, bool):
        raise RequestInvalid(f"{where or f'parameters.{name}'} is {short(found)}.", hint="Expected true or false.")
    return found
