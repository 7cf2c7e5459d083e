"""From answered rows to the evidence of a stage. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Protocol

from ..ground.core.later import numpy as np
from .records import ArmEvidence, Stage
from .verdict import Evidence, Losses, loss


class Answered(Protocol):
    """One row answered since the stage began."""

    id: str
    row: int
    arm: str
    version: str
    score: float
    milliseconds: float
    error: str | None
    label: float | None
    label_seq: int | None
    shadow_version: str | None
    shadow_score: float | None
    shadow_error: str | None


def gather(rows: Sequence[Answered], stage: Stage, challenger: str, *, task: str, scale: float) -> Evidence:
    """Return what the rows say of the challenger in the stage. A request counts once, by its first row."""
    labelled = sorted((r for r in rows if r.label is not None), key=lambda r: r.label_seq or 0)
    if stage is Stage.SHADOW:
        return _shadow(rows, labelled, challenger, task, scale)
    return _canary(rows, labelled, challenger, task, scale)


def spread(labels: Sequence[float]) -> float:
    """Return p99 - p1 of the labels, or 1 where there is none: the unit in which a regression's errors are counted."""
    if len(labels) < 2:
        return 1.0
    low, high = np.quantile(np.asarray(labels, dtype=np.float64), [0.01, 0.99])
    return float(high - low) or 1.0


def _shadow(
    rows: Sequence[Answered], labelled: Sequence[Answered], challenger: str, task: str, scale: float
) -> Evidence:
    seen = [r for r in rows if r.row == 0 and r.shadow_version == challenger]
    broken = [r for r in seen if _failed(r)]
    paired = [r for r in labelled if r.shadow_version == challenger and not _failed(r)]
    new = loss(task, _numbers(r.shadow_score for r in paired), _numbers(r.label for r in paired), scale)
    old = _losses(paired, task, scale)
    first = [r for r in rows if r.row == 0 and r.version != challenger]
    return Evidence(
        rows=len(rows),
        champion=ArmEvidence(len(first), 0, len(paired), _mean(old), _median(first)),
        challenger=ArmEvidence(len(seen), len(broken), len(paired), _mean(new), None),
        pairs=_by_request(paired, new - old),
        example=next((r.shadow_error for r in broken if r.shadow_error), None),
    )


def _canary(
    rows: Sequence[Answered], labelled: Sequence[Answered], challenger: str, task: str, scale: float
) -> Evidence:
    first = [r for r in rows if r.row == 0]
    asked = [r for r in first if r.version == challenger or r.error]
    broken = [r for r in asked if r.error]
    old_rows = [r for r in first if r.version != challenger and not r.error]
    new_labelled = [r for r in labelled if r.version == challenger]
    old_labelled = [r for r in labelled if r.version != challenger]
    new, old = _losses(new_labelled, task, scale), _losses(old_labelled, task, scale)
    answered = [r for r in asked if not r.error]
    return Evidence(
        rows=len(rows),
        champion=ArmEvidence(len(old_rows), 0, len(old), _mean(old), _median(old_rows)),
        challenger=ArmEvidence(len(asked), len(broken), len(new), _mean(new), _median(answered)),
        challenger_rows=sum(r.version == challenger or r.error is not None for r in rows),
        champion_losses=_by_request(old_labelled, old),
        challenger_losses=_by_request(new_labelled, new),
        example=broken[-1].error if broken else None,
    )


def _by_request(rows: Sequence[Answered], losses: Losses) -> Losses:
    """Return the mean loss of each request, in the order in which the requests' first outcomes arrived."""
    if not rows:
        return losses
    place: dict[str, int] = {}
    places = [place.setdefault(row.id, len(place)) for row in rows]
    return np.asarray(np.bincount(places, weights=losses) / np.bincount(places))


def _failed(row: Answered) -> bool:
    return row.shadow_error is not None or row.shadow_score is None or not math.isfinite(row.shadow_score)


def _losses(rows: Sequence[Answered], task: str, scale: float) -> Losses:
    return loss(task, _numbers(r.score for r in rows), _numbers(r.label for r in rows), scale)


def _numbers(values: Iterable[float | None]) -> Losses:
    return np.array(list(values), dtype=np.float64)


def _mean(losses: Losses) -> float | None:
    return float(losses.mean()) if len(losses) else None


def _median(rows: Sequence[Answered]) -> float | None:
    return median(r.milliseconds for r in rows) if rows else None
