"""Scikit-learn's isolation forest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...ground.core.errors import ExtraMissing
from ...ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_TREES = 100
_FITTED = 20_000
"""Rows that trees are drawn from."""


def isolation(rows: npt.NDArray[np.float64], *, seed: int = 0) -> npt.NDArray[np.float64]:
    """Return for each row how alone it is, 0 to 1 (Liu, Ting and Zhou 2008); ExtraMissing without scikit-learn."""
    try:
        from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - heavy and optional
    except ImportError as error:
        raise ExtraMissing(
            f"An isolation forest needs {error.name}.",
            hint='pip install "modelloop[ml]", or leave anomalies.rows out of the contract.',
        ) from None
    random = np.random.default_rng(seed)
    fitted = rows if len(rows) <= _FITTED else rows[random.choice(len(rows), _FITTED, replace=False)]
    forest = IsolationForest(n_estimators=_TREES, random_state=seed).fit(fitted)
    return -np.asarray(forest.score_samples(rows), dtype=np.float64)
