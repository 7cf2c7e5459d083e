"""What comes out of a graph, as a caller gets it: the headline first, then the rest, and the best class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

Labels: TypeAlias = "Sequence[str] | Sequence[int]"
"""Names of classes, in the order of the probabilities' columns: all text, or all whole numbers."""
SCORE = "score"
PROBABILITIES = "probabilities"
LABEL = "label"


def headline_name(labels: Labels) -> str:
    """Return the name of the headline output: one number a row, or one row of probabilities."""
    return PROBABILITIES if len(labels) else SCORE


def label_array(labels: Labels) -> npt.NDArray[Any] | None:
    """Return the labels as an array to pick from: int64 for whole numbers, else object. None where there are none."""
    if not len(labels):
        return None
    if all(isinstance(one, int) and not isinstance(one, bool) for one in labels):
        return np.array(labels, dtype=np.int64)
    made = np.empty(len(labels), dtype=np.object_)
    made[:] = [str(one) for one in labels]
    return made


def with_label(
    outputs: dict[str, npt.NDArray[Any]], headline: str, labels: npt.NDArray[Any] | None
) -> dict[str, npt.NDArray[Any]]:
    """Add the best class of each row, unless the graph answers it itself; of equally probable ones the first."""
    if labels is not None and LABEL not in outputs:
        outputs[LABEL] = labels[best(outputs[headline], len(labels))]
    return outputs


def best(found: npt.NDArray[Any], classes: int) -> npt.NDArray[np.int64]:
    """Return the place of the most probable class of each row; raises InvalidInput for other than probabilities."""
    if found.ndim != 2 or found.shape[1] != classes:
        raise InvalidInput(f"The model answers {found.shape}; expected a row of {classes} probabilities each.")
    places: npt.NDArray[np.int64] = found.argmax(axis=1)
    return places


def class_places(values: Sequence[object], labels: Labels) -> npt.NDArray[np.float64]:
    """Return the place of each label among the classes, as facts hold it; raises InvalidInput for one of no class.

    Labels are names, as in `labels`, or, where those are text, places already.
    """
    places: dict[object, float] = {label: float(at) for at, label in enumerate(labels)}
    if all(isinstance(one, str) for one in labels):
        places |= {at: float(at) for at in range(len(labels))}
    found = np.array([places.get(value, np.nan) for value in values], dtype=np.float64)
    wrong = np.flatnonzero(np.isnan(found))
    if len(wrong):
        raise InvalidInput(
            f"{len(wrong)} of {len(found)} labels are of no class, the first is {values[int(wrong[0])]!r}.",
            hint=f"The classes are {', '.join(map(repr, labels))}.",
        )
    return found


def one_each(found: npt.NDArray[Any], classes: int, rows: int) -> npt.NDArray[np.float64]:
    """Return one number a row of the headline: itself, or the place of the most probable class."""
    if classes:
        return best(found, classes).astype(np.float64)
    if found.size != rows:
        raise InvalidInput(f"The model gave an answer of the shape {found.shape} to {rows} rows.")
    return np.asarray(found, dtype=np.float64).reshape(rows)
