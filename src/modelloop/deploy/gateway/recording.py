"""Pure: what a record of the prediction log says of a request's inputs and a version's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from ...ground.core.errors import RequestInvalid
from ...prepare.records import Columns
from ...register.records import Signature
from ..privacy import covered, covered_key, covered_tensors
from ..records import LogPolicy
from .asked import Asked, Tensor
from .binary import packed
from .runtime import LoadedArm, LoadedRoute
from .tensors import column_array, plain_values, tensor_array

if TYPE_CHECKING:
    import numpy.typing as npt

Record: TypeAlias = "dict[str, Any]"


def written_inputs(
    route: LoadedRoute, arm: LoadedArm, asked: Asked, columns: Columns | None, key: bytes | None
) -> Record:
    """Return the inputs as they are logged: `x` columns, `t` tensors, `bk` the business key, `sl` the slices' columns.

    `columns`: what the version was asked with; None: it was asked with nothing that is right.
    """
    found: Record = {}
    values: Mapping[str, Any]
    tensors: Mapping[str, Any]
    values, tensors = _values(route, arm, asked, columns)
    policy = route.route.log
    if route.route.slices:
        found["sl"] = covered({n: values[n] for n in route.route.slices if n in values}, policy, key)
    business = _business_key(route.route.outcome_key, asked, policy, key)
    if business is not None:
        found["bk"] = business
    values, tensors = covered(values, policy, key), covered_tensors(tensors, policy, key)
    if tensors:
        found["t"] = tensors
    if values or not tensors:
        found["x"] = values
    return found


def written_outputs(signature: Signature, outputs: Mapping[str, npt.NDArray[Any]]) -> Record:
    """Return `o`, every output by name with a list a row; nothing where there is only the score."""
    if not signature.outputs or (len(outputs) == 1 and next(iter(outputs.values())).ndim == 1):
        return {}
    return {"o": {name: values.tolist() for name, values in outputs.items()}}


def written_tensor(datatype: str, values: npt.NDArray[Any]) -> list[Any]:
    """Return a tensor as it is logged: raw little-endian bytes, texts as a list."""
    if datatype == "BYTES":
        return [datatype, list(values.shape), values.reshape(-1).tolist()]
    return [datatype, list(values.shape), packed(values)]


def _values(
    route: LoadedRoute, arm: LoadedArm, asked: Asked, columns: Columns | None
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Return all inputs of their column's type; what only another version reads is not checked yet."""
    given = columns or {}
    values: dict[str, list[Any]] = {}
    tensors: dict[str, list[Any]] = {}
    form = route.form
    for spec in arm.signature.tensors:
        if spec.name in given:
            tensors[spec.name] = written_tensor(spec.datatype, given[spec.name])
    for column in () if arm.signature.tensors else arm.signature.inputs:
        if column.name in given:
            values[column.name] = plain_values(column, given[column.name])
    for name, tensor in asked.tensors.items():
        if name in values or name in tensors:
            continue
        with suppress(RequestInvalid):
            if name in form.tensors:
                spec = form.tensors[name]
                tensors[name] = written_tensor(spec.datatype, tensor_array(spec, tensor))
            elif name in form.columns and (column := form.columns[name]):
                values[name] = plain_values(column, column_array(column, tensor))
    return values, tensors


def _business_key(name: str | None, asked: Asked, policy: LogPolicy, key: bytes | None) -> list[str | None] | None:
    if name is None:
        return None
    tensor: Tensor | None = asked.tensors.get(name)
    if tensor is not None:
        values = tensor.values if isinstance(tensor.values, list) else tensor.values.tolist()
        return [covered_key(name, value, policy, key) for value in values]
    value = asked.parameters.get(name)
    return None if isinstance(value, list | dict) or value is None else [covered_key(name, value, policy, key)]
