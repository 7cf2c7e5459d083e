"""What turned out true: joined by prediction id or by business key; what comes too early waits for its prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from ...ground.core.clock import utc
from ...ground.core.errors import ModelloopError, NotFound, OutcomeInvalid, UnknownPrediction
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from ...register.manifest import open_package, read_file
from ...register.records import Signature
from .. import tables
from ..labels import numbers_of
from ..privacy import business_key, covered_key
from ..records import Accepted, Outcome, Truth
from ..serving import read as read_serving
from ..tables import late
from .intake import collect
from .joining import by_key, choose, write_outcomes
from .secret import make_log_key

MOST_WAITING = 1_000_000
"""Outcomes that may wait for a prediction; further ones are only told as unknown."""


@dataclass(slots=True)
class _Sorted:
    """Outcomes, by what is known of their predictions."""

    fitting: list[dict[str, Any]] = field(default_factory=list)
    early: list[dict[str, Any]] = field(default_factory=list)
    unknown: dict[str, None] = field(default_factory=dict)


def record_outcomes(ctx: Context, endpoint: str, outcomes: Sequence[Outcome | Truth]) -> Accepted:
    """Join outcomes to predictions as `join_outcomes` does; raises UnknownPrediction where it is about prediction ids
    alone and none of them was answered (they wait all the same)."""
    joined = join_outcomes(ctx, endpoint, outcomes)
    keyed = any(isinstance(one, Truth) and one.key is not None for one in outcomes)
    if joined.unknown and not joined.accepted and not keyed:
        raise UnknownPrediction(
            f"None of {len(joined.unknown)} prediction ids was answered at {endpoint!r}, as "
            f"{joined.unknown[0][:60]!r}.",
            hint="Send the prediction_id that came with the answer, and the row where a request had several. "
            "What a gateway has not logged yet joins when it has.",
            detail={"unknown": list(joined.unknown), "waiting": joined.waiting},
        )
    return joined


def join_outcomes(ctx: Context, endpoint: str, outcomes: Sequence[Outcome | Truth]) -> Accepted:
    """Join outcomes to predictions, by id and row or by business key. All are kept; the last for a row is its label.

    The same outcome sent twice counts once. One whose prediction is not known yet waits, and joins at the collect that
    brings it; such ids are returned. A label that cannot be one refuses the whole call, OutcomeInvalid.
    """
    collect(ctx)
    truths = [one if isinstance(one, Truth) else _truth(one) for one in outcomes]
    place = place_of(ctx, endpoint)
    numbers = numbers_of(truths, place["task"], _classes(ctx, place, truths))
    rows = [_row(ctx, place, truth, label) for truth, label in zip(truths, numbers, strict=True)]
    with ctx.db.transaction() as connection:
        late.lock_outcomes(connection)
        found = _sort(connection, endpoint, rows)
        new = write_outcomes(connection, found.fitting)
        waiting = _let_wait(connection, endpoint, found.early)
        if new or waiting:
            counted = {"new": new, "sent": len(truths), "unknown": len(found.unknown), "waiting": waiting}
            audit.append(connection, ctx, Event("outcomes.recorded", f"endpoint:{endpoint}", counted))
    return Accepted(len(found.fitting), tuple(found.unknown), len(found.early))


def _truth(outcome: Outcome) -> Truth:
    return Truth(outcome.label, prediction=outcome.prediction, event_time=outcome.event_time, row=outcome.row)


def place_of(ctx: Context, endpoint: str) -> Mapping[str, Any]:
    """Return what is known of an endpoint; raises NotFound."""
    with ctx.db.reading() as connection:
        place = tables.find(connection, tables.endpoint, name=endpoint)
        if place is None:
            known = ", ".join(row["name"] for row in tables.endpoints(connection)) or "none yet"
            raise NotFound(f"Nothing ever answered at the endpoint {endpoint[:80]!r}.", hint=f"There are: {known}.")
    return dict(place)


def _classes(ctx: Context, place: Mapping[str, Any], truths: Sequence[Truth]) -> tuple[str, ...]:
    """Return the names of the classes of what answers at the endpoint, where they matter."""
    named = any(isinstance(truth.label, str) for truth in truths)
    return class_names(ctx, place) if named or place["task"] == "multiclass" else ()


def class_names(ctx: Context, place: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes of what answers at the endpoint, in their order; nothing where it has none."""
    if place["digest"] is None:
        return ()
    try:
        data = read_file(ctx.blobs, open_package(ctx.blobs, place["digest"]), "signature.json")
        return msgspec.json.decode(data, type=Signature).labels
    except (ModelloopError, msgspec.MsgspecError, KeyError):  # a damaged package is told where it is loaded
        return ()


def _row(ctx: Context, place: Mapping[str, Any], truth: Truth, label: float) -> dict[str, Any]:
    at = ctx.now()
    event = at if truth.event_time is None else utc(truth.event_time)
    return {
        "endpoint": place["name"],
        "prediction": truth.prediction,
        "key": None if truth.key is None else logged_key(ctx, place, truth.key),
        "row": truth.row,
        "label": label,
        "event_time": event,
        "until": None if truth.event_time is None else event,
        "at": at,
        "actor": ctx.actor.name,
    }


def logged_key(ctx: Context, place: Mapping[str, Any], key: str) -> str:
    """Return a business key as gateways write it: hashed where its column is masked."""
    serving = read_serving(place["serving"] or {})
    column, policy = serving.outcome_key, serving.log
    if column is None or (column not in policy.mask and column not in policy.drop):
        return business_key(key)
    found = covered_key(column, key, policy, make_log_key(ctx.home))
    if found is None:
        raise OutcomeInvalid(
            f"Nothing joins by {column!r} at {place['name']!r}: the column is dropped from the log.",
            hint="Send prediction ids, or mask the column in place of dropping it.",
        )
    return found


def _sort(connection: Connection, endpoint: str, rows: Sequence[dict[str, Any]]) -> _Sorted:
    ids = sorted({row["prediction"] for row in rows if row["prediction"] is not None})
    answered = tables.known(connection, endpoint, ids)
    names = {name for name, _ in answered}
    keyed = by_key(late.by_keys(connection, endpoint, sorted({row["key"] for row in rows if row["key"] is not None})))
    found = _Sorted()
    for row in rows:
        if row["prediction"] is None:
            chosen = choose(keyed.get(row["key"], ()), row["until"], row["row"])
            if chosen is None:
                found.early.append(row)
            else:
                found.fitting.append(row | {"prediction": chosen["id"], "row": chosen["row"]})
            continue
        whole = row | {"row": row["row"] or 0}
        if (row["prediction"], whole["row"]) in answered:
            found.fitting.append(whole)
            continue
        found.unknown[row["prediction"]] = None
        if row["prediction"] not in names and len(row["prediction"]) <= 64:  # a request's rows all come together
            found.early.append(whole)
    return found


def _let_wait(connection: Connection, endpoint: str, rows: Sequence[dict[str, Any]]) -> int:
    """Keep what comes before its prediction; return how many were new."""
    if not rows or late.count_waiting(connection) + len(rows) > MOST_WAITING:
        return 0
    ids = sorted({row["prediction"] for row in rows if row["prediction"] is not None})
    keys = sorted({row["key"] for row in rows if row["key"] is not None})
    names = ("prediction", "key", "row", "label", "until")
    seen = {tuple(row[name] for name in names) for row in late.waiting_for(connection, endpoint, ids, keys)}
    new = []
    for row in rows:
        kept = row | {"row": -1 if row["row"] is None else row["row"]}
        which = tuple(kept[name] for name in names)
        if which not in seen:
            seen.add(which)
            new.append(kept)
    tables.insert(connection, late.waiting, new)
    return len(new)
