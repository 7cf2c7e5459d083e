"""What runs log: metrics, params, tags. The hot path: from a message to a batch, without a thread in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from ..ground.core.errors import InvalidInput
from ..ground.core.rights import Right
from ..train.tracking.actions import runs as actions
from ..train.tracking.records import MAX_HISTORY_PAGE, Batch, Metric, Param, Tag
from . import documents
from . import messages as m
from .bodies import needs
from .experiments import limit
from .replies import encode
from .routing import Call, Route
from .runs import run_id

T = TypeVar("T")
MOST_RUNS = 100
MOST_POINTS = 2500
"""Of one run, in one picture."""


def log_metric(asked: m.LogMetric) -> Batch:
    """One value of a metric."""
    if asked.value is None:
        raise InvalidInput("Missing value for required parameter 'value'.")
    if asked.timestamp is None:
        raise InvalidInput("Missing value for required parameter 'timestamp'.")
    value = Metric(
        needs(asked.key, "key"),
        asked.value,
        asked.step or 0,
        asked.timestamp,
        asked.model_id or None,
        asked.dataset_name or None,
        asked.dataset_digest or None,
    )
    return Batch(run_id(asked), metrics=(value,))


def log_param(asked: m.LogPair) -> Batch:
    """One parameter."""
    return Batch(run_id(asked), params=(Param(needs(asked.key, "key"), asked.value or ""),))


def set_tag(asked: m.LogPair) -> Batch:
    """One tag."""
    return Batch(run_id(asked), tags=(Tag(needs(asked.key, "key"), asked.value or ""),))


def log_batch(asked: m.LogBatch) -> Batch | None:
    """Many of each, all or nothing."""
    wanted = needs(asked.run_id, "run_id")
    metrics = [
        Metric(
            one.key,
            one.value,
            one.step or 0,
            one.timestamp,
            one.model_id or None,
            one.dataset_name or None,
            one.dataset_digest or None,
        )
        for one in asked.metrics or ()
    ]
    params = [Param(pair.key, pair.value or "") for pair in asked.params or ()]
    tags = [Tag(pair.key, pair.value or "") for pair in asked.tags or ()]
    return Batch(wanted, metrics=metrics, params=params, tags=tags)


def delete_tag(asked: m.LogPair) -> Batch:
    """Take a tag off."""
    return Batch(run_id(asked), dropped_tags=(needs(asked.key, "key"),))


def history(call: Call) -> bytes:
    """All values of a metric, in the order of their steps."""
    asked: m.History = call.message
    if asked.max_results is not None and asked.max_results <= 0:
        raise InvalidInput(
            f"Invalid value {asked.max_results} for parameter 'max_results'.", hint="Expected 1 or more."
        )
    found = actions.history(
        call.ctx,
        run_id(asked),
        needs(asked.metric_key, "metric_key"),
        limit=min(asked.max_results or MAX_HISTORY_PAGE, MAX_HISTORY_PAGE),
        token=asked.page_token or None,
    )
    return documents.page("metrics", [documents.metric(value) for value in found.items], found.next_token)


def history_of_many(call: Call) -> bytes:
    """Values of one metric of many runs, as many as fit into an answer."""
    asked: m.HistoryOfMany = call.message
    runs, key = _runs(asked), needs(asked.metric_key, "metric_key")
    most = min(asked.max_results or MAX_HISTORY_PAGE, MAX_HISTORY_PAGE)
    found = actions.history_of_many(call.ctx, runs, key, limit=most)
    return encode({"metrics": [documents.metric(value) for value in found]})


def thinned_history(call: Call) -> bytes:
    """Values of one metric of many runs; where there are too many to draw, evenly chosen ones, the ends among them."""
    asked: m.HistoryOfMany = call.message
    runs, key = _runs(asked), needs(asked.metric_key, "metric_key")
    first, last = asked.start_step, asked.end_step
    if (first is None) != (last is None):
        raise InvalidInput("One of start_step and end_step was given.", hint="Give both, or none.")
    if first is not None and last is not None and first > last:
        raise InvalidInput(f"start_step {first} is beyond end_step {last}.")
    most = limit(asked.max_results, MOST_POINTS, MOST_POINTS)
    told: list[dict[str, Any]] = []
    for run in runs:
        found = [one for one in _whole(call, run, key) if first is None or first <= one.step <= (last or 0)]
        found.sort(key=lambda one: (one.step, one.at_ms))
        told += [documents.metric(one) | {"run_id": run} for one in thin(found, most)]
    return encode({"metrics": told})


def thin(found: Sequence[T], most: int) -> list[T]:
    """Return at most `most` of many, evenly chosen, with the first and the last; of one, the last."""
    count = len(found)
    if count <= most:
        return list(found)
    if most == 1:
        return [found[-1]]
    return [found[round(place * (count - 1) / (most - 1))] for place in range(most)]


def _whole(call: Call, run: str, key: str) -> list[Metric]:
    found: list[Metric] = []
    token = None
    while True:
        page = actions.history(call.ctx, run, key, token=token)
        found += page.items
        token = page.next_token
        if token is None:
            return found


def _runs(asked: m.HistoryOfMany) -> list[str]:
    runs = [*(asked.run_ids or ()), *(asked.run_id or ())]
    if not 1 <= len(runs) <= MOST_RUNS:
        raise InvalidInput(f"{len(runs)} runs were named.", hint=f"Expected 1 to {MOST_RUNS}, as run_ids.")
    return runs


ROUTES = (
    Route("POST", "runs/log-metric", Right.RUN, m.LogMetric, change=log_metric),
    Route("POST", "runs/log-batch", Right.RUN, m.LogBatch, change=log_batch),
    Route("POST", "runs/log-parameter", Right.RUN, m.LogPair, change=log_param),
    Route("POST", "runs/set-tag", Right.RUN, m.LogPair, change=set_tag),
    Route("POST", "runs/delete-tag", Right.RUN, m.LogPair, change=delete_tag),
    Route("GET", "metrics/get-history", Right.READ, m.History, answer=history),
    Route("GET", "metrics/get-history-bulk", Right.READ, m.HistoryOfMany, answer=history_of_many),
    Route("GET", "metrics/get-history-bulk-interval", Right.READ, m.HistoryOfMany, answer=thinned_history),
)
