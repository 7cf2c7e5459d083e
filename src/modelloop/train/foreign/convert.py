"""Load a model in its own library, ask it, write it as ONNX, ask that, and compare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import InvalidInput, ModelloopError
from ...ground.core.later import numpy as np
from ...prepare.records import Columns, Datatype, InputColumn
from ..adapters.foreign.form import Inputs, Loaded
from ..graph_scorer import GraphScorer
from ..replies import LABEL
from .answers import Answers, named
from .loading import load_foreign
from .records import Converted, Job
from .tensors import convert_tensors

if TYPE_CHECKING:
    import numpy.typing as npt

ROWS = 200
"""Rows that are drawn where there is no example, or few."""
_DATATYPES = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL", "O": "BYTES"}
_CANNOT = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, ImportError, OSError, ArithmeticError)
"""What foreign libraries raise where a model is not as they expect."""


def convert(folder: Path, job: Job) -> tuple[Converted, bytes]:
    """Return what came out, and the graph; a refusal and no bytes where the model cannot be served."""
    try:
        return _converted(folder, job)
    except ModelloopError as error:
        return Converted(refusal=error.message, hint=error.hint), b""
    except _CANNOT as error:
        said = " ".join(str(error).split())[:300]
        return Converted(refusal=f"Its library could not read or ask it: {type(error).__name__}: {said}"), b""


def _converted(folder: Path, job: Job) -> tuple[Converted, bytes]:
    if job.tensors:
        if job.flavor != "onnx":
            raise InvalidInput(
                f"Its signature asks for tensors {[(one.name, one.shape) for one in job.tensors]}; of the flavor "
                f"{job.flavor} rows of columns [-1, k] can be served.",
                hint="Log it as ONNX: graphs are served with any tensors.",
            )
        return convert_tensors(folder, job)
    loaded = load_foreign(job.flavor, folder, job.data, job.settings, pickle=job.pickle)
    inputs = _inputs(job, loaded)
    given = _example(folder / job.example, inputs) if job.example else None
    sample = _filled(given, inputs)
    answers = named(loaded, sample, inputs)
    made = _told(loaded, inputs, sample, answers, drawn=given is None)
    reasons: list[str] = []
    if set(answers.outputs) <= {answers.output, LABEL} and not answers.words:
        for graph in _tries(loaded, sample, inputs, answers.labels, reasons):
            largest, beyond = _apart(answers.headline, _headline(inputs, graph, answers.labels, sample), job.tolerance)
            if not beyond:
                return replace(made, largest=largest), graph
            rows = len(answers.headline)
            reasons.append(f"as ONNX it answers {beyond} of {rows} rows otherwise, by up to {largest:.3g}")
    else:
        reasons.append("it answers more than numbers of one kind, which no converter keeps")
    reason = "; ".join(dict.fromkeys(reasons)) or "nothing came out"
    if loaded.kind == "onnx":
        raise InvalidInput(f"It could not be converted: {reason}.")
    return replace(made, kind=loaded.kind, platform=loaded.platform, reason=reason), b""


def _told(loaded: Loaded, inputs: Inputs, sample: Columns, answers: Answers, *, drawn: bool) -> Converted:
    """Return what is known of a model that answers, but for how it is served; raises InvalidInput for NaN."""
    headline = answers.headline
    if not np.isfinite(headline).all():
        wrong = int(np.count_nonzero(~np.isfinite(headline.reshape(len(headline), -1)).all(axis=1)))
        raise InvalidInput(
            f"It answers {wrong} of {len(headline)} rows of the sample with what is no number.",
            hint="Log it again with an input_example= that it can answer.",
        )
    return Converted(
        inputs=inputs,
        columns={name: tuple(values.tolist()) for name, values in sample.items()},
        expected=tuple(tuple(row) if isinstance(row, list) else row for row in headline.tolist()),
        output=answers.output,
        outputs={name: (_DATATYPES[array.dtype.kind], array.shape[1:]) for name, array in answers.outputs.items()},
        labels=answers.labels,
        words=answers.words,
        drawn=drawn,
        note=loaded.note,
        versions=loaded.versions,
    )


def _apart(expected: npt.NDArray[Any], found: npt.NDArray[Any], tolerance: float) -> tuple[float, int]:
    """Return the largest difference, relative to answers larger than 1, and how many rows are beyond the tolerance."""
    if found.shape != expected.shape:
        return float("nan"), len(expected)
    apart = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    wrong = ~(apart <= tolerance)
    largest = float(np.nanmax(apart)) if np.isfinite(apart).any() else float("nan")
    return largest, int(np.count_nonzero(wrong.reshape(len(wrong), -1).any(axis=1)))


def _headline(inputs: Inputs, graph: bytes, labels: tuple[str, ...], sample: Columns) -> npt.NDArray[np.float64]:
    found = GraphScorer(inputs, graph, labels=labels).outputs(sample)
    answer = np.asarray(next(iter(found.values())), dtype=np.float64)
    return answer if labels else answer.reshape(len(answer))


def _tries(
    loaded: Loaded, sample: Columns, inputs: Inputs, labels: tuple[str, ...], reasons: list[str]
) -> Iterator[bytes]:
    """Yield graphs that load and answer; note why others do not."""
    made = loaded.graphs(sample, inputs)
    while True:
        try:
            graph = next(made)
            _headline(inputs, graph, labels, sample)
        except StopIteration:
            return
        except (ModelloopError, *_CANNOT) as error:
            reasons.append(" ".join(str(error).split())[:300])
            if getattr(made, "gi_frame", None) is None:  # a generator that raised has ended
                return
            continue
        yield graph


def _inputs(job: Job, loaded: Loaded) -> Inputs:
    """Return the columns that the model is asked with: its signature's, or as many as it knows of."""
    width = loaded.width or job.width
    if job.inputs is not None:
        if width is not None and width != len(job.inputs):
            raise InvalidInput(f"Its signature has {len(job.inputs)} columns; it was trained on {width}.")
        return job.inputs
    if job.width is not None and loaded.width is not None and job.width != loaded.width:
        raise InvalidInput(f"Its signature asks for {job.width} columns; it was trained on {loaded.width}.")
    names = loaded.names or (tuple(f"x{at}" for at in range(width)) if width else ())
    if not names:
        raise InvalidInput(
            "It has no signature, and the model does not say how many columns it takes.",
            hint="Log it again with signature= or input_example=.",
        )
    return tuple(InputColumn(name, Datatype.FP64) for name in names)


def _example(path: Path, inputs: Inputs) -> Columns | None:
    """Return the input example as columns; None where it is written in a way that is not known."""
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    rows, names = _rows(body, [one.name for one in inputs])
    if not rows or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    by_name = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    if any(one.name not in by_name for one in inputs):
        return None
    try:
        return {one.name: _typed(by_name[one.name], one) for one in inputs}
    except (ValueError, TypeError, OverflowError):
        return None


def _rows(body: Any, names: list[str]) -> tuple[list[Any], list[str]]:
    """Return rows and column names of MLflow's ways to write an example."""
    if isinstance(body, dict):
        split = body.get("dataframe_split", body)
        if isinstance(split, dict) and isinstance(split.get("data"), list):
            columns = split.get("columns")
            return split["data"], [str(name) for name in columns] if columns else names
        body = body.get("inputs", body.get("instances"))
    if isinstance(body, list) and body and isinstance(body[0], dict):
        return [[row.get(name) for name in names] for row in body if isinstance(row, dict)], names
    return (body, names) if isinstance(body, list) else ([], names)


def _filled(given: Columns | None, inputs: Inputs) -> Columns:
    """Return the example and rows drawn around it, or from nothing: they ask branches that it does not meet."""
    rng = np.random.default_rng(0)
    if given is not None and any(one.datatype is Datatype.BYTES for one in inputs):
        return given
    made = {}
    for one in inputs:
        known = given[one.name] if given is not None else None
        made[one.name] = _drawn(one, known, rng)
    return made


def _drawn(one: InputColumn, known: npt.NDArray[Any] | None, rng: np.random.Generator) -> npt.NDArray[Any]:
    if one.datatype is Datatype.BYTES:
        return np.array([("", "a", "b")[at] for at in rng.integers(0, 3, ROWS)], dtype=np.object_)
    if one.datatype is Datatype.BOOL:
        drawn: npt.NDArray[Any] = rng.integers(0, 2, ROWS).astype(np.bool_)
    elif known is None:
        # Half of the rows near zero, half far: scaled data and raw data both meet their branches
        drawn = rng.normal(0, 1, ROWS) * np.where(rng.integers(0, 2, ROWS) == 1, 10.0, 1.0)
    else:
        spread = float(np.nanstd(known.astype(np.float64))) or abs(float(np.nanmean(known.astype(np.float64)))) or 1.0
        drawn = rng.choice(known.astype(np.float64), ROWS) + rng.normal(0, 1, ROWS) * spread
    # Coarse numbers: sums in single and double precision would round a tie apart that no data holds
    drawn = np.round(drawn.astype(np.float64), 3)
    kind = {Datatype.INT64: np.int64, Datatype.BOOL: np.bool_}.get(one.datatype, np.float64)
    drawn = drawn.astype(kind)
    return drawn if known is None else np.concatenate([known, drawn])


def _typed(values: list[Any], one: InputColumn) -> npt.NDArray[Any]:
    if one.datatype is Datatype.BYTES:
        return np.array([None if value is None else str(value) for value in values], dtype=np.object_)
    kind = {Datatype.INT64: np.int64, Datatype.BOOL: np.bool_}.get(one.datatype, np.float64)
    if None in values:
        kind = np.float64
    return np.array(values, dtype=kind)
