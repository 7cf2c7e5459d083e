"""Outcomes as people and programs send them: objects of JSON, lines of JSON, CSV. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from ..ground.core.clock import parse_time
from ..ground.core.errors import OutcomeInvalid
from .privacy import text_of
from .records import Truth

LONGEST_ID = 200
LONGEST_KEY = 10_000
MOST_ROW = 1_000_000
NAMES = ("prediction_id", "key", "row", "label", "event_time")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an outcome stands, as its sender finds it: `outcomes[3].label` in a body, `Line 3: label` in a file."""

    whole: str
    joint: str

    def of(self, field: str) -> str:
        """Return where a field of it stands."""
        return f"{self.whole}{self.joint}{field}"


def truth_of(item: Mapping[str, Any], place: Place) -> Truth:
    """Read `{"prediction_id" | "key", "label", "event_time"?, "row"?}`; raises OutcomeInvalid, which says the place.

    Other fields are no matter, unless they look like a slip of the pen.
    """
    for name in item:
        meant = get_close_matches(str(name), NAMES, n=1, cutoff=0.8)
        if meant and meant[0] != name:
            raise OutcomeInvalid(f"{place.whole} has the field {str(name)[:40]!r}.", hint=f"Did you mean {meant[0]!r}?")
    prediction, key = item.get("prediction_id"), item.get("key")
    if (prediction is None) == (key is None):
        found = "neither a prediction_id nor a key" if key is None else "both a prediction_id and a key"
        raise OutcomeInvalid(
            f"{place.whole} has {found}.",
            hint="Send the prediction_id that came with the answer, or as key the value of the endpoint's outcome_key.",
        )
    if prediction is not None and (not isinstance(prediction, str) or not 1 <= len(prediction) <= LONGEST_ID):
        raise OutcomeInvalid(
            f"{place.of('prediction_id')} is {str(prediction)[:60]!r}.",
            hint="Send the id that came with the answer, a text.",
        )
    return Truth(
        label=_label(item.get("label"), place),
        prediction=prediction,
        key=None if key is None else _key(key, place),
        event_time=_time(item.get("event_time"), place),
        row=_row(item.get("row"), place),
    )


def _label(label: Any, place: Place) -> float | str:
    if isinstance(label, str) and 0 < len(label) <= LONGEST_KEY:
        return label
    if isinstance(label, bool | int | float):
        try:
            return float(label)
        except OverflowError:
            pass
    found = "missing" if label is None else repr(str(label)[:60])
    raise OutcomeInvalid(f"{place.of('label')} is {found}.", hint="Expected a number, or the name of a class.")


def _key(key: Any, place: Place) -> str:
    if isinstance(key, str | int | float) and 0 < len(text_of(key)) <= LONGEST_KEY:
        return text_of(key)
    raise OutcomeInvalid(f"{place.of('key')} is {str(key)[:60]!r}.", hint="Expected a text or a number.")


def _time(value: Any, place: Place) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_time(value)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise OutcomeInvalid(
            f"{place.of('event_time')} is {str(value)[:60]!r}.", hint="Expected a time such as 2013-03-01T05:15:00Z."
        ) from error


def _row(value: Any, place: Place) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST_ROW:
        raise OutcomeInvalid(f"{place.of('row')} is {str(value)[:60]!r}.", hint="Expected 0, 1, 2, ...")
    return value


def truths_in(text: str, *, lines: bool) -> list[Truth]:
    """Read a file: JSON lines, or CSV with a header. Raises OutcomeInvalid, which names the line."""
    found = _json_lines(text) if lines else _csv_rows(text)
    return [truth_of(item, Place(f"Line {number}", ": ")) for number, item in found]


def _json_lines(text: str) -> list[tuple[int, Mapping[str, Any]]]:
    found: list[tuple[int, Mapping[str, Any]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise OutcomeInvalid(f"Line {number} is not JSON: {error}.", hint="Expected an object a line.") from error
        if not isinstance(item, dict):
            raise OutcomeInvalid(f"Line {number} is no object.", hint='Expected {"prediction_id": ..., "label": ...}.')
        found.append((number, item))
    return found


def _csv_rows(text: str) -> list[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")), strict=True)
    found: list[tuple[int, Mapping[str, Any]]] = []
    try:
        if "label" not in (reader.fieldnames or ()):
            raise OutcomeInvalid(
                f"The header is {', '.join(map(str, reader.fieldnames or ())) or 'empty'}.",
                hint="Expected the columns prediction_id or key, label, and perhaps row and event_time.",
            )
        for item in reader:
            given: dict[str, Any] = {str(name): value for name, value in item.items() if value not in (None, "")}
            if given.get("row", "").isdecimal() and len(given["row"]) < 9:
                given["row"] = int(given["row"])
            found.append((reader.line_num, given))
    except csv.Error as error:
        raise OutcomeInvalid(
            f"Line {reader.line_num} is not CSV: {error}.", hint="Expected a header and rows."
        ) from error
    return found
