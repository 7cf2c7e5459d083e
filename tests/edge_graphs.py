"""Graphs for edge bundles."""

from __future__ import annotations

from onnx import TensorProto, helper


def identity(width: int) -> bytes:
    """Return a model that answers its features."""
    feed = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])
    out = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, width])
    nodes = [helper.make_node("Identity", ["features"], ["probabilities"])]
    graph = helper.make_graph(nodes, "same", [feed], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    return bytes(model.SerializeToString())
