"""MLflow's scoring protocol: what asked `mlflow models serve` asks here unchanged."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from importlib.metadata import version as installed_version
from typing import Any

from ....ground.core.errors import RequestInvalid
from ....prepare.records import Datatype
from ....train.replies import LABEL
from ..answer import Response, no_endpoint
from ..asked import Answered, Asked
from ..given import kind_of, short
from ..runtime import Live
from . import told
from .looking import meant, route_of
from .plain import Expected, Options, expected_of, from_columns, from_rows, options_of
from .predict import object_of, plain_body
from .visit import TEXT, Visit, predicted

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_NOTHING = {"", "nan", "na", "null", "none"}
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)(e[+-]?[0-9]+)?")
_LONGEST = 20
"""Digits of the largest 64-bit number, with its sign; what is longer is read as a fraction would be."""
_WORDS = {"true": True, "false": False, "1": True, "0": False}


def invoke(visit: Visit) -> None:
    """Answer POST /invocations[/ENDPOINT]."""
    with visit.counting():
        endpoint = visit.endpoint if visit.words else _only_endpoint(visit.live)
        route = route_of(visit.live, endpoint)
        wanted, body = expected_of(route), plain_body(visit, route)
        kind = visit.request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        asked = from_csv(body, wanted) if kind == b"text/csv" else from_form(object_of(body, wanted), wanted)
    visit.ask(endpoint, None, asked, _told)


def ping(visit: Visit) -> Response:
    """Answer GET /ping and GET /health: 200 with nothing but a line, once there is something to answer with."""
    if not visit.live.serving.routes:
        raise no_endpoint("", visit.live.serving)
    return Response(200, b"\n", (TEXT,))


def release(_: Visit) -> Response:
    """Answer GET /version: of the server, as bare text."""
    return Response(200, installed_version("modelloop").encode(), (TEXT,))


def from_form(body: Mapping[str, Any], wanted: Expected) -> Asked:
    """Read one of the four JSON forms."""
    given = [form for form in FORMS if form in body]
    beside = sorted(body.keys() - {*FORMS, "params"})
    if len(given) != 1 or beside:
        found = f"has {', '.join(map(short, beside or given))}" if body else "is empty"
        raise RequestInvalid(
            f"The body {found}.", hint=f"Expected exactly one of {', '.join(FORMS)}; beside it at most `params`."
        )
    form, content, options = given[0], body[given[0]], _params(body.get("params"))
    if form == "dataframe_split":
        return from_columns(wanted, _split(content), options)
    if form == "dataframe_records":
        return from_rows(wanted, _list(form, content), options)
    if isinstance(content, dict):
        return from_columns(wanted, content, options)
    return from_rows(wanted, _list(form, content), options)


def from_csv(body: bytes, wanted: Expected) -> Asked:
    """Read comma-separated values with a first line of names; an empty field is null."""
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestInvalid(
            f"The body is not CSV in UTF-8: {error}.", hint="Expected a first line of names."
        ) from error
    lines = [line for line in lines if line]
    if len(lines) < 2:
        raise RequestInvalid(
            "The CSV has no rows.", hint=f"Expected a line of names ({wanted.described()}), then rows."
        )
    header, rows = lines[0], lines[1:]
    _distinct(header)
    if len(rows) > wanted.max_rows:
        raise RequestInvalid(f"{len(rows)} rows in one request.", hint=f"Send at most {wanted.max_rows}.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise RequestInvalid(
                f"Row {number} of the CSV has {len(row)} fields, the first line has {len(header)}.",
                hint="Put text that holds commas in double quotes.",
            )
    columns = {name: [_field(wanted, name, row[place]) for row in rows] for place, name in enumerate(header)}
    return from_columns(wanted, columns, Options())


def _only_endpoint(live: Live) -> str:
    names = sorted(live.serving.routes)
    if not names:
        raise no_endpoint("", live.serving)
    if len(names) > 1:
        raise RequestInvalid(
            f"There are {len(names)} endpoints here.",
            hint=f"Say which: POST /invocations/ENDPOINT, with one of {', '.join(names)}.",
        )
    return names[0]


def _params(found: Any) -> Options:
    if found is None:
        return Options()
    known = ("id", "event_time")
    if not isinstance(found, dict):
        raise RequestInvalid(f"`params` is {kind_of(found)}.", hint=f"Expected an object with {' or '.join(known)}.")
    unknown = sorted(found.keys() - set(known))
    if unknown:
        raise RequestInvalid(
            f"There is no parameter {short(unknown[0])}.",
            hint=" ".join(filter(None, (meant(unknown[0], known), f"Known are {', '.join(known)}."))),
        )
    return options_of(found)


def _list(form: str, content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise RequestInvalid(f"`{form}` is {kind_of(content)}.", hint="Expected a list of rows.")
    return content


def _split(content: Any) -> dict[str, list[Any]]:
    """Return `{"columns": [...], "data": [[...]], "index": ...}` as columns; the index is nobody's business."""
    names = content.get("columns") if isinstance(content, dict) else None
    rows = content.get("data") if isinstance(content, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not isinstance(rows, list):
        raise RequestInvalid(
            "`dataframe_split` is not an object with `columns` and `data`.",
            hint='Expected {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}.',
        )
    _distinct(names)
    for position, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            found = f"{len(row)} values" if isinstance(row, list) else kind_of(row)
            raise RequestInvalid(
                f"Row {position} of `data` is {found}.", hint=f"Expected a list of {len(names)} values."
            )
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _distinct(names: list[str]) -> None:
    twice = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    if twice:
        raise RequestInvalid(f"The column {short(twice[0])} is there twice.", hint="Send each input once.")


def _field(wanted: Expected, name: str, text: str) -> Any:
    """Return a field as its column has it; what cannot be read stays text, and is refused as such."""
    column = wanted.columns.get(name)
    if column is None or (text != "" and column.datatype is Datatype.BYTES):
        return text
    word = text.strip().lower()
    if word in _NOTHING:
        return None
    if column.datatype is Datatype.BOOL:
        return _WORDS.get(word, text)
    if _WHOLE.fullmatch(word) and len(word) <= _LONGEST:
        return int(word)
    return float(word) if _NUMBER.fullmatch(word) else text


def _told(found: Answered) -> Response:
    """Write an answer as MLflow does: numbers or class names, or one object a row where there are several outputs.

    A model of classes says the class, which the output `label` says too; what is not a class keeps its own name.
    """
    headline, others = told.predictions(found), told.others(found)
    classes = told.probabilities(found) is not None
    if classes:
        headline = others.pop(LABEL, headline)
    if not others:
        return predicted({"predictions": headline}, found)
    columns = {LABEL if classes else found.signature.output: headline, **others}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return predicted({"predictions": rows}, found)
