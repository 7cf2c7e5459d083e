"""What converters make differs by library; what is served does not: `features` [rows, k] in, `score` [rows] out.

A classifier of more than two classes answers `probabilities` [rows, classes].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto, checker, helper, numpy_helper

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np

INPUT = "features"
OUTPUT = "score"
PROBABILITIES = "probabilities"
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


def probabilities(model: Any, classes: int, *, output: str = "", logits: bool = False) -> bytes:
    """Return the graph's bytes with one output (the last, or the one named) as `probabilities` [rows, classes].

    `logits`: what the graph answers are no probabilities yet; they go through a softmax.
    """
    chain = _Chain(model.graph, output)
    chain.cast(double=False)
    chain.add("Reshape", np.array([-1, classes], dtype=np.int64))
    if logits:
        chain.add("Softmax", axis=-1)
    chain.finish(name=PROBABILITIES, shape=[None, classes])
    return _bytes(model)


def positive(model: Any, *, output: str = "", logits: bool = False, columns: int = 1) -> bytes:
    """Return the graph's bytes with one output as `score` [rows]: itself, or the second of two `columns`.

    `logits`: it goes through a sigmoid, or two columns through a softmax.
    """
    chain = _Chain(model.graph, output)
    chain.cast(double=False)
    chain.add("Reshape", np.array([-1, columns], dtype=np.int64))
    if logits:
        chain.add("Softmax", axis=-1) if columns > 1 else chain.add("Sigmoid")
    if columns > 1:
        chain.add("Gather", np.array([columns - 1], dtype=np.int64), axis=1)
    chain.add("Reshape", np.array([-1], dtype=np.int64))
    chain.finish()
    return _bytes(model)


def free_size(model: Any, size: int) -> None:
    """Let reshapes take any number of tokens where the export wrote down the number that it saw.

    torch's own attention is exported so (its `k.view(k.shape[0], ...)`). Of each shape one size may be left open.
    """
    known = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            known[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    concats = {node.output[0]: node for node in model.graph.node if node.op_type == "Concat"}
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "modelloop_open_size"))
    for node in model.graph.node:
        concat = concats.get(node.input[1]) if node.op_type == "Reshape" else None
        if concat is None:
            continue
        parts = [known[name].reshape(-1).tolist() if name in known else None for name in concat.input]
        if parts.count([size]) == 1 and not any(part is not None and -1 in part for part in parts):
            concat.input[parts.index([size])] = "modelloop_open_size"


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


def last_output(model: Any) -> bytes:
    """Return the bytes of a classifier's graph with its probabilities alone, in double precision: [rows, classes]."""
    chain = _Chain(model.graph)
    chain.cast(double=True)
    chain.finish(TensorProto.DOUBLE, PROBABILITIES, [None, None])
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
        # a graph that was finished here before has parts of these names already
        names = {name for node in graph.node for name in node.output} | {one.name for one in graph.initializer}
        taken = {name.split("_", 1)[0] for name in names}
        self._prefix = next(f"score{n or ''}" for n in range(len(taken) + 1) if f"score{n or ''}" not in taken)

    def add(self, operator: str, constant: np.ndarray[Any, Any] | None = None, **attributes: Any) -> None:
        number = len(self.graph.node)
        inputs = [self.tip]
        if constant is not None:
            inputs.append(f"{self._prefix}_constant_{number}")
            self.graph.initializer.append(numpy_helper.from_array(constant, inputs[-1]))
        self.tip = f"{self._prefix}_part_{number}"
        self.graph.node.append(helper.make_node(operator, inputs, [self.tip], **attributes))

    def cast(self, *, double: bool) -> None:
        self.add("Cast", to=TensorProto.DOUBLE if double else TensorProto.FLOAT)

    def look_up(self, table: np.ndarray[Any, Any]) -> None:
        """Turn places into what stands there in a table."""
        name, found = f"{self._prefix}_table_{len(self.graph.node)}", f"{self._prefix}_found_{len(self.graph.node)}"
        self.graph.initializer.append(numpy_helper.from_array(table, name))
        self.graph.node.append(helper.make_node("Gather", [name, self.tip], [found], axis=0))
        self.tip = found

    def square_keeping_sign(self) -> None:
        source = self.tip
        self.add("Abs")
        size = self.tip
        self.tip = f"{source}_squared"
        self.graph.node.append(helper.make_node("Mul", [source, size], [self.tip]))

    def finish(self, kind: int = TensorProto.FLOAT, name: str = OUTPUT, shape: Sequence[int | None] = (None,)) -> None:
        """Make the tip the only output, and drop what does not lead to it (a classifier's label branch)."""
        taken = {name for node in self.graph.node for name in (*node.input, *node.output)}
        output = name if name not in taken else next(f"{name}_{n}" for n in range(99) if f"{name}_{n}" not in taken)
        self.graph.node.append(helper.make_node("Identity", [self.tip], [output]))
        del self.graph.output[:]
        self.graph.output.append(helper.make_tensor_value_info(output, kind, list(shape)))
        needed = {output}
        kept = []
        for node in reversed(self.graph.node):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        del self.graph.node[:]
        self.graph.node.extend(reversed(kept))
        self.graph.name = "modelloop"  # converters write a random name; the same model must give the same bytes
