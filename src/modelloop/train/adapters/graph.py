"""What converters make differs by library; what is served does not: `features` [rows, k] in, `score` [rows] out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onnx import TensorProto, checker, helper, numpy_helper

from ...ground.core.later import numpy as np

INPUT = "features"
OUTPUT = "score"
OPSET = 15
"""The newest that all converters know."""
ML_OPSET = 3


@dataclass(frozen=True, slots=True)
class Link:
    """How a sum becomes an answer: `Identity`, `Exp`, `Sigmoid` of `scale` times it, or `SignedSquare`."""

    kind: str
    scale: float = 1.0


def one_score(model: Any, link: Link = Link("Identity"), *, column: int | None = None, divisor: int = 1) -> bytes:
    """Return the graph's bytes, its last output made `score`: one column, divided, through the link, flattened."""
    chain = _Chain(model.graph)
    if column is not None:
        chain.add("Gather", np.array([column], dtype=np.int64), axis=1)
    if link.kind != "Identity" or divisor != 1:
        chain.cast(double=True)
        chain.add("Mul", np.array([link.scale / divisor], dtype=np.float64))
    if link.kind == "SignedSquare":
        chain.square_keeping_sign()
    elif link.kind != "Identity":
        chain.add(link.kind)
    chain.cast(double=False)
    chain.add("Reshape", np.array([-1], dtype=np.int64))
    chain.finish()
    checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


class _Chain:
    """Nodes added one after the other to the end of a graph."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.tip: str = graph.output[-1].name

    def add(self, operator: str, constant: np.ndarray[Any, Any] | None = None, **attributes: Any) -> None:
        number = len(self.graph.node)
        inputs = [self.tip]
        if constant is not None:
            inputs.append(f"score_constant_{number}")
            self.graph.initializer.append(numpy_helper.from_array(constant, inputs[-1]))
        self.tip = f"score_part_{number}"
        self.graph.node.append(helper.make_node(operator, inputs, [self.tip], **attributes))

    def cast(self, *, double: bool) -> None:
        self.add("Cast", to=TensorProto.DOUBLE if double else TensorProto.FLOAT)

    def square_keeping_sign(self) -> None:
        source = self.tip
        self.add("Abs")
        size = self.tip
        self.tip = f"{source}_squared"
        self.graph.node.append(helper.make_node("Mul", [source, size], [self.tip]))

    def finish(self) -> None:
        """Make the tip the only output, and drop what does not lead to it (a classifier's label branch)."""
        self.graph.node.append(helper.make_node("Identity", [self.tip], [OUTPUT]))
        del self.graph.output[:]
        self.graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None]))
        needed = {OUTPUT}
        kept = []
        for node in reversed(self.graph.node):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        del self.graph.node[:]
        self.graph.node.extend(reversed(kept))
        self.graph.name = "modelloop"  # converters write a random name; the same model must give the same bytes
