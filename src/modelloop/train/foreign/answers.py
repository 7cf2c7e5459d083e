"""What a foreign model answers, as named outputs: a headline of numbers first, then whatever else there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ...prepare.records import Columns
from ..replies import LABEL, PROBABILITIES, SCORE

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..adapters.foreign.form import Inputs, Loaded

ANSWERS = "answers"
"""All numbers of a row, where a model answers several; the first of them is the headline."""


@dataclass(frozen=True, slots=True)
class Answers:
    """All outputs by name, the headline first."""

    outputs: Mapping[str, npt.NDArray[Any]]
    labels: tuple[str, ...] = ()
    """Names of the classes; the headline is a row of probabilities."""
    words: tuple[str, ...] = ()
    """Words that were answered; the headline is the place in this list."""

    @property
    def output(self) -> str:
        """Return the headline's name."""
        return next(iter(self.outputs))

    @property
    def headline(self) -> npt.NDArray[np.float64]:
        """Return the headline: one number a row, or a row of probabilities."""
        return np.asarray(self.outputs[self.output], dtype=np.float64)


def named(loaded: Loaded, columns: Columns, inputs: Inputs, *, words: Sequence[str] = ()) -> Answers:
    """Ask a model; raises InvalidInput for answers that are no numbers and no words, or not one a row.

    A classifier of words answers probabilities and the word; without probabilities the place of the word. `words`: the
    list of a model that does not know its classes.
    """
    rows = len(columns[inputs[0].name])
    if loaded.probabilities is not None and _are_words(loaded.classes):
        found = _rows(loaded.probabilities(columns, inputs), rows)
        labels = tuple(str(one) for one in loaded.classes)
        if found.shape != (rows, len(labels)):
            raise InvalidInput(
                f"It answers {found.shape} to {rows} rows; {len(labels)} probabilities each are expected."
            )
        best = _texts(labels)[found.argmax(axis=1)] if rows else _texts(())
        return Answers({PROBABILITIES: np.ascontiguousarray(found, dtype=np.float64), LABEL: best}, labels=labels)
    answer = loaded.answer(columns, inputs)
    several = _several(answer)
    if several is not None:
        return _by_name(several, rows, words)
    found = _rows(answer, rows)
    if found.ndim == 1 and found.dtype.kind in "OUS":
        return _worded({}, LABEL, found, words or [str(one) for one in loaded.classes])
    return Answers(_numbers(found))


def _several(answer: Any) -> Mapping[str, Any] | None:
    """Return answers that have names of their own: a frame's columns, or a dict."""
    if isinstance(answer, Mapping):
        return {str(name): values for name, values in answer.items()}
    names = getattr(answer, "columns", None)
    if names is None:
        return None
    return {str(name): answer[name] for name in names}


def _by_name(several: Mapping[str, Any], rows: int, words: Sequence[str]) -> Answers:
    outputs: dict[str, npt.NDArray[Any]] = {}
    for name, values in several.items():
        found = _rows(values, rows)
        outputs[name] = _texts(found.reshape(-1)).reshape(found.shape) if found.dtype.kind in "OUS" else _plain(found)
    first = next((name for name, one in outputs.items() if one.ndim == 1 and one.dtype.kind in "biuf"), None)
    if first is not None:
        return Answers({first: outputs.pop(first).astype(np.float64), **outputs})
    said = next((name for name, one in outputs.items() if one.ndim == 1), None)
    if said is not None and SCORE not in outputs:
        return _worded(outputs, said, outputs[said], words)
    if not outputs:
        raise InvalidInput("It answers nothing.")
    name, found = next(iter(outputs.items()))
    if found.dtype.kind not in "biuf" or not found.size or SCORE in outputs:
        raise InvalidInput(f"None of its answers ({', '.join(outputs)}) is one number a row.")
    return Answers({SCORE: found.reshape(rows, -1)[:, 0].astype(np.float64), **outputs})


def _worded(others: Mapping[str, Any], name: str, found: npt.NDArray[Any], words: Sequence[str]) -> Answers:
    texts = _texts(found)
    known = tuple(words) or tuple(sorted(set(texts.tolist())))
    places = {word: float(at) for at, word in enumerate(known)}
    score = np.array([places.get(text, -1.0) for text in texts.tolist()], dtype=np.float64)
    return Answers({SCORE: score, **others, name: texts}, words=known)


def _numbers(found: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    if found.dtype.kind not in "biuf":
        raise InvalidInput(f"It answers {found.dtype} of the shape {found.shape}; numbers or words are expected.")
    if found.ndim == 1 or found.size == len(found):
        return {SCORE: np.ascontiguousarray(found.reshape(len(found)), dtype=np.float64)}
    flat = found.reshape(len(found), -1)
    if not flat.shape[1]:
        raise InvalidInput(f"It answers {found.shape}: no number a row.")
    return {SCORE: np.ascontiguousarray(flat[:, 0], dtype=np.float64), ANSWERS: _plain(found)}


def _rows(found: Any, rows: int) -> npt.NDArray[Any]:
    """Return an answer as an array with as many rows as were asked; raises InvalidInput."""
    try:
        array = np.asarray(found)
    except ValueError as error:
        raise InvalidInput(f"It answers rows of different sizes: {error}.") from error
    if not array.ndim or len(array) != rows:
        raise InvalidInput(f"It answers {array.shape or 'one value'} to {rows} rows.")
    if array.dtype.kind == "O" and array.size and all(isinstance(one, int | float) for one in array.reshape(-1)):
        return array.astype(np.float64)
    return array


def _plain(found: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if found.dtype.kind not in "biuf":
        raise InvalidInput(f"It answers {found.dtype}; numbers or words are expected.")
    return np.ascontiguousarray(found.astype(found.dtype.newbyteorder("=")))


def _texts(found: Any) -> npt.NDArray[Any]:
    values = [
        one.decode(errors="replace") if isinstance(one, bytes) else "" if one is None else str(one) for one in found
    ]
    made = np.empty(len(values), dtype=np.object_)
    made[:] = values
    return made


def _are_words(classes: Sequence[Any]) -> bool:
    return len(classes) > 0 and all(isinstance(one, str) for one in classes)
