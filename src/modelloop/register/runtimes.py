"""Which class answers a package that holds an ONNX graph. Packages without one say in `runtime.json` how they answer.

| files | signature | answered by |
|---|---|---|
| `model.onnx`, `transform.json` with ops | columns | `Scorer`: features, token ids, pictures, then the graph |
| `model.onnx`, perhaps `transform.json` with tensors | `tensors` | `TensorScorer`: what came is what the graph gets |
| `model.onnx` alone | columns | `GraphScorer`: a graph from raw columns |
"""

from __future__ import annotations

from collections.abc import Mapping

from ..ground.core.errors import InvalidInput
from ..prepare.tensors import Tensors, read_transform
from ..train.graph_scorer import GraphScorer, TensorScorer
from ..train.records import Candidate
from ..train.scorer import Scorer
from .parity import Runtime
from .records import Signature
from .signature import labels_of

GRAPH, TRANSFORM = "model.onnx", "transform.json"


def scorer_of(files: Mapping[str, bytes], signature: Signature) -> Runtime:
    """Return what answers, in this process; raises InvalidInput for files that do not fit the signature."""
    if GRAPH not in files:
        raise InvalidInput(f"The package has no {GRAPH}.", hint="Only ONNX is answered within a gateway.")
    graph, labels, output = files[GRAPH], labels_of(signature), signature.output
    if signature.tensors:
        return tensor_scorer(graph, signature)
    if TRANSFORM in files:
        transform = read_transform(files[TRANSFORM])
        if isinstance(transform, Tensors):
            raise InvalidInput("The package's transform takes tensors, its signature none.")
        return Scorer(transform, graph, labels, output)
    names = [one.name for one in signature.outputs]
    return GraphScorer(signature.inputs, graph, output=output, labels=labels, outputs=names)


def tensor_scorer(graph: bytes, signature: Signature) -> TensorScorer:
    """Return what answers whole tensors."""
    outputs = [one.name for one in signature.outputs]
    names = [one.name for one in signature.tensors]
    return TensorScorer(graph, output=signature.output, labels=labels_of(signature), outputs=outputs, names=names)


def candidate_scorer(candidate: Candidate) -> Runtime:
    """Return what will answer for a candidate, before it has a package."""
    transform = candidate.transform
    if isinstance(transform, Tensors):
        return TensorScorer(candidate.onnx, labels=candidate.labels, names=transform.tensors)
    return Scorer(transform, candidate.onnx, candidate.labels)
