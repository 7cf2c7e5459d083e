"""How outcomes find their predictions, in whichever order the two come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from .. import tables
from ..tables import late


def by_key(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return predictions by their key, the latest first."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda one: (one["event_time"], one["at"], one["id"], one["row"]), reverse=True):
        found.setdefault(row["business_key"], []).append(row)
    return found


def choose(rows: Sequence[Mapping[str, Any]], until: datetime | None, number: int | None) -> Mapping[str, Any] | None:
    """Return which of a key's predictions (the latest first) an outcome means: the latest that is not after it."""
    return next(
        (
            row
            for row in rows
            if (until is None or row["event_time"] <= until) and (number is None or row["row"] == number)
        ),
        None,
    )


def write_outcomes(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write outcomes of known predictions and their labels; return how many were new."""
    sequence = tables.next_outcome(connection) if rows else 0
    told = tables.told(connection, sorted({row["prediction"] for row in rows}))
    last = {(name, number): label for name, number, label, _ in told}
    seen = set(told)
    new: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for row in rows:
        which = (row["prediction"], row["row"])
        whole = (*which, float(row["label"]), row["event_time"])
        if whole in seen or (row["until"] is None and last.get(which) == row["label"]):
            continue
        seen.add(whole)
        last[which] = row["label"]
        number = sequence + len(new)
        names = ("endpoint", "prediction", "row", "label", "event_time", "at", "actor")
        new.append({"seq": number} | {name: row[name] for name in names})
        labels.append({"of_id": which[0], "of_row": which[1], "new_label": row["label"], "new_seq": number})
    if new:
        tables.insert(connection, tables.outcome, new)
        tables.set_labels(connection, labels)
    return len(new)


def join_waiting(connection: Connection, predictions: Sequence[Mapping[str, Any]]) -> int:
    """Give predictions that were just taken in the outcomes that came before them; return how many."""
    if not predictions or not late.some_wait(connection):
        return 0
    of_endpoint: dict[str, list[Mapping[str, Any]]] = {}
    for row in predictions:
        of_endpoint.setdefault(row["endpoint"], []).append(row)
    return sum(_join(connection, name, rows) for name, rows in of_endpoint.items())


def _join(connection: Connection, endpoint: str, rows: Sequence[Mapping[str, Any]]) -> int:
    known = {(row["id"], row["row"]) for row in rows}
    keyed = by_key([row for row in rows if row["business_key"] is not None])
    fitting, done = [], []
    for one in late.waiting_for(connection, endpoint, sorted({name for name, _ in known}), sorted(keyed)):
        if one["prediction"] is not None:
            which = (one["prediction"], one["row"]) if (one["prediction"], one["row"]) in known else None
        else:
            number = None if one["row"] < 0 else one["row"]
            chosen = choose(keyed.get(one["key"], ()), one["until"], number)
            which = None if chosen is None else (chosen["id"], chosen["row"])
        if which is not None:
            fitting.append(dict(one) | {"prediction": which[0], "row": which[1]})
            done.append(one["seq"])
    write_outcomes(connection, fitting)
    late.drop_waiting(connection, done)
    return len(done)
