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
    """Return the graph with its weights in int8, or None where none of its operators has such a form (trees)."""
    with TemporaryDirectory() as folder, _quiet():
        source, made = Path(folder) / "model.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model)
        quantization.quantize_dynamic(source, made, weight_type=quantization.QuantType.QInt8)
        data = made.read_bytes()
    graph = onnx.load_from_string(data).graph
    found = any(one.data_type in _INT8 and len(one.dims) > 1 for one in graph.initializer)
    return data if found else None


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
