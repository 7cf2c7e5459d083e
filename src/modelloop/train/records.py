"""Nouns of training: what a pipeline hands over to be judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..ground.core.clock import iso, parse_time
from ..ground.core.errors import InvalidInput
from ..ground.core.hashing import canonical_json
from ..ground.core.later import numpy as np
from ..prepare.tensors import Tensors, read_transform
from ..prepare.transform import FittedTransform
from .container import array_bytes, frame_bytes, pack, read_array, read_frame, unpack
from .replies import class_places

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of hyper-parameters tried."""

    number: int
    params: Mapping[str, Any]
    value: float | None
    """None: the objective gave no finite number. Of several objectives, the first."""
    seconds: float
    state: str = "done"
    """`done`, `failed` or `pruned` (stopped early, because others did better by then)."""
    values: Mapping[str, float] = field(default_factory=dict)
    """All objectives by name, where there are several."""
    cpu_seconds: float = 0.0
    error: str = ""
    """What made it fail."""
    curve: tuple[tuple[int, float], ...] = ()
    """What it reported on the way: (step, value)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a search cost, over all processes and calls that worked on it."""

    seconds: float
    """Time within trials; two that ran at once count both."""
    cpu_seconds: float
    trials: int
    failed: int
    pruned: int
    repeats: int = 0
    repeat_seconds: float = 0.0
    """What making sure of the winner cost; not in `seconds`."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """One of the best few, tried again with fresh seeds."""

    number: int
    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    """Interval of the mean; holds for all that were repeated at once, hence for whichever comes first."""


@dataclass(frozen=True, slots=True)
class Sureness:
    """How sure the winner is. The score that made it win is no part of this: only what came after."""

    how: str
    """`repeated seeds` or `judged on rows the search did not see`."""
    repeated: tuple[Repeated, ...]
    """The best few, the best first."""
    confidence: float
    difference: float | None = None
    """By how much the first is better than the second, in the metric's unit; positive is better."""
    low: float | None = None
    high: float | None = None
    sentence: str = ""

    @property
    def shown(self) -> bool:
        """Say whether the first was shown to be better than the second."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True, slots=True)
class Weights:
    """Which hyper-parameters mattered: shares that sum to one."""

    how: str
    """`fanova`, `ped-anova`, or `rank correlation` where there were too few trials for these."""
    trials: int
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Study:
    """One search: which method ran over what, what it cost, and what came out."""

    method: str
    metric: str
    direction: str
    """`higher` or `lower`: which way the metric is good."""
    trials: tuple[Trial, ...]
    best: int
    """Number of the best trial. Of several objectives: the one of the front that is nearest to all the best values."""
    name: str = ""
    seed: int = 0
    pruner: str = ""
    goals: Mapping[str, str] = field(default_factory=dict)
    """Metric -> direction, where there are several objectives."""
    front: tuple[int, ...] = ()
    """Of several objectives: the trials that no other beats in all (Pareto front)."""
    cost: Cost | None = None
    sure: Sureness | None = None
    mattered: Weights | None = None
    ended: str = ""
    """Why it ended."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Return the parameters of the best trial."""
        return self.trial(self.best).params

    def trial(self, number: int) -> Trial:
        """Return a trial by its number."""
        if number < len(self.trials) and self.trials[number].number == number:
            return self.trials[number]
        return next(trial for trial in self.trials if trial.number == number)

    def text(self) -> str:
        """Return the result in plain words, a line for each thing to know."""
        best = self.trial(self.best)
        lines = [
            f"{self.metric} {best.value:.6g} ({self.direction} is better) by trial {self.best}: {_plain(best.params)}"
        ]
        if self.cost:
            lines.append(_cost_line(self.method, self.pruner, self.cost))
        if self.front:
            lines.append(f"{len(self.front)} trials are beaten by no other in all of {', '.join(self.goals)}.")
        if self.sure:
            lines.append(self.sure.sentence)
        elif not self.front:
            lines.append("One score, the luckiest of them: it flatters. confirm=5 says how sure it is.")
        if self.mattered and self.mattered.shares:
            ranked = sorted(self.mattered.shares.items(), key=lambda item: -item[1])
            told = ", ".join(f"{name} {share:.0%}" for name, share in ranked[:5])
            lines.append(f"What mattered ({self.mattered.how}, {self.mattered.trials} trials): {told}.")
        return "\n".join([*lines, self.ended] if self.ended else lines)


_SHOWN = 12


def _plain(params: Mapping[str, Any]) -> str:
    shown = [f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}" for name, value in params.items()]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more


def _cost_line(method: str, pruner: str, cost: Cost) -> str:
    ended = f"{cost.failed} failed, {cost.pruned} pruned"
    again = f"; {cost.repeats} repeats took {cost.repeat_seconds:.3g} s more" if cost.repeats else ""
    way = f"{method} with {pruner}" if pruner else method
    return f"{way}: {cost.trials} trials ({ended}), {cost.seconds:.3g} s, {cost.cpu_seconds:.3g} s of CPU{again}."


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a training pipeline returns: a model in safe formats and all that is needed to judge it.

    Modelloop, not the pipeline, scores `holdout` and computes metrics, through the code that will serve.
    """

    transform: FittedTransform | Tensors
    """Fitted on training rows only: raw columns -> float32 matrix, token ids, pictures. Or tensors as they are."""
    onnx: bytes
    """One float32 input [rows, features], or the transform's tensors by name. One float32 output: [rows], the
    probability of the positive class or the value; or [rows, classes], the probabilities."""
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
    """Answers of the training library for `sample`, computed by training code from its own prepared matrix: [rows], or
    [rows, classes]."""
    trained_from: datetime
    trained_until: datetime
    """Span of the event time of the training rows."""
    rows: int
    """Training rows."""
    baseline: float | tuple[float, ...] | None = None
    """Mean of the training labels: what a model that looks at nothing would answer; of several classes the share of
    each. None: not known."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Hyper-parameters and choices, for the card and for comparison."""
    study: Study | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    """Share of each feature in the model's splits or weights; sums to one."""
    notes: str = ""
    labels: tuple[str, ...] | tuple[int, ...] = ()
    """Names of the classes in the order of the probabilities, where there are more than two."""

    @property
    def truth(self) -> npt.NDArray[np.float64]:
        """Return the holdout's labels as numbers: of several classes the place of each among `labels`."""
        column = self.holdout.get_column(self.label)
        if self.labels:
            return class_places(column.to_list(), self.labels)
        return column.cast(float).to_numpy().astype(np.float64)

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
            plain = {name: head[name] for name in _PLAIN if name in head or name != "labels"}
            return cls(
                transform=read_transform(members["transform"]),
                onnx=members["model.onnx"],
                native=members["model.native"],
                holdout=read_frame(members["holdout.arrow"]),
                sample=read_frame(members["sample.arrow"]),
                expected=read_array(members["expected.npy"]),
                trained_from=parse_time(head["trained_from"]),
                trained_until=parse_time(head["trained_until"]),
                study=_study(head["study"]),
                labels=tuple(head.get("labels", ())),
                baseline=tuple(plain["baseline"]) if isinstance(plain["baseline"], list) else plain["baseline"],
                **{name: value for name, value in plain.items() if name not in ("baseline", "labels")},
            )
        except (KeyError, ValueError) as error:
            raise InvalidInput(f"The candidate's container lacks or garbles a part: {error}.") from error


_FORMAT = "modelloop-candidate-1"
_PLAIN = ("native_format", "label", "time", "rows", "baseline", "params", "importance", "notes", "labels")


def _study(found: dict[str, Any] | None) -> Study | None:
    """Read a study; what older versions did not write takes its default, what newer ones add is left out."""
    if found is None:
        return None
    read = _known(Study, found)
    read["trials"] = tuple(_trial(trial) for trial in found["trials"])
    read["front"] = tuple(found.get("front", ()))
    for name, kind in (("cost", Cost), ("mattered", Weights)):
        read[name] = kind(**_known(kind, found[name])) if found.get(name) else None
    read["sure"] = _sureness(found.get("sure"))
    return Study(**read)


def _trial(found: dict[str, Any]) -> Trial:
    curve = tuple((int(step), float(value)) for step, value in found.get("curve", ()))
    return Trial(**_known(Trial, found) | {"curve": curve})


def _sureness(found: dict[str, Any] | None) -> Sureness | None:
    if found is None:
        return None
    repeated = (Repeated(**_known(Repeated, one) | {"values": tuple(one["values"])}) for one in found["repeated"])
    return Sureness(**_known(Sureness, found) | {"repeated": tuple(repeated)})


def _known(kind: type[Any], found: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in found.items() if name in names}
