"""Graphs made one: names kept apart by prefixes, versions of operators brought together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...ground.core.errors import Conflict
from ...ground.core.later import Later
from .nodes import ML, Nodes, helper, onnx

compose: Any = Later("onnx.compose", "edge")
version_converter: Any = Later("onnx.version_converter", "edge")
_SAME = frozenset({"TreeEnsembleClassifier", "TreeEnsembleRegressor"})
"""Of ai.onnx.ml: their later versions only add attributes."""

Part = tuple[str, Any, Mapping[str, str]]
"""Prefix, graph, and what its inputs are fed with (`""`: its only input)."""


def join(
    head: Nodes,
    parts: Sequence[Part],
    tail: Nodes,
    *,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    least: Mapping[str, int],
    ir: int,
) -> bytes:
    """Return one model: the head's nodes, the graphs, the tail's; raises Conflict where versions cannot meet.

    A part that the head reads from (`op0.out`) stands in the middle of it, so nodes are put in the order in which
    they can be computed.
    """
    versions = dict(least)
    for _, model, _ in parts:
        for one in model.opset_import:
            domain = _domain(one.domain)
            versions[domain] = max(versions.get(domain, 0), one.version)
    nodes, initial, functions = list(head.nodes), list(head.initial), []
    for prefix, model, fed in parts:
        raised = compose.add_prefix(_raised(model, versions), prefix)
        nodes += _links(raised, prefix, fed)
        nodes += raised.graph.node
        initial += raised.graph.initializer
        if raised.graph.sparse_initializer:
            raise Conflict("The model has sparse weights.", hint="Convert it with dense ones.")
        functions += raised.functions
        ir = max(ir, raised.ir_version)
    nodes += _renamed(tail, "end.")
    initial += tail.initial
    graph = helper.make_graph(_ordered(nodes, initial, inputs), "edge", list(inputs), list(outputs), initial)
    imports = [helper.make_opsetid(domain, version) for domain, version in sorted(versions.items())]
    made = helper.make_model(graph, opset_imports=imports, ir_version=min(ir, 10), functions=functions)
    made.producer_name = "modelloop"
    return bytes(made.SerializeToString(deterministic=True))


def _links(model: Any, prefix: str, fed: Mapping[str, str]) -> list[Any]:
    constant = {one.name for one in model.graph.initializer}
    feeds = [one.name for one in model.graph.input if one.name not in constant]
    made = []
    for name in feeds:
        source = fed.get("") or fed[name.removeprefix(prefix)]
        made.append(helper.make_node("Identity", [source], [name]))
    if "" in fed:
        made.append(helper.make_node("Identity", [model.graph.output[0].name], [f"{prefix}out"]))
    return made


def _renamed(tail: Nodes, prefix: str) -> list[Any]:
    """Give what the tail made names that the head did not use."""
    own = {name for node in tail.nodes if node.op_type != "Identity" for name in node.output}
    own |= {one.name for one in tail.initial}
    for names in (names for node in tail.nodes for names in (node.input, node.output)):
        names[:] = [prefix + name if name in own else name for name in names]
    for one in tail.initial:
        one.name = prefix + one.name
    return list(tail.nodes)


def _ordered(nodes: Sequence[Any], initial: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    known = {"", *(one.name for one in initial), *(one.name for one in inputs)}
    waiting, ordered = list(nodes), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(_read(node))]
        if not ready:
            raise Conflict(f"The graph reads {waiting[0].input[0]!r}, which nothing makes.")
        done = {id(node) for node in ready}
        ordered += ready
        known |= {name for node in ready for name in node.output}
        waiting = [node for node in waiting if id(node) not in done]
    return ordered


def _read(node: Any) -> set[str]:
    """Return what a node reads, in its inner graphs too."""
    found = set(node.input)
    for attribute in node.attribute:
        for inner in [attribute.g, *attribute.graphs]:
            made = {one.name for one in [*inner.initializer, *inner.input]}
            made |= {name for one in inner.node for name in one.output}
            found |= {name for one in inner.node for name in _read(one)} - made
    return found


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _raised(model: Any, versions: Mapping[str, int]) -> Any:
    """Return the model with these versions of operators, converted where the meaning of one of its own has changed."""
    own = {_domain(one.domain): one.version for one in model.opset_import}
    changed = {
        (_domain(node.domain), node.op_type)
        for node in model.graph.node
        if _since(node, own.get(_domain(node.domain), 1)) != _since(node, versions[_domain(node.domain)])
    }
    wrong = sorted(name for domain, name in changed if domain == ML and name not in _SAME)
    if wrong:
        raise Conflict(
            f"The operator {wrong[0]} of the model is of an older version than others.",
            hint="Convert the model again, with a newer converter.",
        )
    if any(domain == "" for domain, _ in changed):
        model = version_converter.convert_version(model, versions[""])
    return model


def _since(node: Any, version: int) -> int:
    try:
        schema = onnx.defs.get_schema(node.op_type, version, _domain(node.domain))
    except onnx.defs.SchemaError:
        return 0
    return int(schema.since_version)
