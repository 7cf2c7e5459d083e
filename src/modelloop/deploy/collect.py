"""From records of the prediction log to rows of facts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Batch:
    """What some records of one gateway come to."""

    predictions: tuple[dict[str, Any], ...]
    shadows: tuple[dict[str, Any], ...]
    """Answers of a challenger to predictions of earlier batches."""
    answers: tuple[Mapping[str, Any], ...]
    """The records of answers, whose inputs become parts."""


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
    return Batch(tuple(rows.values()), tuple(later), tuple(answers))


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
            later.append({**of, "by_version": record["v"], "its_score": score, "its_failure": wrong})
        else:
            row |= {"shadow_version": record["v"], "shadow_score": score, "shadow_error": wrong}
    return later


def moment(microseconds: int) -> datetime:
    """Return a time given in microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)
