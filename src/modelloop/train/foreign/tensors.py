"""Graphs that are asked with whole tensors: pictures, token ids, several matrices at once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ...prepare.records import Columns
from ...prepare.tensors import TYPES
from ..graph_scorer import ANY_TYPES, TensorScorer
from ..replies import LABEL
from ..scorer import open_session
from .records import Converted, Job, Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

ROWS, OPEN_SIZE, LARGEST, MOST_CLASSES = 4, 8, 2_000_000, 10_000
_DATATYPES = {kind: name for name, kind in TYPES.items()}


def convert_tensors(folder: Path, job: Job) -> tuple[Converted, bytes]:
    """Return what is known of an ONNX graph and the graph itself; raises InvalidInput for one that cannot be asked."""
    graph = (folder / job.data).read_bytes()
    session = open_session(graph)
    feeds = session.get_inputs()
    tensors = _named(job.tensors, [one.name for one in feeds])
    wrong = [one.name for one in feeds if one.type not in ANY_TYPES]
    if wrong or sorted(one.name for one in tensors) != sorted(one.name for one in feeds):
        raise InvalidInput(
            f"The graph takes {[(one.name, one.type) for one in feeds]}; its signature names "
            f"{', '.join(one.name for one in tensors)}."
        )
    sample = _example(folder / job.example, tensors) if job.example else None
    drawn = sample is None
    if sample is None:
        sample = {one.name: _drawn(one) for one in tensors}
    rows = len(next(iter(sample.values())))
    found = dict(zip([one.name for one in session.get_outputs()], session.run(None, dict(sample)), strict=True))
    output, classes = _headline(found, rows)
    labels = tuple(str(number) for number in range(classes))
    names = [one.name for one in tensors]
    scorer = TensorScorer(graph, output=output, labels=tuple(range(classes)), names=names)
    answered = scorer.outputs(sample)
    expected = np.asarray(found[output], dtype=np.float64).reshape((rows, classes) if classes else (rows,))
    if not np.isfinite(expected).all():
        raise InvalidInput("It answers the sample with what is no number.", hint="Log it again with an input_example=.")
    return Converted(
        tensors=tensors,
        columns={name: tuple(values.tolist()) for name, values in sample.items()},
        expected=tuple(tuple(row) if isinstance(row, list) else row for row in expected.tolist()),
        output=output,
        outputs={name: (_DATATYPES[_kind(one)], _free(one.shape[1:])) for name, one in answered.items()},
        labels=labels,
        numbered=bool(labels),
        drawn=drawn,
        note=f"Its classes are numbered: {LABEL} is the place of the largest number." if labels else "",
    ), graph


def _named(tensors: tuple[Tensor, ...], feeds: list[str]) -> tuple[Tensor, ...]:
    """A signature of one tensor may leave out its name: it is the graph's."""
    if len(tensors) == 1 and len(feeds) == 1:
        return (Tensor(feeds[0], tensors[0].datatype, tensors[0].shape),)
    return tensors


def _headline(found: dict[str, Any], rows: int) -> tuple[str, int]:
    """Return the output that is judged, and how many classes it has (0: it is one number a row)."""
    for name, one in found.items():
        if not isinstance(one, np.ndarray) or one.dtype.kind not in "iufb" or one.shape[:1] != (rows,):
            continue
        if one.size == rows:
            return name, 0
        if one.ndim == 2 and one.shape[1] <= MOST_CLASSES:
            return name, one.shape[1]
    shapes = {name: getattr(one, "shape", type(one).__name__) for name, one in found.items()}
    raise InvalidInput(f"It answers {shapes} to {rows} rows; none is one number, or one row of numbers, a row.")


def _drawn(one: Tensor) -> npt.NDArray[Any]:
    """Return rows of small numbers: as token ids and as pixels they are in range."""
    shape = (ROWS, *(OPEN_SIZE if size < 0 else size for size in one.shape[1:]))
    if math.prod(shape) > LARGEST:
        raise InvalidInput(f"One row of the tensor {one.name!r} is {shape[1:]}: too large for a sample to be kept.")
    rng = np.random.default_rng(0)
    kind = np.dtype(TYPES[one.datatype])
    if kind == np.object_:
        made = np.empty(shape, dtype=np.object_)
        made[...] = "a"
        return made
    drawn = rng.random(shape) if kind.kind == "f" else rng.integers(0, 2, shape)
    return np.round(drawn, 3).astype(kind) if kind.kind == "f" else drawn.astype(kind)


def _example(path: Path, tensors: tuple[Tensor, ...]) -> Columns | None:
    """Return the input example; None where it is written in a way that is not known."""
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    body = body.get("inputs", body) if isinstance(body, dict) else body
    named = body if isinstance(body, dict) else {tensors[0].name: body}
    try:
        made = {one.name: np.array(named[one.name], dtype=TYPES[one.datatype]) for one in tensors}
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    fits = all(made[one.name].ndim == len(one.shape) and len(made[one.name]) for one in tensors)
    sizes = {len(one) for one in made.values() if one.ndim}
    return made if fits and len(sizes) == 1 and sum(one.size for one in made.values()) <= LARGEST else None


def _kind(one: npt.NDArray[Any]) -> str:
    return "object" if one.dtype.kind in "OUS" else str(one.dtype)


def _free(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-1 if size == OPEN_SIZE else size for size in shape)
