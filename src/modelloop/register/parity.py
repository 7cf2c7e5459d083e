"""Pure: do the served model and the training code answer alike on the same raw rows?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..ground.core.errors import ParityFailed
from ..ground.core.later import numpy as np
from ..prepare.records import Columns
from .records import Parity

if TYPE_CHECKING:
    import numpy.typing as npt


class Scores(Protocol):
    """Something that answers raw columns (`train.scorer.Scorer` does). Safe to call from several threads."""

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return one answer per row."""
        ...


def parity(scorer: Scores, sample: Columns, expected: npt.NDArray[np.float64], tolerance: float) -> Parity:
    """Score `sample` and compare with `expected`. An answer that is no number is beyond any tolerance.

    Differences count relative to answers larger than 1: a served float32 near 1000 is a rounding of 3e-5 by itself.
    """
    found = scorer.score(sample)
    if found.shape != expected.shape:
        raise ParityFailed(
            f"The served model gave {found.shape[0]} answers to the sample, the training code {expected.shape[0]}.",
            hint="`sample` and `expected` of the candidate must be about the same rows.",
        )
    difference = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    beyond = int(np.count_nonzero(~(difference <= tolerance)))
    known = difference[np.isfinite(difference)]
    largest = float(known.max()) if known.size else 0.0
    return Parity(rows=int(found.shape[0]), largest=largest, beyond=beyond, tolerance=tolerance)
