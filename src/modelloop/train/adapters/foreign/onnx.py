"""ONNX models as MLflow writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
import onnxruntime as ort

from ....ground.core.errors import InvalidInput
from ....ground.core.later import numpy as np
from ....prepare.records import Columns
from ...graph_scorer import TYPES
from ...scorer import REFUSALS
from .. import graph
from .form import Given, Inputs, Loaded


def load(given: Given) -> Loaded:
    """Load a graph, with tensors that lie beside it."""
    try:
        model = onnx.load(str(given.path))
        session = ort.InferenceSession(str(given.path), providers=["CPUExecutionProvider"])
    except (*REFUSALS, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise InvalidInput(f"{given.path.name} is no ONNX model that can be loaded: {str(error)[:200]}") from error
    feeds = session.get_inputs()
    outputs = session.get_outputs()
    single = len(feeds) == 1
    shape: list[Any] = feeds[0].shape if single else []
    width = shape[1] if single and len(shape) == 2 and isinstance(shape[1], int) else None

    def answer(columns: Columns, inputs: Inputs) -> Any:
        feed: dict[str, Any] = {}
        for one in feeds:
            kind = np.dtype(TYPES[one.type])
            if single:
                feed[one.name] = np.stack([columns[column.name].astype(kind) for column in inputs], axis=1)
            else:
                column = columns[one.name].astype(kind)
                feed[one.name] = column.reshape(-1, 1) if len(one.shape) == 2 else column
        return session.run((outputs[0].name,), feed)[0]

    unknown = [one.type for one in feeds if one.type not in TYPES]
    if unknown:
        raise InvalidInput(f"The graph takes {', '.join(unknown)}; columns of numbers or strings can be asked.")
    several = f"Of its outputs the first, {outputs[0].name}, is answered." if len(outputs) > 1 else ""
    return Loaded(
        answer=answer,
        graphs=lambda *_: _graphs(model),
        width=None if not single else width,
        names=None if single else tuple(one.name for one in feeds),
        note=several,
        kind="onnx",
        platform="onnx_onnxv1",
        versions={"onnx": onnx.__version__, "onnxruntime": ort.__version__},
    )


def _graphs(model: Any) -> Iterator[bytes]:
    yield graph.first_output(model)
