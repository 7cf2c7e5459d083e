"""Pure: do the served model and the training code answer alike on the same raw rows?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..ground.core.errors import ParityFailed
from ..ground.core.later import numpy as np
from ..prepare.records import Columns
from .records import Parity

if TYPE_CHECKING:
    import numpy.typing as npt


class Scores(Protocol):
    """Something that answers raw columns with one number a row. Safe to call from several threads."""

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return one answer per row."""
        ...


class Runtime(Scores, Protocol):
    """What every version answers through: `train.scorer.Scorer`, `train.graph_scorer`, models in other processes.

    `columns` are raw columns of one dimension; for a signature with `tensors`, arrays by tensor name, with the
    tensor's type and shape. `score` is the headline as one number a row: of a multiclass model the place of the most
    probable class.
    """

    def outputs(self, columns: Columns) -> Mapping[str, npt.NDArray[Any]]:
        """Return all outputs by name, contiguous, rows first; the first one is the headline.

        Raises InvalidInput for values that cannot be answered.
        """
        ...


def headline(scorer: Scores, columns: Columns) -> npt.NDArray[np.float64]:
    """Return what is judged and compared: one number a row, or a row of probabilities each (multiclass)."""
    outputs = getattr(scorer, "outputs", None)
    if outputs is None:
        return scorer.score(columns)
    return np.asarray(next(iter(outputs(columns).values())), dtype=np.float64)


def parity(scorer: Scores, sample: Columns, expected: npt.NDArray[np.float64], tolerance: float) -> Parity:
    """Score `sample` and compare with `expected`. An answer that is no number is beyond any tolerance.

    Differences count relative to answers larger than 1: a served float32 near 1000 is a rounding of 3e-5 by itself. Of
    a row of probabilities the largest difference counts.
    """
    found = headline(scorer, sample) if expected.ndim == 2 else scorer.score(sample)
    if found.shape != expected.shape:
        answers = (f"{' of '.join(map(str, shape))}" for shape in (found.shape, expected.shape))
        ours, theirs = answers
        raise ParityFailed(
            f"The served model gave {ours} answers to the sample, the training code {theirs}.",
            hint="`sample` and `expected` of the candidate must be about the same rows.",
        )
    difference = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    wrong = ~(difference <= tolerance)
    beyond = int(np.count_nonzero(wrong.any(axis=1) if wrong.ndim == 2 else wrong))
    known = difference[np.isfinite(difference)]
    largest = float(known.max()) if known.size else 0.0
    return Parity(rows=int(found.shape[0]), largest=largest, beyond=beyond, tolerance=tolerance)
