"""From records of the prediction log to rows of facts. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .privacy import business_key

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_LAST = datetime(9999, 12, 30, tzinfo=UTC)
_WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
ALL_ROWS = -1

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """What some records of one gateway come to."""

    predictions: tuple[Row, ...]
    shadows: tuple[Row, ...]
    """Answers of a challenger to predictions of earlier batches."""
    answers: tuple[Mapping[str, Any], ...]
    """The records of answers, whose inputs become parts."""
    failures: tuple[Row, ...] = ()
    """Requests that no version answered, because of the versions."""
    unreadable: int = 0
    """Records that are whole and not of the form they must have (written by a newer gateway)."""


def read(records: Iterable[Mapping[str, Any]], gateway: str) -> Batch:
    """Turn records into rows; a shadow's answer joins its prediction where both are here."""
    rows: dict[str, list[Row]] = {}
    answers: list[Mapping[str, Any]] = []
    later: list[Row] = []
    failures: dict[str, Row] = {}
    unreadable = 0
    for record in records:
        try:
            kind = record["k"]
            if kind == "a":
                rows[record["id"]] = list(_answered(record, gateway))
                answers.append(record)
            elif kind == "s":
                later += _join_shadow(record, rows)
            elif kind == "f":
                failures[record["id"]] = _failed(record, gateway)
        except _WRONG:
            unreadable += 1
    predictions = tuple(row for several in rows.values() for row in several)
    return Batch(predictions, tuple(later), tuple(answers), tuple(failures.values()), unreadable)


def _answered(record: Mapping[str, Any], gateway: str) -> Iterator[Row]:
    scores: Sequence[float] = record["s"]
    place = _place(record, gateway)
    given, keys, slices = record.get("x") or {}, _keys(record.get("bk"), len(scores)), record.get("sl")
    latency = record.get("lat")
    for number, score in enumerate(scores):
        yield {
            **place,
            "row": number,
            "score": float(score),
            "milliseconds": float(record["ms"]),
            "latency": None if latency is None else float(latency),
            "error": _text(record.get("err")),
            "answer": _of_row(record.get("o"), number),
            "business_key": keys[number],
            "slices": _of_row(slices, number),
            "missing": [name for name, values in given.items() if values[number] is None] or None,
            "shadow_version": None,
            "shadow_score": None,
            "shadow_error": None,
            "shadow_milliseconds": None,
            "shadow_answer": None,
        }


def _place(record: Mapping[str, Any], gateway: str) -> Row:
    return {
        "id": str(record["id"]),
        "endpoint": record["ep"],
        "event_time": moment(record["et"]),
        "at": moment(record["at"]),
        "generation": int(record["gen"]),
        "gateway": gateway,
        "arm": record["arm"],
        "version": record["v"],
    }


def _failed(record: Mapping[str, Any], gateway: str) -> Row:
    return {
        **_place(record, gateway),
        "error": _text(record.get("err")) or "no answer",
        "rows": int(record.get("rows") or 1),
    }


def _join_shadow(record: Mapping[str, Any], rows: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Put a shadow's answer on its rows; return updates where they are not in this batch."""
    known = rows.get(record["id"])
    scores: Sequence[float | None] | None = record.get("s")
    numbers: Sequence[int]
    if scores:
        numbers = range(len(scores))
    else:
        numbers = (ALL_ROWS,) if known is None else range(len(known))
        scores = [None] * len(numbers)
    later = []
    for number, score in zip(numbers, scores, strict=True):
        found = _its(record, number, None if score is None or not math.isfinite(score) else float(score))
        if known is None:
            later.append({"of_id": record["id"], "of_row": number, **found})
        elif number < len(known):
            known[number].update({f"shadow_{name.removeprefix('its_')}": value for name, value in found.items()})
    return later


def _its(record: Mapping[str, Any], number: int, score: float | None) -> Row:
    spent = record.get("ms")
    return {
        "its_version": record["v"],
        "its_score": score,
        "its_error": _text(record.get("err")) or ("no answer" if score is None else None),
        "its_milliseconds": None if spent is None else float(spent),
        "its_answer": None if score is None else _of_row(record.get("o"), number),
    }


def _keys(found: Any, count: int) -> list[str | None]:
    if found is None:
        return [None] * count
    keys = list(found) if isinstance(found, list | tuple) else [found]
    keys = [None if key is None or key == "" else business_key(key) for key in keys]
    return keys if len(keys) == count else [*keys, *[keys[-1] if keys else None] * count][:count]


def _of_row(columns: Mapping[str, Sequence[Any]] | None, number: int) -> dict[str, Any] | None:
    return {name: plain(values[number]) for name, values in columns.items()} if columns else None


def plain(value: Any) -> Any:
    """Return a value as every database takes it as JSON: NaN and infinity are nothing, texts have no zero byte."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return _text(value.decode("utf-8", "replace"))
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {_text(str(name)): plain(one) for name, one in value.items()}
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(value).replace("\0", "\N{REPLACEMENT CHARACTER}")


def moment(microseconds: int) -> datetime:
    """Return a time given in microseconds since 1970; what no calendar holds becomes its first or last day."""
    try:
        return min(max(_EPOCH + timedelta(microseconds=microseconds), _FIRST), _LAST)
    except OverflowError:
        return _FIRST if microseconds < 0 else _LAST
