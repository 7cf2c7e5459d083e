"""Pure: what a folder in MLflow's format says of itself. Its YAML is read as plain data; no name in it is imported."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..ground.core.errors import ExtraMissing, InvalidInput
from ..ground.core.later import needed
from ..prepare.records import Datatype, InputColumn
from ..train.foreign.records import Tensor

MLMODEL = "MLmodel"
MAX_BYTES = 1_000_000
SERVED = ("onnx", "lightgbm", "xgboost", "sklearn", "pytorch")
"""Flavors that can become a package, the most exact first."""
PYTHON = "python_function"
"""The flavor of any Python code."""
_PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".pth", ".pt", ".cloudpickle", ".dill", ".bin"})
_DATATYPES = {
    "double": Datatype.FP64,
    "float": Datatype.FP64,
    "long": Datatype.INT64,
    "integer": Datatype.INT64,
    "boolean": Datatype.BOOL,
    "string": Datatype.BYTES,
}
_TENSORS = {
    **{name: name.upper() for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bool": "BOOL",
    "str": "BYTES",
    "object": "BYTES",
}
"""The protocol's names of numpy's types."""


@dataclass(frozen=True, slots=True)
class Described:
    """What an MLmodel says, as far as it is of use here."""

    flavor: str = ""
    """The one that a package is made of."""
    data: str = ""
    """Path of the model's file or folder, from the folder's root."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Plain words of the flavor: `model_class`, `serialization_format`, `predict_fn`."""
    inputs: tuple[InputColumn, ...] | None = None
    """Columns of the signature; None: it has none that names columns."""
    width: int | None = None
    """Columns of a tensor signature [-1, width]."""
    tensors: tuple[Tensor, ...] = ()
    """Of a signature of other tensors."""
    example: str = ""
    """Path of the input example."""
    unsafe: bool = False
    refusal: str = ""
    """Why no package can be made of it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For lineage and card, JSON-ready."""


def describe_folder(text: bytes | None, paths: Collection[str]) -> Described:
    """Return what a folder says of itself; one that cannot be understood says why in `refusal`.

    Without a YAML reader (a control process of the plain install) only the names of the files speak.
    """
    if text is None:
        found = "It holds no files" if not paths else "It has no file MLmodel"
        return Described(unsafe=_pickled(paths), refusal=f"{found}: it is no model in MLflow's format.")
    try:
        body = read_yaml(text)
        return _described(body, paths)
    except ExtraMissing:
        return Described(unsafe=_pickled(paths))
    except InvalidInput as error:
        return Described(unsafe=_pickled(paths), refusal=error.message)


def read_yaml(text: bytes) -> Mapping[str, Any]:
    """Read an MLmodel as plain data; raises InvalidInput, and ExtraMissing without a YAML reader."""
    if len(text) > MAX_BYTES:
        raise InvalidInput(f"Its MLmodel has {len(text)} bytes; at most {MAX_BYTES} are read.")
    yaml = needed("yaml", "ml")
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InvalidInput(f"Its MLmodel is no YAML of plain values: {said}.") from error
    if not isinstance(found, dict) or not isinstance(found.get("flavors"), dict):
        raise InvalidInput("Its MLmodel names no flavors.", hint="A model in MLflow's format lists them.")
    return found


def _described(body: Mapping[str, Any], paths: Collection[str]) -> Described:
    flavors = {str(name): value for name, value in body["flavors"].items() if isinstance(value, dict)}
    facts = _facts(body, flavors)
    flavor = next((name for name in SERVED if name in flavors), "")
    pyfunc = flavors.get("python_function", {})
    if not flavor and pyfunc:
        return _python(body, pyfunc, paths, facts)
    if not flavor:
        known = ", ".join(sorted(flavors)) or "none"
        refusal = f"Its flavors ({known}) hold nothing that can be read: {', '.join(SERVED)} and python_function can."
        return Described(unsafe=_pickled(paths), refusal=refusal, facts=facts)
    own = flavors[flavor]
    data = _word(own.get("data") or own.get("pickled_model") or own.get("model_data") or pyfunc.get("data"))
    words = ("model_class", "serialization_format", "lgb_version", "xgb_version", "sklearn_version", "pytorch_version")
    settings = {name: _word(own.get(name)) for name in words if own.get(name)}
    settings["predict_fn"] = _word(pyfunc.get("predict_fn")) or "predict"
    data = inside(data, paths)
    inputs, width, tensors = _signature(body.get("signature"))
    return Described(
        tensors=tensors,
        flavor=flavor,
        data=data,
        settings=settings,
        inputs=inputs,
        width=width,
        example=_example(body, paths),
        unsafe=_pickled(paths) or settings.get("serialization_format") in ("pickle", "cloudpickle"),
        facts=facts,
    )


def _python(
    body: Mapping[str, Any], pyfunc: Mapping[str, Any], paths: Collection[str], facts: Mapping[str, Any]
) -> Described:
    """Return what is said of a model that is Python code: whoever reads it runs it."""
    words = ("loader_module", "python_model", "model_code_path", "data")
    settings = {name: _word(pyfunc.get(name)) for name in words if pyfunc.get(name)}
    artifacts = pyfunc.get("artifacts")
    if isinstance(artifacts, dict):
        named = {str(name)[:200]: _word(one.get("path")) for name, one in artifacts.items() if isinstance(one, dict)}
        settings["artifacts"] = json.dumps({name: inside(path, paths) for name, path in named.items()})
    for name in ("python_model", "data"):
        if name in settings:
            settings[name] = inside(settings[name], paths)
    inputs, width, tensors = _signature(body.get("signature"))
    return Described(
        tensors=tensors,
        flavor=PYTHON,
        data=MLMODEL,
        settings=settings,
        inputs=inputs,
        width=width,
        example=_example(body, paths),
        unsafe=True,
        facts=facts,
    )


def inside(path: str, paths: Collection[str]) -> str:
    """Return `path` if it names a file or folder of these, else raise InvalidInput."""
    clean = str(PurePosixPath(path)) if path else ""
    known = clean in paths or any(name.startswith(f"{clean}/") for name in paths)
    if not clean or clean.startswith("/") or ".." in PurePosixPath(clean).parts or "\\" in clean or not known:
        raise InvalidInput(f"Its MLmodel says that the model is {path[:120]!r}; there is no such file in the folder.")
    return clean


def _facts(body: Mapping[str, Any], flavors: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"flavors": sorted(name[:60] for name in flavors)[:20]}
    for name in ("mlflow_version", "model_uuid", "run_id", "model_id", "utc_time_created"):
        if body.get(name) is not None:
            found[name] = _word(body[name])
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        licence = metadata.get("license") or metadata.get("licence")
        found |= {"licence": _word(licence)} if licence else {}
    return found


def _signature(found: Any) -> tuple[tuple[InputColumn, ...] | None, int | None, tuple[Tensor, ...]]:
    """Return the columns of a signature, or the width of a matrix of numbers, or other tensors.

    Raises InvalidInput for what cannot be asked.
    """
    if not isinstance(found, dict) or not found.get("inputs"):
        return None, None, ()
    try:
        listed = json.loads(found["inputs"]) if isinstance(found["inputs"], str) else found["inputs"]
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The inputs of its signature are no JSON: {error}.") from error
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise InvalidInput("The inputs of its signature are no list of columns.")
    if any(one.get("type") == "tensor" for one in listed):
        tensors = tuple(_tensor(one) for one in listed)
        shape = tensors[0].shape
        if len(tensors) == 1 and len(shape) == 2 and shape[1] > 0 and tensors[0].datatype != "BYTES":
            return None, shape[1], ()
        return None, None, tensors
    columns = []
    for at, one in enumerate(listed):
        kind = str(one.get("type"))
        if kind not in _DATATYPES:
            raise InvalidInput(f"Its signature has a column of the type {kind[:40]!r}, which no request can carry.")
        optional = one.get("required") is False
        columns.append(InputColumn(str(one.get("name", f"x{at}"))[:250], _DATATYPES[kind], nullable=optional))
    if len({column.name for column in columns}) < len(columns):
        raise InvalidInput("Two columns of its signature have the same name.")
    return tuple(columns), None, ()


def _tensor(one: Mapping[str, Any]) -> Tensor:
    spec = one.get("tensor-spec")
    shape = spec.get("shape") if isinstance(spec, dict) else None
    kind = _TENSORS.get(str(spec.get("dtype"))) if isinstance(spec, dict) else None
    sizes = (
        shape if isinstance(shape, list) and all(type(size) is int and -1 <= size <= 100_000 for size in shape) else []
    )
    if kind is None or not sizes or sizes[0] != -1:
        raise InvalidInput(
            f"Its signature asks for the tensor {str(one)[:120]}; a known type and a shape [-1, ...] can be served."
        )
    return Tensor(str(one.get("name") or "")[:250], kind, tuple(sizes))


def _example(body: Mapping[str, Any], paths: Collection[str]) -> str:
    info = body.get("saved_input_example_info")
    path = _word(info.get("artifact_path")) if isinstance(info, dict) else ""
    return path if path in paths else ""


def _pickled(paths: Collection[str]) -> bool:
    return any(PurePosixPath(path).suffix.lower() in _PICKLES for path in paths)


def _word(value: Any) -> str:
    return str(value)[:300] if isinstance(value, str | int | float) else ""
