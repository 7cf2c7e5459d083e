"""What a stage has seen, and the words of its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ...ground.core.later import numpy as np
from ..records import ArmEvidence

if TYPE_CHECKING:
    import numpy.typing as npt

BETTER, WORSE, NOT_YET = "better", "worse", "not yet"

Losses: TypeAlias = "npt.NDArray[np.float64]"


def _none() -> Losses:
    return np.empty(0)


@dataclass(frozen=True, slots=True)
class SliceLosses:
    """The losses of the requests that have rows in a slice, their mean over those rows: as in `Evidence`."""

    pairs: Losses = field(default_factory=_none)
    champion: Losses = field(default_factory=_none)
    challenger: Losses = field(default_factory=_none)
    champion_at: Losses = field(default_factory=_none)
    challenger_at: Losses = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the prediction log says of the present stage. Losses stand in the order in which the outcomes arrived."""

    rows: int
    """Rows answered at the endpoint, by whichever arm."""
    champion: ArmEvidence
    """In a bake: the version that answered before."""
    challenger: ArmEvidence
    """Shadow: requests it was to score beside the champion; else: requests it was asked to answer."""
    challenger_rows: int = 0
    """Canary: rows of the requests it was asked to answer. Errors count by request: its rows fail together."""
    pairs: Losses = field(default_factory=_none)
    """Loss of the challenger minus loss of the champion on the same rows, one mean for each request."""
    champion_losses: Losses = field(default_factory=_none)
    challenger_losses: Losses = field(default_factory=_none)
    champion_at: Losses = field(default_factory=_none)
    """Places of the champion's losses among those of both, in the order in which outcomes arrived; empty: by turns."""
    challenger_at: Losses = field(default_factory=_none)
    example: str | None = None
    """One of the challenger's errors."""
    champion_ms: Losses = field(default_factory=_none)
    """Milliseconds of each request."""
    challenger_ms: Losses = field(default_factory=_none)
    champion_errors: Losses = field(default_factory=_none)
    """1 for each request that failed, 0 for the others, in the order in which they were answered."""
    challenger_errors: Losses = field(default_factory=_none)
    disagreements: Losses = field(default_factory=_none)
    """How far both versions' answers to the same request lie apart, in units of the loss: needs no outcome."""
    missing: Mapping[str, Losses] = field(default_factory=dict)
    """Input -> share of each request's rows that lack it, of the requests the challenger was asked."""
    slices: Mapping[str, SliceLosses] = field(default_factory=dict)
    """`column = value` -> losses there, in the order in which the slices' first outcomes arrived."""
