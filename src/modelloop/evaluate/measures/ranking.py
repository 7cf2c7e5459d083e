"""Metrics of rankings: rows answer a query, and the score puts them in order. One query is one piece of evidence.

A row is relevant where its label is above 0; for NDCG the label is the gain. Rows of a query that share a score have no
order: NDCG, precision and recall count the mean over all orders, the others let all of them stand last.
Queries without anything relevant are left out: no order of theirs is better than another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...ground.core.errors import EvidenceMissing, InvalidInput
from ...ground.core.later import numpy as np
from ...ground.stats.influence import Codes
from ...ground.stats.interval import Floats
from ..measure import Measure, Rows
from ..records import Direction, Metric
from .binary import first_mean


@dataclass(frozen=True, slots=True)
class Order:
    """All rows, sorted by query and falling score."""

    query: Codes
    gain: Floats
    place: Floats
    """From 1, within the query, as they came to stand."""
    tie: Codes
    """One code for the rows of one query with one score."""
    last: Floats
    """The last of the places that the tie shares."""
    queries: int

    @property
    def relevant(self) -> Floats:
        """Return 1 for each relevant row, else 0."""
        return (self.gain > 0).astype(np.float64)

    def per_query(self, values: Floats) -> Floats:
        """Return the sum of each query."""
        return np.bincount(self.query, weights=values, minlength=self.queries).astype(np.float64)

    def shared(self, values: Floats) -> Floats:
        """Return each row's value averaged over its tie."""
        found: Floats = (np.bincount(self.tie, weights=values) / np.bincount(self.tie))[self.tie]
        return found


def order_of(rows: Rows) -> Order:
    """Return the rows in order."""
    assert rows.query is not None
    sorted_by = np.lexsort((-rows.score, rows.query))
    query, score = rows.query[sorted_by], rows.score[sorted_by]
    return _order(query, score, rows.y[sorted_by], int(query.max()) + 1)


def _order(query: Codes, score: Floats, gain: Floats, queries: int) -> Order:
    count = np.bincount(query, minlength=queries)
    starts = np.concatenate(([0], np.cumsum(count)[:-1]))
    place: Floats = (np.arange(len(query)) - starts[query] + 1).astype(np.float64)
    fresh = np.concatenate(([True], (query[1:] != query[:-1]) | (score[1:] != score[:-1])))
    tie = np.cumsum(fresh) - 1
    ends = np.append(np.flatnonzero(fresh)[1:], len(query)) - 1
    return Order(query, gain, place, tie, place[ends][tie], queries)


def _asked(rows: Rows) -> None:
    if rows.query is None:
        raise InvalidInput("Rankings need the query of each row.", hint='Name its column: terms = { query = "..." }.')
    if rows.weights is not None:
        raise InvalidInput("Rankings take no weights of rows: a query is one piece of evidence.")
    if (rows.y < 0).any():
        raise InvalidInput("Rankings need labels of 0 or more: how relevant a row is.")
    if not rows.y.any():
        raise EvidenceMissing(f"None of {len(rows)} rows is relevant to its query.")


def _by_query(value: Callable[[Order, int], Floats]) -> Callable[[Rows], Floats]:
    def columns(rows: Rows) -> Floats:
        order = order_of(rows)
        told = order.per_query(order.gain) > 0
        return value(order, rows.terms.top)[told][:, None]

    return columns


def told_queries(rows: Rows) -> Codes:
    """Return the queries that have anything relevant: the units of the values, in order."""
    assert rows.query is not None
    return np.flatnonzero(np.bincount(rows.query, weights=rows.y) > 0)


def _over(amount: Floats, total: Floats) -> Floats:
    return np.divide(amount, total, out=np.zeros_like(amount), where=total > 0)


def ndcg(order: Order, top: int) -> Floats:
    """Return NDCG of each query."""
    discount: Floats = np.where(order.place <= top, 1 / np.log2(order.place + 1), 0.0)
    got = order.per_query(order.gain * order.shared(discount))
    best = np.lexsort((-order.gain, order.query))
    ideal: Floats = np.bincount(order.query[best], weights=order.gain[best] * discount, minlength=order.queries).astype(
        np.float64
    )
    return _over(got, ideal)


def average_precision(order: Order, top: int) -> Floats:
    """Return the precision at each relevant row among the first, averaged over as many as could stand there."""
    relevant = order.relevant
    running = np.cumsum(relevant)
    before = np.cumsum(order.per_query(relevant)) - order.per_query(relevant)
    ends = np.append(np.flatnonzero(np.diff(order.tie)), len(order.tie) - 1)
    hits = running[ends][order.tie] - before[order.query]
    counted = relevant * (order.last <= top)
    possible: Floats = np.minimum(order.per_query(relevant), float(top))
    return _over(order.per_query(counted * hits / order.last), possible)


def _first(order: Order) -> Floats:
    """Return the place of the first relevant row of each query; without one infinity."""
    found = np.full(order.queries, np.inf)
    relevant = order.gain > 0
    np.minimum.at(found, order.query[relevant], order.last[relevant])
    return found


def reciprocal(order: Order, top: int) -> Floats:
    """Return one over the place of the first relevant row, 0 where it is beyond the top."""
    first = _first(order)
    found: Floats = np.where(first <= top, 1 / first, 0.0)
    return found


def hit(order: Order, top: int) -> Floats:
    """Return 1 where a relevant row is among the first."""
    return (_first(order) <= top).astype(np.float64)


def _found(order: Order, top: int) -> Floats:
    """Return how many relevant rows are among the first, the mean over the orders of ties."""
    return order.per_query((order.gain > 0) * order.shared((order.place <= top).astype(np.float64)))


def precision_at(order: Order, top: int) -> Floats:
    """Return the share of the first places that is relevant; missing rows count as not."""
    return _found(order, top) / top


def recall_at(order: Order, top: int) -> Floats:
    """Return the share of what is relevant that stands among the first."""
    return _over(_found(order, top), order.per_query(order.relevant))


def _measure(name: str, meaning: str, value: Callable[[Order, int], Floats], *, share: bool = False) -> Measure:
    metric = Metric(name, meaning, Direction.HIGHER)
    return Measure(metric, columns=_by_query(value), of=first_mean, check=_asked, most=1.0, share=share, grouped=False)


MEASURES = (
    _measure("ndcg", "How near the order is to the best one, where the first places count most; 1 is the best.", ndcg),
    _measure(
        "map",
        "The share of relevant rows down to each relevant one, averaged; 1 has them all first.",
        average_precision,
    ),
    _measure(
        "mrr", "One over the place of the first relevant row, on average; 1 is always first, 0.5 second.", reciprocal
    ),
    _measure("precision_at", "Of the first places, the share that holds something relevant.", precision_at),
    _measure("recall_at", "Of all that is relevant, the share that stands in the first places.", recall_at),
    _measure("hit_rate", "The share of queries with something relevant in the first places.", hit, share=True),
)
