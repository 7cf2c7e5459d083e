"""Pure: what a version answered, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..asked import Answered


def plain(values: Any) -> Any:
    """Return an array as nested lists; bytes become text."""
    return _text(values.tolist() if hasattr(values, "tolist") else values)


def predictions(found: Answered) -> list[Any]:
    """Return one prediction a row: the headline number, or the name of the most probable class."""
    rows: list[Any] = plain(found.outputs[found.signature.output])
    labels = found.signature.labels
    if not labels or not isinstance(rows[0], list):
        return rows
    return [labels[max(range(len(row)), key=row.__getitem__)] for row in rows]


def probabilities(found: Answered) -> list[dict[str, float]] | None:
    """Return the probability of each class by its name, a row each; None where the model has no classes."""
    rows = plain(found.outputs[found.signature.output])
    labels = found.signature.labels
    if not labels or not isinstance(rows[0], list):
        return None
    return [dict(zip(labels, row, strict=True)) for row in rows]


def others(found: Answered) -> dict[str, list[Any]]:
    """Return the outputs beside the headline, one value a row."""
    return {name: plain(values) for name, values in found.outputs.items() if name != found.signature.output}


def explanations(found: Answered) -> list[dict[str, Any]] | None:
    """Return, a row each, the base and what each input adds to it; None where nobody asked."""
    if found.explained is None:
        return None
    base: Sequence[float] = plain(found.explained["base"])
    parts: Mapping[str, Sequence[float]] = {name: plain(v) for name, v in found.explained["contributions"].items()}
    return [
        {"base": start, "contributions": {name: values[row] for name, values in parts.items()}}
        for row, start in enumerate(base)
    ]


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(each) for each in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
