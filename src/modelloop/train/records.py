"""Nouns of training: what a pipeline hands over to be judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..ground.core.clock import iso, parse_time
from ..ground.core.errors import InvalidInput
from ..ground.core.hashing import canonical_json
from ..ground.core.later import numpy as np
from ..prepare.transform import FittedTransform
from .container import array_bytes, frame_bytes, pack, read_array, read_frame, unpack

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of hyper-parameters tried."""

    number: int
    params: Mapping[str, Any]
    value: float | None
    """None: the objective gave no finite number."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Study:
    """One search: which method ran over what, and what came out."""

    method: str
    metric: str
    direction: str
    """`higher` or `lower`: which way the metric is good."""
    trials: tuple[Trial, ...]
    best: int
    """Number of the best trial."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Return the parameters of the best trial."""
        return self.trials[self.best].params


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a training pipeline returns: a model in safe formats and all that is needed to judge it.

    Modelloop, not the pipeline, scores `holdout` and computes metrics, through the code that will serve.
    """

    transform: FittedTransform
    """Fitted on training rows only: raw columns -> float32 matrix."""
    onnx: bytes
    """One float32 input [rows, features], one float32 output [rows]: probability of the positive class, or value."""
    native: bytes
    """The model in its library's own text or safe format, for people and for exact replay. May be empty."""
    native_format: str
    """`lightgbm-text`, `skops`, ... or empty."""
    holdout: pl.DataFrame
    """Rows the model has not seen: raw inputs, label, event time, slice columns."""
    label: str
    time: str
    """Name of the event-time column in `holdout` (aware UTC)."""
    sample: pl.DataFrame
    """Raw input rows for the parity check and the golden request (a few hundred)."""
    expected: npt.NDArray[np.float64]
    """Answers of the training library for `sample`, computed by training code from its own prepared matrix."""
    trained_from: datetime
    trained_until: datetime
    """Span of the event time of the training rows."""
    rows: int
    """Training rows."""
    baseline: float | None = None
    """Mean of the training labels: what a model that looks at nothing would answer. None: not known."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Hyper-parameters and choices, for the card and for comparison."""
    study: Study | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    """Share of each feature in the model's splits or weights; sums to one."""
    notes: str = ""

    def to_bytes(self) -> bytes:
        """Return one file of safe formats (JSON, ONNX, Arrow, npy); equal candidates give equal bytes."""
        head: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        head |= {"format": _FORMAT, "study": asdict(self.study) if self.study else None}
        head |= {"trained_from": iso(self.trained_from), "trained_until": iso(self.trained_until)}
        return pack(
            {
                "candidate.json": canonical_json(head),
                "transform": self.transform.to_bytes(),
                "model.onnx": self.onnx,
                "model.native": self.native,
                "holdout.arrow": frame_bytes(self.holdout),
                "sample.arrow": frame_bytes(self.sample),
                "expected.npy": array_bytes(self.expected),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Candidate:
        """Read what `to_bytes` wrote; raises InvalidInput for anything else. Nothing in it can run."""
        members = unpack(data)
        try:
            head = json.loads(members["candidate.json"])
            if head["format"] != _FORMAT:
                raise InvalidInput(f"The candidate has format {head['format']!r}; {_FORMAT!r} can be read.")
            return cls(
                transform=FittedTransform.from_bytes(members["transform"]),
                onnx=members["model.onnx"],
                native=members["model.native"],
                holdout=read_frame(members["holdout.arrow"]),
                sample=read_frame(members["sample.arrow"]),
                expected=read_array(members["expected.npy"]),
                trained_from=parse_time(head["trained_from"]),
                trained_until=parse_time(head["trained_until"]),
                study=_study(head["study"]),
                **{name: head[name] for name in _PLAIN},
            )
        except (KeyError, ValueError) as error:
            raise InvalidInput(f"The candidate's container lacks or garbles a part: {error}.") from error


_FORMAT = "modelloop-candidate-1"
_PLAIN = ("native_format", "label", "time", "rows", "baseline", "params", "importance", "notes")


def _study(found: dict[str, Any] | None) -> Study | None:
    if found is None:
        return None
    trials = tuple(Trial(**trial) for trial in found.pop("trials"))
    return Study(trials=trials, **found)
