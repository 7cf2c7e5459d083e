"""From records of the prediction log to rows of facts and Parquet parts of the inputs. Pure."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OWN = ("_id", "_row", "_event_time", "_version", "_score")
"""Columns of a part beside the inputs."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What some records of one gateway come to."""

    predictions: tuple[dict[str, Any], ...]
    shadows: tuple[dict[str, Any], ...]
    """Answers of a challenger to predictions of earlier batches."""
    parts: Mapping[str, pl.DataFrame]
    """Inputs by endpoint."""


def read(records: Iterable[Mapping[str, Any]], gateway: str) -> Batch:
    """Turn records into rows; a shadow's answer joins its prediction where both are here."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    answers: list[Mapping[str, Any]] = []
    later: list[dict[str, Any]] = []
    for record in records:
        if record["k"] == "a":
            answers.append(record)
            rows.update(((row["id"], row["row"]), row) for row in _answered(record, gateway))
        elif record["k"] == "s":
            later += _join_shadow(record, rows)
    return Batch(tuple(rows.values()), tuple(later), _parts(answers))


def _answered(record: Mapping[str, Any], gateway: str) -> Iterable[dict[str, Any]]:
    for number, score in enumerate(record["s"]):
        yield {
            "id": record["id"],
            "row": number,
            "endpoint": record["ep"],
            "event_time": moment(record["et"]),
            "at": moment(record["at"]),
            "generation": record["gen"],
            "gateway": gateway,
            "arm": record["arm"],
            "version": record["v"],
            "score": float(score),
            "milliseconds": float(record["ms"]),
            "error": record.get("err"),
            "shadow_version": None,
            "shadow_score": None,
            "shadow_error": None,
        }


def _join_shadow(record: Mapping[str, Any], rows: Mapping[tuple[str, int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Put a shadow's answer on its rows; return updates where they are not in this batch."""
    scores: Sequence[float | None] = record.get("s") or [None]
    failure = record.get("err")
    later = []
    for number, score in enumerate(scores):
        wrong = failure or ("no answer" if score is None else None)
        row = rows.get((record["id"], number))
        if row is None:
            of = {"of_id": record["id"], "of_row": number}
            later.append({**of, "version": record["v"], "score": score, "failure": wrong})
        else:
            row |= {"shadow_version": record["v"], "shadow_score": score, "shadow_error": wrong}
    return later


def moment(microseconds: int) -> datetime:
    """Return a time given in microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _parts(answers: Sequence[Mapping[str, Any]]) -> dict[str, pl.DataFrame]:
    by_endpoint: dict[str, list[Mapping[str, Any]]] = {}
    for record in answers:
        by_endpoint.setdefault(record["ep"], []).append(record)
    return {name: _part(records) for name, records in by_endpoint.items()}


def _part(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    names = list(dict.fromkeys(name for record in records for name in record.get("x") or {}))
    columns: dict[str, list[Any]] = {name: [] for name in (*OWN, *names)}
    for record in records:
        count = len(record["s"])
        columns["_id"] += [record["id"]] * count
        columns["_row"] += range(count)
        columns["_event_time"] += [moment(record["et"])] * count
        columns["_version"] += [record["v"]] * count
        columns["_score"] += map(float, record["s"])
        inputs = record.get("x") or {}
        for name in names:
            columns[name] += inputs.get(name) or [None] * count
    return pl.DataFrame([pl.Series(name, values, strict=False) for name, values in columns.items()])


def to_parquet(frame: pl.DataFrame) -> bytes:
    """Return the frame as Parquet; equal frames give equal bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def join_parts(parts: Sequence[bytes], start: datetime, end: datetime) -> pl.DataFrame:
    """Return the inputs of a window; a column that a part lacks is missing there."""
    if not parts:
        return pl.DataFrame({"_version": [], "_score": []}, schema={"_version": pl.String, "_score": pl.Float64})
    whole = pl.concat([pl.read_parquet(io.BytesIO(part)) for part in parts], how="diagonal_relaxed")
    return whole.filter((pl.col("_event_time") >= start) & (pl.col("_event_time") < end))
