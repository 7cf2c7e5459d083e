"""torch: modules to ONNX, and their weights to safetensors."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import onnx

from ...ground.core.errors import InvalidInput
from ...ground.core.later import needed
from ...ground.core.later import numpy as np
from ...prepare.records import Matrix
from . import graph

if TYPE_CHECKING:
    import numpy.typing as npt

FORMAT = "safetensors"


def knows(model: object) -> bool:
    """Say whether the model is a torch module, without importing torch."""
    return any(kind.__module__.startswith("torch.nn") for kind in type(model).__mro__)


def task(model: Any) -> str:
    """Return `binary` for a module whose last layer is a Sigmoid, `regression` for any other.

    A module that answers logits is neither: end it with `torch.nn.Sigmoid()`.
    """
    layers = [layer for layer in model.modules() if not list(layer.children())]
    return "binary" if layers and type(layers[-1]).__name__ == "Sigmoid" else "regression"


def predict(model: Any, matrix: Matrix) -> npt.NDArray[np.float64]:
    """Return the module's own answers: the probability of class 1, or the value."""
    torch = needed("torch", "torch")
    model.eval()
    with torch.no_grad():
        found = model(torch.from_numpy(np.ascontiguousarray(matrix, dtype=np.float32)))
    answers = np.asarray(found.detach().cpu().numpy(), dtype=np.float64)
    if answers.size != len(matrix):
        raise InvalidInput(
            f"The module answers {answers.shape} to {len(matrix)} rows.", hint="One number a row can be served."
        )
    return answers.reshape(len(matrix))


def to_onnx(model: Any, features: int, kind: str) -> bytes:  # noqa: ARG001 - the module says it all
    """Return the ONNX graph: float32 `features` [rows, k] to float32 `score` [rows]."""
    torch = needed("torch", "torch")
    made = io.BytesIO()
    model.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns about itself
        try:
            torch.onnx.export(
                model,
                (torch.zeros(2, features),),
                made,
                dynamo=False,
                input_names=[graph.INPUT],
                output_names=["answer"],
                dynamic_axes={graph.INPUT: {0: "rows"}, "answer": {0: "rows"}},
                opset_version=graph.OPSET,
            )
        except (RuntimeError, ValueError, TypeError) as error:
            said = str(error).splitlines()[0][:200]
            raise InvalidInput(
                f"The module cannot be written as ONNX for {features} features: {said}.",
                hint="It must take one float32 tensor [rows, features], and have no branches on its values.",
            ) from error
    return graph.one_score(onnx.load_from_string(made.getvalue()))


def native(model: Any) -> bytes:
    """Return the weights as safetensors, with the architecture as text beside them; the graph itself is the ONNX."""
    save = needed("safetensors.torch", "torch").save
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    return bytes(save(weights, metadata={"architecture": repr(model)}))


def importance(model: Any, names: tuple[str, ...]) -> Mapping[str, float]:  # noqa: ARG001 - the seam's signature
    """Return nothing: a network does not say."""
    return {}
