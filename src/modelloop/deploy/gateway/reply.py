"""Pure: an answer as the Open Inference Protocol says it: JSON, with raw tensors behind it where they are wanted."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from ...ground.core.errors import RequestInvalid
from ...ground.core.later import numpy as np
from .asked import Answered, Asked, Wanted
from .binary import packed
from .tensors import TYPES

if TYPE_CHECKING:
    import numpy.typing as npt

_NAMES = {kind: name for name, kind in TYPES.items()}


def body_of(asked: Asked, found: Answered) -> tuple[bytes, int | None]:
    """Return the body, and the length of its JSON where raw tensors follow."""
    raws: list[bytes] = []
    outputs = [_output(wanted, values, found, raws) for wanted, values in _chosen(asked, found)]
    head = orjson.dumps(
        {
            "model_name": found.endpoint,
            "model_version": found.version.rpartition(":")[2],
            "id": found.prediction if found.id is None else found.id,
            "parameters": {"prediction_id": found.prediction, "version": found.version},
            "outputs": outputs,
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
    raw = any("binary_data_size" in one.get("parameters", ()) for one in outputs)
    return b"".join([head, *raws]), len(head) if raw else None


def datatype_of(values: npt.NDArray[Any]) -> str:
    """Return how the protocol calls the type of an array."""
    return _NAMES.get(values.dtype.name, "BYTES")


def classified(values: npt.NDArray[Any], count: int, labels: tuple[str, ...]) -> npt.NDArray[Any]:
    """Return the `count` largest values of each row as `value:index` or `value:index:label`, the largest first."""
    table = values.reshape(len(values), -1)
    if table.dtype.kind not in "fiu":
        raise RequestInvalid("Only outputs of numbers can be classified.", hint="Leave `classification` out.")
    order = np.argsort(-table.astype(np.float64), axis=1, kind="stable")[:, :count]
    named = len(labels) == table.shape[1] > 1
    made = np.empty(order.shape, dtype=np.object_)
    for row, places in enumerate(order.tolist()):
        for at, place in enumerate(places):
            text = f"{table[row, place]:f}:{place}"
            made[row, at] = f"{text}:{labels[place]}" if named else text
    return made


def compressed(body: bytes, accepted: bytes) -> tuple[bytes, bytes | None]:
    """Return the body as Accept-Encoding wants it, and its Content-Encoding; plain where that would be longer."""
    wanted = _encodings(accepted)
    for name, bits in ((b"gzip", 31), (b"deflate", 15)):
        if name in wanted:
            packer = zlib.compressobj(1, zlib.DEFLATED, bits)
            short = packer.compress(body) + packer.flush()
            return (short, name) if len(short) < len(body) else (body, None)
    return body, None


def _encodings(accepted: bytes) -> set[bytes]:
    """Return what is accepted; `gzip;q=0` says that it is not."""
    found = set()
    for part in accepted.lower().split(b","):
        name, _, quality = part.partition(b";")
        if quality.replace(b" ", b"").rstrip(b"0.") != b"q=":
            found.add(name.strip())
    return found


def _chosen(asked: Asked, found: Answered) -> Iterable[tuple[Wanted, npt.NDArray[Any]]]:
    everything = {**found.outputs, **_explained(found.explained)}
    if asked.wanted:
        for wanted in asked.wanted:
            if wanted.name not in everything:
                raise RequestInvalid(
                    f"There is no output {wanted.name[:80]!r}.", hint=f"There are {', '.join(everything)}."
                )
            yield wanted, everything[wanted.name]
    else:
        for name, values in everything.items():
            yield Wanted(name, asked.binary), values


def _explained(explained: Mapping[str, Any] | None) -> dict[str, npt.NDArray[Any]]:
    """Return contributions as outputs of their own: parameters hold single values only."""
    if explained is None:
        return {}
    made = {"explain_base": np.asarray(explained["base"], dtype=np.float64)}
    for name, values in explained["contributions"].items():
        made[f"explain_{name}"] = np.asarray(values, dtype=np.float64)
    return made


def _output(wanted: Wanted, values: npt.NDArray[Any], found: Answered, raws: list[bytes]) -> dict[str, Any]:
    if wanted.classification:
        labels = found.signature.labels if wanted.name == found.signature.output else ()
        values = classified(values, wanted.classification, labels)
    datatype = datatype_of(values)
    one: dict[str, Any] = {"name": wanted.name, "datatype": datatype, "shape": list(values.shape)}
    if wanted.binary:
        raws.append(packed(values))
        return one | {"parameters": {"binary_data_size": len(raws[-1])}}
    return one | {"data": _plain(values.reshape(-1), datatype)}


def _plain(values: npt.NDArray[Any], datatype: str) -> Any:
    if datatype == "BYTES":
        return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values.tolist()]
    return values.astype(np.float32) if datatype == "FP16" else values
