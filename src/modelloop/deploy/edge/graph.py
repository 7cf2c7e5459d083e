"""One ONNX graph from raw values to all answers: what a transform does, then what the package's graph does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...ground.core.errors import Conflict
from ...prepare.records import FEATURES, Datatype, InputColumn
from ...prepare.tensors import Tensors, read_transform
from ...prepare.transform import MOMENTS, FittedTransform
from ...register.records import Signature, TensorSpec
from ...register.runtimes import GRAPH, TRANSFORM
from ...register.signature import LABEL, labels_of
from .joining import join
from .moments import zone_table
from .nodes import DOUBLE, INT64, STRING, Nodes, helper, onnx
from .ops import Place, written
from .records import Buckets, Graph, Input, Moment

_OPSET, _ML, _IR = 17, 3, 8
_PREFIX = "model."
TOKENIZER = "tokenizer.json"
READ = (*MOMENTS, "hashed")
"""Ops whose columns the runtimes turn into numbers."""


@dataclass(slots=True)
class _Draft:
    place: Place
    model: Any
    """The package's own graph."""
    fed: dict[str, str] = field(default_factory=dict)
    """The model's input -> what it is fed with."""
    inputs: list[Input] = field(default_factory=list)
    declared: list[Any] = field(default_factory=list)
    prepared: list[Mapping[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    known: dict[tuple[str, Moment | Buckets], str] = field(default_factory=dict)
    """What the runtimes make of a column -> its tensor."""

    def raw(self, name: str, datatype: Datatype, *, nullable: bool) -> str:
        """Declare a raw column."""
        tensor = f"input:{name}"
        kind = STRING if datatype is Datatype.BYTES else DOUBLE
        self.declared.append(helper.make_tensor_value_info(tensor, kind, ["rows"]))
        self.inputs.append(Input(name, tensor, str(datatype), "column", nullable=nullable))
        return tensor

    def read(self, op: Any, one: InputColumn) -> str:
        """Declare a raw column as what an op reads that a runtime has to make: moments, or buckets."""
        if one.name not in self.place.raw:
            raise Conflict(
                f"{op.kind} ({', '.join(op.names)[:80]}) reads {one.name!r}, which is made by an op.",
                hint="In an edge bundle it reads columns as they are given.",
            )
        how: Moment | Buckets
        if op.kind == "hashed":
            how, kind = Buckets(op.buckets, op.seed), DOUBLE
        else:
            unit, wall = (op.numbers, False) if op.kind == "elapsed" else (op.unit, op.part != "epoch")
            how, kind = Moment(op.zone, unit, wall), INT64
        if (one.name, how) not in self.known:
            tensor = self.known[one.name, how] = f"read{len(self.known)}:{one.name}"
            self.declared.append(helper.make_tensor_value_info(tensor, kind, ["rows"]))
            made = Input(one.name, tensor, str(one.datatype), "moment", nullable=one.nullable)
            self.inputs.append(
                replace(made, kind="hashed", hashed=how) if isinstance(how, Buckets) else replace(made, moment=how)
            )
        return self.known[one.name, how]

    def tensor(self, name: str, datatype: str, shape: tuple[int, ...]) -> None:
        """Declare a tensor that the model is given as it is."""
        found = next((one for one in self.model.graph.input if one.name == name), None)
        if found is None:
            return
        declared = onnx.ValueInfoProto()
        declared.CopyFrom(found)
        declared.name = f"input:{name}"
        self.declared.append(declared)
        self.inputs.append(Input(name, declared.name, datatype, "tensor", shape=shape))
        self.fed[name] = declared.name


def bundled(files: Mapping[str, bytes], signature: Signature, model: bytes | None = None) -> Graph:
    """Return the graph of a package (`model` in place of its own); raises Conflict for what has no such form."""
    if GRAPH not in files:
        raise Conflict(
            "The version has no ONNX graph: it is answered by a process of its own.",
            hint="`modelloop models convert` says whether it can be converted.",
        )
    draft = _Draft(Place(Nodes()), onnx.load_from_string(model or files[GRAPH]))
    transform = read_transform(files[TRANSFORM]) if TRANSFORM in files else None
    if signature.tensors or isinstance(transform, Tensors):
        for spec in signature.tensors:
            draft.tensor(spec.name, spec.datatype, spec.shape)
    elif isinstance(transform, FittedTransform):
        _from_transform(draft, transform)
    else:
        _from_columns(draft, signature)
    made = _finished(draft, signature, alone=isinstance(transform, FittedTransform))
    inputs = tuple(_restricted(one, draft.place) for one in draft.inputs)
    names = {how.zone for _, how in draft.known if isinstance(how, Moment) and how.zone != "UTC"}
    zones = {name: zone_table(name) for name in sorted(names)}
    return Graph(made, inputs, tuple(draft.prepared), draft.files, zones)


def _restricted(one: Input, place: Place) -> Input:
    if one.name not in place.only:
        return one
    return Input(one.name, one.tensor, one.datatype, one.kind, only=place.only[one.name])


def _from_transform(draft: _Draft, transform: FittedTransform) -> None:
    place, nodes = draft.place, draft.place.nodes
    read = {one.name for op in transform.ops if not op.tensors and op.kind not in READ for one in op.inputs}
    raw = [one for one in transform.inputs if one.name in read]
    place.raw = frozenset(one.name for one in transform.inputs)
    known = {one.name: draft.raw(one.name, one.datatype, nullable=one.nullable) for one in raw}
    parts = []
    for at, op in enumerate(transform.ops):
        if op.tensors:
            _prepared(draft, op)
            continue
        given = op.kind in READ
        made = written(place, op, [draft.read(op, one) if given else known[one.name] for one in op.inputs])
        if transform.is_feature(at):
            parts.append(made.features(nodes))
        own = {one.name for one in op.inputs}
        later = {one.name for other in transform.ops[at + 1 :] for one in other.inputs}
        known |= {name: made.later(nodes, i) for i, name in enumerate(op.names) if name in later - own}
    if parts:
        feed = FEATURES if transform.tensors else _feeds(draft.model)[0].name
        draft.fed[feed] = nodes.beside(parts)


def _prepared(draft: _Draft, op: Any) -> None:
    """Token ids and pixels are made by the device: it is told how, and gives the tensors."""
    facts: dict[str, Any] = {"op": op.kind, "reads": [one.name for one in op.inputs], "makes": list(op.names)}
    for name in ("max_length", "pad", "size", "mean", "std", "layout", "channels", "scale", "resize", "crop"):
        if hasattr(op, name):
            value = getattr(op, name)
            facts[name] = list(value) if isinstance(value, tuple) else value
    if op.kind == "tokens":
        path = TOKENIZER if TOKENIZER not in draft.files else f"{len(draft.files)}-{TOKENIZER}"
        draft.files[path] = json.dumps(json.loads(op.tokenizer), ensure_ascii=False).encode()
        facts["file"] = path
    draft.prepared.append(facts)
    for one in _feeds(draft.model):
        if one.name in op.names:
            size = one.type.tensor_type.shape.dim
            shape = (-1, *(int(dim.dim_value) or -1 for dim in list(size)[1:]))
            draft.tensor(one.name, "INT64" if one.type.tensor_type.elem_type == INT64 else "FP32", shape)


def _from_columns(draft: _Draft, signature: Signature) -> None:
    """The graph takes columns: each by itself, or all as one matrix (`train.graph_scorer.GraphScorer`)."""
    nodes, feeds = draft.place.nodes, _feeds(draft.model)
    known = {one.name: draft.raw(one.name, one.datatype, nullable=one.nullable) for one in signature.inputs}
    names = list(known)
    if len(feeds) == 1 and (len(names) > 1 or feeds[0].name != names[0]):
        matrix = nodes.beside([nodes.column(name) for name in known.values()])
        draft.fed[feeds[0].name] = _typed(nodes, matrix, feeds[0])
        return
    for feed in feeds:
        vector = _typed(nodes, known[feed.name], feed)
        ranks = len(feed.type.tensor_type.shape.dim)
        draft.fed[feed.name] = nodes.column(vector) if ranks == 2 else vector


def _typed(nodes: Nodes, name: str, feed: Any) -> str:
    kind = feed.type.tensor_type.elem_type
    return name if kind in (DOUBLE, STRING) else nodes.cast(name, kind)


def _feeds(model: Any) -> list[Any]:
    constant = {one.name for one in model.graph.initializer}
    return [one for one in model.graph.input if one.name not in constant]


def _finished(draft: _Draft, signature: Signature, *, alone: bool) -> bytes:
    """Join all graphs, name the answers as the gateway does, and add the best class where the graph does not."""
    place, nodes = draft.place, draft.place.nodes
    lost = [one.name for one in _feeds(draft.model) if one.name not in draft.fed]
    if lost:
        raise Conflict(f"Nothing is known that the model's input {lost[0]!r} could be fed with.")
    made = [one.name for one in draft.model.graph.output]
    headline = signature.output if len(made) > 1 else made[0]
    wanted = {signature.output: headline} | {
        spec.name: spec.name for spec in signature.outputs if spec.name in made and spec.name != signature.output
    }
    answers = {name: f"{_PREFIX}{inner}" for name, inner in wanted.items()}
    specs = {spec.name: spec for spec in signature.answered}
    tail = Nodes()
    flat = not signature.labels and (alone or specs[signature.output].shape == (-1,))
    ends = []
    for name, inner in answers.items():
        shaped = tail.add("Reshape", inner, tail.numbers([-1], INT64)) if flat and name == signature.output else inner
        ends.append((name, shaped))
    if signature.labels and LABEL not in answers:
        ends.append((LABEL, _best(tail, answers[signature.output], labels_of(signature))))
    outputs = []
    for name, inner in ends:
        tail.nodes.append(helper.make_node("Identity", [inner], [name]))
        outputs.append(helper.make_tensor_value_info(name, _kind(name, specs, draft.model), None))
    parts = [(prefix, onnx.load_from_string(data), {"": source}) for prefix, data, source in place.graphs]
    return join(
        nodes, [*parts, (_PREFIX, draft.model, draft.fed)], tail, inputs=draft.declared, outputs=outputs,
        least={"": _OPSET, "ai.onnx.ml": _ML}, ir=_IR,
    )  # fmt: skip


def _best(tail: Nodes, name: str, labels: Sequence[str] | Sequence[int]) -> str:
    places = tail.add("ArgMax", name, axis=1, keepdims=0)
    whole = all(isinstance(one, int) for one in labels)
    table = tail.numbers(labels, INT64) if whole else tail.texts([str(one) for one in labels])
    return tail.gather(table, places)


def _kind(name: str, specs: Mapping[str, TensorSpec], model: Any) -> int:
    found = {one.name: one for one in model.graph.output}
    if name == LABEL and name not in found:
        return INT64 if specs[LABEL].datatype == "INT64" else STRING
    source = found.get(name) or model.graph.output[0]
    return int(source.type.tensor_type.elem_type)
