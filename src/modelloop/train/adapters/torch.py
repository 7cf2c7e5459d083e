"""torch: modules to ONNX, and their weights to safetensors."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
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
TOKENS = 7
_TASKS = MappingProxyType({"Sigmoid": "binary", "Softmax": "multiclass"})


def knows(model: object) -> bool:
    """Say whether the model is a torch module, without importing torch."""
    return any(kind.__module__.startswith("torch.nn") for kind in type(model).__mro__)


def task(model: Any) -> str:
    """Return `binary` for a module whose last layer is a Sigmoid, `multiclass` for a Softmax, else `regression`.

    A module that answers logits is none of the first two: end it with `torch.nn.Sigmoid()` or `torch.nn.Softmax(-1)`.
    """
    layers = [layer for layer in model.modules() if not list(layer.children())]
    return _TASKS.get(type(layers[-1]).__name__ if layers else "", "regression")


def classes(model: Any) -> tuple[Any, ...]:  # noqa: ARG001 - the seam's signature
    """Return nothing: a network knows its classes by number alone."""
    return ()


def predict(model: Any, matrix: Matrix) -> npt.NDArray[np.float64]:
    """Return the module's own answers: the probability of class 1, or of each class, or the value."""
    return predict_fed(model, {graph.INPUT: np.ascontiguousarray(matrix, dtype=np.float32)})


def predict_fed(model: Any, feeds: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the module's own answers to tensors, handed over in their order."""
    torch = needed("torch", "torch")
    model.eval()
    rows = len(next(iter(feeds.values())))
    with torch.no_grad():
        found = model(*(torch.from_numpy(np.ascontiguousarray(one)) for one in feeds.values()))
    answers = np.asarray(found.detach().cpu().numpy(), dtype=np.float64)
    kind = task(model)
    fits = answers.ndim == 2 and len(answers) == rows if kind == "multiclass" else answers.size == rows
    if not fits:
        wanted = "A row of probabilities for each" if kind == "multiclass" else "One number a row"
        raise InvalidInput(f"The module answers {answers.shape} to {rows} rows.", hint=f"{wanted} can be served.")
    return answers if kind == "multiclass" else answers.reshape(rows)


def to_onnx(model: Any, features: int, kind: str) -> bytes:
    """Return the ONNX graph: float32 `features` [rows, k] to float32 `score` [rows], or to `probabilities`."""
    return to_onnx_fed(model, {graph.INPUT: np.zeros((2, features), np.float32)}, kind)


def to_onnx_fed(model: Any, feeds: Mapping[str, npt.NDArray[Any]], kind: str) -> bytes:
    """Return the ONNX graph with one input for each tensor, by its name. Rows, and how many tokens, may be any."""
    torch = needed("torch", "torch")
    made = io.BytesIO()
    model.eval()
    given = {name: torch.from_numpy(np.ascontiguousarray(_odd(name, one[:2]))) for name, one in feeds.items()}
    with warnings.catch_warnings(), torch.no_grad(), _plain_attention(torch):
        warnings.simplefilter("ignore")  # the exporter warns about itself
        try:
            torch.onnx.export(
                model,
                tuple(given.values()),
                made,
                dynamo=False,
                input_names=list(given),
                output_names=["answer"],
                dynamic_axes={name: _free(name, one) for name, one in given.items()} | {"answer": {0: "rows"}},
                opset_version=graph.OPSET,
            )
        except (RuntimeError, ValueError, TypeError) as error:
            said = str(error).splitlines()[0][:200]
            raise InvalidInput(
                f"The module cannot be written as ONNX for {_shapes(feeds)}: {said}.",
                hint="It must take these tensors in this order, and have no branches on their values.",
            ) from error
    exported = onnx.load_from_string(made.getvalue())
    if any(1 in _free(name, one) and one.shape[1] == TOKENS for name, one in given.items()):
        graph.free_size(exported, TOKENS)
    if kind == "multiclass":
        return graph.probabilities(
            exported, predict_fed(model, {name: one[:1] for name, one in feeds.items()}).shape[1]
        )
    return graph.one_score(exported)


def _free(name: str, one: Any) -> dict[int, str]:
    """Return which sizes of a tensor may differ between requests: the rows, and the tokens of int64 [rows, tokens]."""
    tokens = one.ndim == 2 and not one.is_floating_point()
    return {0: "rows", 1: "tokens"} if tokens and name != graph.INPUT else {0: "rows"}


def _odd(name: str, one: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the rows cut to a number of tokens that no layer has by chance, so that it is found again in the graph."""
    tokens = one.ndim == 2 and one.dtype.kind == "i" and name != graph.INPUT
    return one[:, :TOKENS] if tokens and one.shape[1] >= TOKENS else one


def _shapes(feeds: Mapping[str, npt.NDArray[Any]]) -> str:
    return ", ".join(f"{name} [rows{''.join(f', {size}' for size in one.shape[1:])}]" for name, one in feeds.items())


@contextmanager
def _plain_attention(torch: Any) -> Iterator[None]:
    """Keep torch's fused attention out of the graph: ONNX has no such operator."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def native(model: Any) -> bytes:
    """Return the weights as safetensors, with the architecture as text beside them; the graph itself is the ONNX."""
    save = needed("safetensors.torch", "torch").save
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    return bytes(save(weights, metadata={"architecture": repr(model)}))


def importance(model: Any, names: tuple[str, ...]) -> Mapping[str, float]:  # noqa: ARG001 - the seam's signature
    """Return nothing: a network does not say."""
    return {}
