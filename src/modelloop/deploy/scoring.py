"""Batch scoring: one piece of a dataset through a package, the same code that answers requests."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..data.settings import ColumnSettings, ColumnType, ContractSettings
from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..ground.core.later import polars as pl
from ..prepare.columns import from_frame
from ..prepare.records import Columns
from ..register.parity import Runtime
from ..register.records import Signature
from ..train.outside.process import ProcessRuntime, WrongAnswer
from ..train.outside.records import Gone, Limits
from ..train.outside.started import Answered

if TYPE_CHECKING:
    import numpy.typing as npt

ERROR = "scoring_error"
"""Column that says why a row has no score."""
BY = "scored_by"
"""Column of the version that scored."""


ASKED = 2_000
"""Rows that a process of a model is asked with at once."""
LIMITS = Limits(answer_seconds=120.0)
"""What such a process may take: nobody waits at the other end, so a slow model has time."""
TRIES = 3
"""How often a process may end over the same rows: it may have been killed by somebody, or by these rows."""
AGAIN_SECONDS = 60.0
_WRONG = (InvalidInput, ValueError, Answered, WrongAnswer)
"""What says that rows cannot be scored: some of them, or one."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """A version scores a version of a dataset into another dataset."""

    id: str
    version: str
    package: str
    dataset: str
    number: int
    into: str
    rows: int
    chunk: int
    started_at: datetime
    finished_at: datetime | None
    made: int | None
    """The version of `into` that it came to."""
    failed: int
    """Rows without a score; each says why."""
    actor: str


class Patient:
    """A model in a process of its own, for batches: where the process ends, the next one is asked for the same rows."""

    def __init__(self, runtime: ProcessRuntime) -> None:
        self._runtime = runtime

    def outputs(self, columns: Columns) -> Mapping[str, npt.NDArray[Any]]:
        """Return all outputs by name; raises Gone where the process ends over the same rows again and again."""
        rows = len(next(iter(columns.values())))
        parts = [
            self._asked({name: values[start : start + ASKED] for name, values in columns.items()}, start)
            for start in range(0, max(1, rows), ASKED)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return the headline as one number a row."""
        return self._runtime.score(columns)

    def _asked(self, columns: Columns, start: int) -> Mapping[str, npt.NDArray[Any]]:
        for _ in range(TRIES):
            try:
                return self._runtime.outputs(columns)
            except Gone as error:
                last = error
            self._wait()
        raise Gone(
            f"{last.message.rstrip('.')}, {TRIES} times over the same rows.",
            detail={"start": start, "rows": len(next(iter(columns.values())))},
        )

    def _wait(self) -> None:
        """Wait until another process is there."""
        end = time.monotonic() + AGAIN_SECONDS
        while self._runtime.trouble and time.monotonic() < end:
            time.sleep(0.05)


def needed(signature: Signature) -> list[str]:
    """Return the dataset columns that a version reads."""
    return [spec.name for spec in signature.asked]


def check(signature: Signature, known: Sequence[str], kept: Sequence[str]) -> None:
    """Raise InvalidInput where the dataset lacks what is read or kept, or an output would hide a kept column."""
    lost = [name for name in dict.fromkeys([*needed(signature), *kept]) if name not in known]
    if lost:
        raise InvalidInput(
            f"The dataset has no column {', '.join(map(repr, lost))}.", hint=f"It has: {', '.join(known)}."
        )
    made = {*(spec.name for spec in signature.answered), ERROR, BY}
    if both := sorted(made & set(kept)):
        raise InvalidInput(f"{both[0]!r} is a column that scoring makes.", hint="Keep other columns: --keep.")


def score_piece(
    runtime: Runtime, signature: Signature, version: str, frame: pl.DataFrame, kept: Sequence[str]
) -> bytes:
    """Return a piece's rows with their scores as Parquet. A row that cannot be scored says why, and has none."""
    outputs, errors = _outputs(runtime, signature, frame)
    columns = [frame.get_column(name) for name in kept]
    for spec in signature.answered:
        columns += _series(spec.name, outputs[spec.name], signature, errors)
    columns += [
        pl.Series(BY, [version] * frame.height, dtype=pl.String),
        pl.Series(ERROR, errors, dtype=pl.String),
    ]
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def failures(piece: bytes) -> tuple[int, int]:
    """Return how many rows a piece has, and how many have no score."""
    errors = pl.read_parquet(io.BytesIO(piece), columns=[ERROR])[ERROR]
    return len(errors), len(errors) - errors.null_count()


def contract_of(piece: bytes, key: Sequence[str]) -> ContractSettings:
    """Return the contract that the scored rows keep: their columns and types, and the key where it was kept."""
    schema = pl.read_parquet(io.BytesIO(piece), n_rows=0).schema
    columns = {name: ColumnSettings(_type(name, dtype), nullable=name not in key) for name, dtype in schema.items()}
    return ContractSettings(columns, key=tuple(key) if set(key) <= set(schema) else ())


def pieces(rows: pl.LazyFrame, chunk: int) -> Iterator[pl.DataFrame]:
    """Yield the rows in order, `chunk` at a time, in the memory of a few pieces."""
    held: list[pl.DataFrame] = []
    height = 0
    for batch in rows.collect_batches(chunk_size=chunk, maintain_order=True):
        held.append(batch)
        height += batch.height
        while height >= chunk:
            whole = pl.concat(held)
            yield whole.head(chunk)
            held = [whole.slice(chunk)]
            height -= chunk
    if height:
        yield pl.concat(held)


def _outputs(
    runtime: Runtime, signature: Signature, frame: pl.DataFrame
) -> tuple[Mapping[str, npt.NDArray[Any]], list[str | None]]:
    errors: list[str | None] = [None] * frame.height
    try:
        return runtime.outputs(_columns(signature, frame)), errors
    except _WRONG as error:
        if frame.height == 1:
            return {spec.name: _nothing(spec.shape) for spec in signature.answered}, [str(error)[:500]]
    # Something is wrong with some of the rows: each half for itself, down to the row that did it.
    middle = frame.height // 2
    first, wrong_first = _outputs(runtime, signature, frame.head(middle))
    try:
        rest, wrong_rest = _outputs(runtime, signature, frame.slice(middle))
    except Gone as error:
        error.detail["start"] = int(error.detail.get("start", 0)) + middle
        raise
    joined = {name: _together(first[name], rest[name]) for name in first}
    return joined, wrong_first + wrong_rest


def _columns(signature: Signature, frame: pl.DataFrame) -> Columns:
    columns = from_frame(frame, needed(signature))
    for column in signature.inputs:
        values = columns[column.name]
        if column.nullable or values.dtype.kind not in "fO":
            continue
        missing = np.isnan(values) if values.dtype.kind == "f" else np.array([v is None for v in values.tolist()])
        if missing.any():
            raise InvalidInput(f"The input {column.name!r} is missing.", hint="The version takes no null there.")
    return columns


def _nothing(shape: Sequence[int]) -> npt.NDArray[Any]:
    return np.full((1, *(max(1, size) for size in shape[1:])), np.nan)


def _together(first: npt.NDArray[Any], rest: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if first.ndim > 1 and first.shape[1:] != rest.shape[1:]:  # one of them has no score and knows no width
        width = max(first.shape[1], rest.shape[1])
        first, rest = (one if one.shape[1] == width else np.full((len(one), width), np.nan) for one in (first, rest))
    return np.concatenate([first, rest])


def _series(name: str, values: npt.NDArray[Any], signature: Signature, errors: Sequence[str | None]) -> list[pl.Series]:
    """Return an output as columns: one, or one for each class."""
    if values.ndim == 1:
        return [_one(name, values, errors)]
    flat = values.reshape(len(values), -1)
    labels = signature.labels if len(signature.labels) == flat.shape[1] else [str(i) for i in range(flat.shape[1])]
    return [_one(f"{name}_{label}", flat[:, place], errors) for place, label in enumerate(labels)]


def _one(name: str, values: npt.NDArray[Any], errors: Sequence[str | None]) -> pl.Series:
    listed = values.tolist()
    if any(type(value) is str or isinstance(value, bytes) for value in listed):
        texts = [
            None if wrong else value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
            for value, wrong in zip(listed, errors, strict=True)
        ]
        return pl.Series(name, texts, dtype=pl.String)
    numbers = [None if wrong else float(value) for value, wrong in zip(listed, errors, strict=True)]
    return pl.Series(name, numbers, dtype=pl.Float64)


def _type(name: str, dtype: pl.DataType) -> ColumnType:
    if dtype == pl.Boolean:
        return ColumnType.BOOLEAN
    if dtype.is_integer():
        return ColumnType.INTEGER
    if dtype.is_numeric():
        return ColumnType.FLOAT
    if dtype == pl.Date:
        return ColumnType.DATE
    if isinstance(dtype, pl.Datetime):
        return ColumnType.TIME
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return ColumnType.STRING
    raise InvalidInput(f"The column {name!r} of the type {dtype} cannot be kept.", hint="Keep others: --keep.")
