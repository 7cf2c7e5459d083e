"""What converters make differs by library; what is served does not: `features` [rows, k] in, `score` [rows] out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onnx import TensorProto, checker, helper, numpy_helper

from ...ground.core.errors import InvalidInput
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
    return _bytes(model)


def _bytes(model: Any) -> bytes:
    """Return the checked graph; raises InvalidInput for one that ONNX does not allow."""
    if not any(one.domain in ("", "ai.onnx") for one in model.opset_import):  # a graph of trees alone names none
        model.opset_import.append(helper.make_opsetid("", OPSET))
    try:
        checker.check_model(model)
    except checker.ValidationError as error:
        raise InvalidInput(f"The graph is not valid ONNX: {str(error).splitlines()[0][:200]}.") from error
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def first_output(model: Any) -> bytes:
    """Return the graph's bytes with its first output alone, as numbers in double precision, one a row: `score` [rows].

    What leads to no other output goes. Raises InvalidInput for an answer in words.
    """
    first = model.graph.output[0]
    kind = first.type.tensor_type.elem_type
    if not first.type.HasField("tensor_type") or kind == TensorProto.STRING:
        raise InvalidInput(f"Its first output, {first.name!r}, holds words; numbers can be served.")
    chain = _Chain(model.graph, first.name)
    chain.cast(double=True)
    chain.add("Reshape", np.array([-1], dtype=np.int64))
    chain.finish(TensorProto.DOUBLE)
    return _bytes(model)


def likeliest(model: Any, classes: tuple[float, ...]) -> bytes:
    """Return the bytes of a classifier's graph that answers the number of its likeliest class: `score` [rows].

    Trees sum in single precision where their library sums in double: classes that are equally likely there differ here
    in the last bit. Rounded to a millionth they are equal again, and the first one is answered, as numpy's argmax does.
    """
    chain = _Chain(model.graph)
    chain.cast(double=True)
    chain.add("Mul", np.array([1e6], dtype=np.float64))
    chain.add("Round")
    chain.add("ArgMax", axis=1, keepdims=0)
    chain.look_up(np.array(classes, dtype=np.float64))
    chain.add("Reshape", np.array([-1], dtype=np.int64))
    chain.finish(TensorProto.DOUBLE)
    return _bytes(model)


class _Chain:
    """Nodes added one after the other to the end of a graph."""

    def __init__(self, graph: Any, tip: str = "") -> None:
        self.graph = graph
        self.tip: str = tip or graph.output[-1].name

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

    def look_up(self, table: np.ndarray[Any, Any]) -> None:
        """Turn places into what stands there in a table."""
        name, found = f"score_table_{len(self.graph.node)}", f"score_found_{len(self.graph.node)}"
        self.graph.initializer.append(numpy_helper.from_array(table, name))
        self.graph.node.append(helper.make_node("Gather", [name, self.tip], [found], axis=0))
        self.tip = found

    def square_keeping_sign(self) -> None:
        source = self.tip
        self.add("Abs")
        size = self.tip
        self.tip = f"{source}_squared"
        self.graph.node.append(helper.make_node("Mul", [source, size], [self.tip]))

    def finish(self, kind: int = TensorProto.FLOAT) -> None:
        """Make the tip the only output, and drop what does not lead to it (a classifier's label branch)."""
        taken = {name for node in self.graph.node for name in (*node.input, *node.output)}
        output = (
            OUTPUT if OUTPUT not in taken else next(f"{OUTPUT}_{n}" for n in range(99) if f"{OUTPUT}_{n}" not in taken)
        )
        self.graph.node.append(helper.make_node("Identity", [self.tip], [output]))
        del self.graph.output[:]
        self.graph.output.append(helper.make_tensor_value_info(output, kind, [None]))
        needed = {output}
        kept = []
        for node in reversed(self.graph.node):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        del self.graph.node[:]
        self.graph.node.extend(reversed(kept))
        self.graph.name = "modelloop"  # converters write a random name; the same model must give the same bytes
