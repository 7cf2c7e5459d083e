"""What may be the label of an outcome, by the task of the endpoint. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches

from ..ground.core.errors import OutcomeInvalid
from .records import Truth

LARGEST_CLASS = 1_000_000


def numbers_of(truths: Sequence[Truth], task: str, names: Sequence[str]) -> list[float]:
    """Return the labels as numbers: of a class its place. Raises OutcomeInvalid, which names all that cannot be used.

    `names`: of the classes, where the model that answers has any.
    """
    found = [number_of(truth.label, task, names) for truth in truths]
    wrong = [truth for truth, number in zip(truths, found, strict=True) if number is None]
    if wrong:
        of = wrong[0].prediction or wrong[0].key or ""
        raise OutcomeInvalid(
            f"{len(wrong)} of {len(truths)} labels cannot be used, for instance {_shown(wrong[0].label)} for "
            f"{of[:60]!r}.",
            hint=_expected(wrong[0].label, task, names),
            detail={"predictions": [truth.prediction or truth.key for truth in wrong][:1000]},
        )
    return [number for number in found if number is not None]


def number_of(label: float | str, task: str, names: Sequence[str]) -> float | None:
    """Return one label as a number, None where it cannot be one."""
    if isinstance(label, str):
        if label in names:
            return float(names.index(label))
        try:
            label = float(label)
        except ValueError:
            return None
    if not math.isfinite(label):
        return None
    if task == "multiclass" and label == int(label) and str(int(label)) in names:
        return float(names.index(str(int(label))))  # classes that are whole numbers go by name, not by place
    if task == "binary":
        return float(label) if label in (0, 1) else None
    if task == "multiclass":
        return float(label) if label == int(label) and 0 <= label < (len(names) or LARGEST_CLASS) else None
    return float(label)


def _shown(label: float | str) -> str:
    return repr(label[:60] if isinstance(label, str) else label)


def _expected(label: float | str, task: str, names: Sequence[str]) -> str:
    if names:
        listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        close = get_close_matches(label, names, n=1) if isinstance(label, str) else ()
        meant = f"Did you mean {close[0]!r}? " if close else ""
        return f"{meant}Expected a class ({listed}) or its place, 0 to {len(names) - 1}."
    if task == "multiclass":
        return "Expected the place of a class: 0, 1, 2, ..."
    return "Expected 0 or 1." if task == "binary" else "Expected a finite number."
