"""Look-ups: what is live, what was answered, how changes went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.engine import RowMapping

from ...ground.core.errors import NotFound, UnknownPrediction
from ...ground.store.context import Context
from .. import tables
from ..records import EndpointState, Failure, Live, LogLoss, Outcome, Prediction, Rollout, Route, Truth
from ..tables import late
from .outcomes import class_names, logged_key, place_of
from .publishing import routes, to_rollout

if TYPE_CHECKING:
    import polars as pl


def endpoint_states(ctx: Context) -> list[EndpointState]:
    """Return every endpoint at which something was ever rolled out."""
    with ctx.db.reading() as connection:
        rolling = {row["endpoint"]: row["id"] for row in tables.open_rollouts(connection)}
        places = tables.endpoints(connection)
    return [EndpointState(p["name"], p["model"], p["task"], p["champion"], rolling.get(p["name"])) for p in places]


def live(ctx: Context, endpoint: str, limit: int = 1) -> list[Live]:
    """Return what came to answer at the endpoint, newest first: the first of the list answers now."""
    with ctx.db.reading() as connection:
        rows = tables.lives(connection, endpoint, limit=limit)
    return [Live(**{name: row[name] for name in Live.__slots__}) for row in rows]


def route_of(ctx: Context, endpoint: str) -> Route | None:
    """Return what gateways are to do at the endpoint."""
    with ctx.db.reading() as connection:
        return next((route for route in routes(connection) if route.endpoint == endpoint), None)


def rollout(ctx: Context, rollout_id: str) -> Rollout:
    """Return one rollout; raises NotFound."""
    with ctx.db.reading() as connection:
        row = tables.find(connection, tables.rollout, id=rollout_id)
    if row is None:
        raise NotFound(f"There is no rollout {rollout_id[:60]!r}.", hint="`modelloop rollouts` lists them.")
    return to_rollout(row)


def rollouts(ctx: Context, endpoint: str | None = None, *, limit: int = 100) -> list[Rollout]:
    """Return rollouts, newest first."""
    with ctx.db.reading() as connection:
        return [to_rollout(row) for row in tables.rollouts(connection, endpoint, limit)]


def watermark(ctx: Context, endpoint: str) -> tuple[datetime | None, datetime | None]:
    """Return the latest event time of a prediction and of an outcome at the endpoint."""
    with ctx.db.reading() as connection:
        return tables.watermarks(connection, endpoint, ctx.now())


def first_event(ctx: Context, endpoint: str, since: datetime | None = None) -> datetime | None:
    """Return the event time of the first prediction at or after `since`."""
    with ctx.db.reading() as connection:
        return tables.first_event(connection, endpoint, since)


def counts(ctx: Context) -> tuple[int, int]:
    """Return how many prediction rows and outcomes were taken in."""
    with ctx.db.reading() as connection:
        return tables.counts(connection)


def predictions_between(ctx: Context, endpoint: str, start: datetime, end: datetime) -> list[Prediction]:
    """Return the answered rows with start <= event time < end, by event time."""
    with ctx.db.reading() as connection:
        return _predictions(tables.between(connection, endpoint, start, end))


def latest_predictions(ctx: Context, endpoint: str, limit: int = 100) -> list[Prediction]:
    """Return the newest answered rows by event time."""
    with ctx.db.reading() as connection:
        return _predictions(tables.latest(connection, endpoint, limit))


def prediction(ctx: Context, prediction_id: str) -> list[Prediction]:
    """Return the rows of one answered request; raises UnknownPrediction."""
    with ctx.db.reading() as connection:
        found = _predictions(tables.answers(connection, prediction_id))
    if not found:
        raise UnknownPrediction(
            f"No prediction has the id {prediction_id[:60]!r}.",
            hint="An answer carries its id in the header modelloop-prediction-id; logs are taken in each second.",
        )
    return found


def outcomes_of(ctx: Context, prediction_id: str) -> list[Outcome]:
    """Return all outcomes of one prediction, oldest first; the last one for a row counts."""
    with ctx.db.reading() as connection:
        rows = tables.outcomes_of(connection, prediction_id)
    return [Outcome(**{name: row[name] for name in Outcome.__slots__}) for row in rows]


def inputs_between(ctx: Context, endpoint: str, start: datetime, end: datetime) -> pl.DataFrame:
    """Return raw inputs of a window, with `_id`, `_row`, `_event_time`, `_version`, `_score` beside them."""
    from ..parts import join_parts  # noqa: PLC0415 - polars is heavy: only who reads inputs loads it

    with ctx.db.reading() as connection:
        digests = tables.parts_between(connection, endpoint, start, end)
    return join_parts([ctx.blobs.get(digest) for digest in digests], start, end)


def classes_of(ctx: Context, endpoint: str) -> tuple[str, ...]:
    """Return the names of the classes that are answered at the endpoint, in the order of their places; nothing where
    answers are no classes."""
    place = place_of(ctx, endpoint)
    return class_names(ctx, place) if place["task"] == "multiclass" else ()


def predictions_of_key(ctx: Context, endpoint: str, key: str, *, limit: int = 100) -> list[Prediction]:
    """Return the answered rows of a business key, newest first; of a masked one as well, by its true value."""
    place = place_of(ctx, endpoint)
    wanted = logged_key(ctx, place, key)
    with ctx.db.reading() as connection:
        return _predictions(late.of_key(connection, endpoint, wanted, limit))


def replay(ctx: Context, endpoint: str, start: datetime, end: datetime, *, rows: int = 1000) -> Iterator[Prediction]:
    """Yield the answered rows with start <= event time < end in their order, `rows` at a time from the database.

    Rows that are taken in meanwhile appear where they belong, if the replay has not passed there yet.
    """
    last: tuple[datetime, str, int] | None = None
    while True:
        with ctx.db.reading() as connection:
            found = _predictions(late.after(connection, endpoint, start, end, last=last, limit=rows))
        yield from found
        if len(found) < rows:
            return
        last = (found[-1].event_time, found[-1].id, found[-1].row)


def failures(ctx: Context, endpoint: str, *, since: datetime | None = None, limit: int = 100) -> list[Failure]:
    """Return requests that no version answered, because of the version, newest first."""
    with ctx.db.reading() as connection:
        rows = late.failures(connection, endpoint, since, limit)
    return [Failure(**{name: row[name] for name in Failure.__slots__}) for row in rows]


def waiting_outcomes(ctx: Context, endpoint: str, *, limit: int = 100) -> list[Truth]:
    """Return outcomes whose prediction nobody has seen yet, oldest first. A masked key is shown as its hash."""
    with ctx.db.reading() as connection:
        rows = late.list_waiting(connection, endpoint, limit)
    names = ("label", "prediction", "key", "event_time")
    return [Truth(**{n: row[n] for n in names}, row=None if row["row"] < 0 else row["row"]) for row in rows]


def log_losses(ctx: Context) -> list[LogLoss]:
    """Return what writers of the prediction log could not keep, by gateway."""
    with ctx.db.reading() as connection:
        rows = late.writers(connection)
    return [LogLoss(**{name: row[name] for name in LogLoss.__slots__}) for row in rows]


def _predictions(rows: Sequence[RowMapping]) -> list[Prediction]:
    found = ({name: row[name] for name in Prediction.__slots__} for row in rows)
    return [Prediction(**one | {"missing": None if one["missing"] is None else tuple(one["missing"])}) for one in found]
