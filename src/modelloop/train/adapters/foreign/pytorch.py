"""torch's models as MLflow writes them: an exported graph (pt2), or a pickled module."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from ....ground.core.errors import InvalidInput
from ....ground.core.later import needed
from ....prepare.records import Columns
from .. import graph
from .form import MATRIX, Given, Inputs, Loaded, matrix, need_pickle


def load(given: Given) -> Loaded:
    """Load an exported graph, or a module where reading its pickle is allowed."""
    torch = needed("torch", "torch")
    path = _file(given.path)
    if path.suffix == ".pt2":
        model = torch.export.load(str(path)).module()
    else:
        need_pickle(given, path.name)
        model = _module(torch, path)

    for weights in model.parameters():
        weights.requires_grad_(False)

    def answer(columns: Columns, inputs: Inputs) -> Any:
        with torch.no_grad():
            found = model(torch.from_numpy(matrix(columns, inputs, "float32")))
        if not isinstance(found, torch.Tensor):
            raise InvalidInput(f"The module answers {type(found).__name__}, not one tensor.")
        return found.cpu().numpy()

    return Loaded(
        answer=answer,
        graphs=lambda columns, inputs: _graphs(torch, model, columns, inputs),
        versions={"torch": str(torch.__version__)},
        kind="torch" if path.suffix == ".pt2" else "python",
        platform="torch_exported" if path.suffix == ".pt2" else "torch_pickle",
    )


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    for name in ("model.pt2", "model.pth"):
        if (path / name).is_file():
            return path / name
    raise InvalidInput(f"{path.name} holds neither model.pt2 nor model.pth.")


def _module(torch: Any, path: Path) -> Any:
    try:
        model = torch.load(str(path), map_location="cpu", weights_only=False)
    except (AttributeError, ModuleNotFoundError) as error:
        raise InvalidInput(f"The class of the pickled module cannot be found: {error}.") from error
    model.eval()
    return model


def _graphs(torch: Any, model: Any, columns: Columns, inputs: Inputs) -> Iterator[bytes]:
    class Held(torch.nn.Module):  # type: ignore[misc]
        """An exported graph has no training mode to be asked for; held outside the children it is not asked."""

        def forward(self, rows: Any) -> Any:
            return model(rows)

    sample = torch.from_numpy(matrix(columns, inputs, "float32"))
    made = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns about itself
        torch.onnx.export(
            Held().eval(),
            (sample,),
            made,
            dynamo=False,
            input_names=[MATRIX],
            output_names=["score"],
            dynamic_axes={MATRIX: {0: "rows"}, "score": {0: "rows"}},
            opset_version=graph.OPSET,
        )
    yield graph.first_output(onnx.load_from_string(made.getvalue()))
