"""Weights in int8: a quarter of the size, answers that differ a little. How much is measured, never assumed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...ground.core.later import Later
from .nodes import onnx

quantization: Any = Later("onnxruntime.quantization", "edge")
_INT8 = (2, 3)


def int8(model: bytes) -> bytes | None:
    """Return the graph with its weights in int8, or None where none of its operators has such a form (trees, and
    linear models written in ai.onnx.ml)."""
    plain = _each_domain_once(onnx.load_from_string(model))
    if all(one.domain for one in plain.opset_import):
        return None
    with TemporaryDirectory() as folder, _quiet():
        source, made = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(plain.SerializeToString())
        quantization.quantize_dynamic(source, made, weight_type=quantization.QuantType.QInt8)
        data = made.read_bytes()
    graph = onnx.load_from_string(data).graph
    found = any(one.data_type in _INT8 and len(one.dims) > 1 for one in graph.initializer)
    return data if found else None


def _each_domain_once(model: Any) -> Any:
    """Converters name a domain twice, or as `ai.onnx`; onnxruntime's tool wants it once, and by its empty name."""
    versions: dict[str, int] = {}
    for one in model.opset_import:
        domain = "" if one.domain == "ai.onnx" else one.domain
        versions[domain] = max(versions.get(domain, 0), one.version)
    del model.opset_import[:]
    for domain, version in versions.items():
        model.opset_import.add(domain=domain, version=version)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """It warns the root logger about a step that dynamic quantisation does without."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
