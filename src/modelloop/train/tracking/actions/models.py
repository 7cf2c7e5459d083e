"""Verbs of logged models: begun, filled with files, finished; then tagged, measured, searched."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from ....ground.core.errors import Conflict, InvalidInput, NotFound
from ....ground.core.records import Event
from ....ground.store import audit
from ....ground.store.context import Context
from .. import checks, grammar, paging
from ..grammar import Order
from ..records import (
    INT64,
    MAX_DATASET_NAME,
    MAX_PARAM_VALUE,
    MAX_SEARCH_PAGE,
    MAX_TAG_VALUE,
    Lifecycle,
    LoggedModel,
    Metric,
    ModelState,
    Page,
)
from ..tables import asking
from ..tables import models as tables
from ..tables.asking import Question
from .experiments import active_experiment, now_ms
from .searching import answered

_NOT_IN_NAMES = frozenset("/:.%\"'")


def create_model(  # noqa: PLR0913 - a model is all of these; each is named by the caller
    ctx: Context,
    experiment: int,
    *,
    name: str = "",
    kind: str = "",
    source_run: str | None = None,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    model_id: str | None = None,
    made_ms: int | None = None,
) -> LoggedModel:
    """Begin a logged model, pending until `finalize_model`; raises Conflict where `model_id` is given and taken."""
    now = now_ms(ctx) if made_ms is None else checks.whole(made_ms, "The time of a model", least=0)
    made = LoggedModel(
        id=f"m-{secrets.token_hex(16)}" if model_id is None else checks.run_id(model_id),
        experiment=experiment,
        name=_name(name) or f"model-{secrets.token_hex(4)}",
        status=ModelState.PENDING,
        kind=checks.line(kind, "type of a model", 500),
        source_run=None if source_run is None else checks.run_id(source_run),
        made_ms=now,
        changed_ms=now,
        lifecycle=Lifecycle.ACTIVE,
        tags=_tags(tags or {}),
        params=_params(params or {}),
    )
    values: dict[str, Any] = {
        key: getattr(made, key) for key in ("id", "name", "kind", "source_run", "made_ms", "changed_ms")
    }
    values |= {"experiment_id": experiment, "status": made.status.value, "lifecycle": "active", "status_message": ""}
    with ctx.db.transaction() as connection:
        active_experiment(connection, experiment)
        if not tables.add(connection, values):
            raise Conflict(f"There is a logged model {made.id} already.")
        tables.set_params(connection, made.id, made.params)
        tables.set_tags(connection, made.id, made.tags)
    return made


def finalize_model(ctx: Context, model_id: str, status: ModelState, message: str = "") -> LoggedModel:
    """Say that a model's files are all there, or that they failed to come."""
    with ctx.db.transaction() as connection:
        standing_model(connection, model_id)
        values = {"status": status.value, "status_message": message[:10_000], "changed_ms": now_ms(ctx)}
        tables.change(connection, model_id, values)
        return _assembled(connection, [model_id])[0]


def get_model(ctx: Context, model_id: str, *, deleted: bool = False) -> LoggedModel:
    """Return a logged model; raises NotFound, for one that was deleted too unless those are asked for."""
    with ctx.db.reading() as connection:
        found = tables.by_ids(connection, [checks.run_id(model_id)])
        if not found or (found[0][8] != Lifecycle.ACTIVE and not deleted):
            raise missing_model(model_id)
        return _assembled(connection, [model_id])[0]


def delete_model(ctx: Context, model_id: str) -> None:
    """Put a logged model away: it is found no more."""
    with ctx.db.transaction() as connection:
        standing_model(connection, model_id)
        tables.change(connection, model_id, {"lifecycle": Lifecycle.DELETED.value, "changed_ms": now_ms(ctx)})
        audit.append(connection, ctx, Event("tracking.delete_model", f"model:{model_id}"))


def set_model_tags(ctx: Context, model_id: str, tags: Mapping[str, str]) -> None:
    """Set tags; the last value of a name holds."""
    checked = _tags(tags)
    with ctx.db.transaction() as connection:
        standing_model(connection, model_id)
        tables.set_tags(connection, model_id, checked)
        tables.change(connection, model_id, {"changed_ms": now_ms(ctx)})


def delete_model_tag(ctx: Context, model_id: str, name: str) -> None:
    """Remove a tag; raises NotFound where the model has none of that name."""
    with ctx.db.transaction() as connection:
        standing_model(connection, model_id)
        if "\x00" in name or not tables.drop_tag(connection, model_id, name):
            raise NotFound(f"The logged model {model_id} has no tag {checks.shown(name)}.")
        tables.change(connection, model_id, {"changed_ms": now_ms(ctx)})


def log_model_params(ctx: Context, model_id: str, params: Mapping[str, str]) -> None:
    """Add params; raises InvalidInput where one has another value already."""
    checked = _params(params)
    with ctx.db.transaction() as connection:
        standing_model(connection, model_id)
        there = {name: value for _, name, value in tables.params(connection, [model_id])}
        for name, value in checked.items():
            if there.get(name, value) != value:
                raise InvalidInput(
                    f"Param {name!r} of model {model_id} is {checks.shown(there[name])} for good, not"
                    f" {checks.shown(value)}.",
                    hint="Params never change; note what changes as a tag.",
                )
        tables.set_params(connection, model_id, checked)
        tables.change(connection, model_id, {"changed_ms": now_ms(ctx)})


def search_models(
    ctx: Context,
    experiments: Sequence[int],
    filter: str = "",  # noqa: A002 - the word of the trade
    *,
    datasets: Sequence[tuple[str, str | None]] = (),
    order_by: Sequence[tuple[str, bool, str | None, str | None]] = (),
    limit: int = 50,
    token: str | None = None,
) -> Page[LoggedModel]:
    """Return logged models that match; without an order the last made comes first.

    `datasets` are names and digests (None: any): metrics count only where they were measured on one of these.
    `order_by` entries are a field, whether it ascends, and for a metric the dataset's name and digest.
    """
    conditions = grammar.parse(filter, grammar.LOGGED_MODELS)
    orders = [(_order(one[0], ascending=one[1]), one[2], one[3]) for one in order_by]
    most = paging.limit(limit, MAX_SEARCH_PAGE)
    known = [number for number in experiments if 0 <= number < INT64]
    if not known:
        return Page(())
    with ctx.db.reading() as connection:
        question = Question(asking.MODEL, connection)
        question.among("b.experiment_id", known)
        question.where("b.lifecycle = 'active'")
        if datasets:
            question.on_datasets(_datasets(datasets), everywhere=all(one.entity != "metric" for one in conditions))
        for order, name, digest in orders:
            question.order_of_model(order, name or None, digest or None)
        found, following = answered(question, conditions, (), most, token)
        return Page(_assembled(connection, [row[0] for row in found]), following)


def models_of_run(ctx: Context, run_id: str) -> list[str]:
    """Return the ids of the logged models that a run made, oldest first."""
    with ctx.db.reading() as connection:
        return tables.of_run(connection, checks.run_id(run_id))


def standing_model(connection: Connection, model_id: str, *, lock: bool = True) -> None:
    """Lock a logged model for this transaction; raises NotFound where there is none, or it was deleted."""
    if tables.lifecycle(connection, checks.run_id(model_id), lock=lock) != Lifecycle.ACTIVE:
        raise missing_model(model_id)


def missing_model(model_id: str) -> NotFound:
    """Return the error that says that there is no such model."""
    return NotFound(f"Logged model with ID {model_id!r} not found.", hint="Was it deleted?")


def _order(text: str, *, ascending: bool) -> Order:
    entity, dot, key = text.partition(".")
    if dot and entity in ("metrics", "metric") and key:
        return Order("metric", key.strip("`"), ascending)
    order = grammar.parse_order(text, grammar.LOGGED_MODELS)
    if order.entity != "attribute":
        raise InvalidInput(f"Invalid order by field name: {checks.shown(text)}.", hint="Metrics and attributes only.")
    return Order("attribute", order.key, ascending)


def _datasets(datasets: Sequence[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    for name, digest in datasets:
        if not name or "\x00" in name + (digest or "") or len(name) > MAX_DATASET_NAME:
            raise InvalidInput("`dataset_name` in the `datasets` clause must be specified.", hint="Name each dataset.")
    return [(name, digest or None) for name, digest in datasets]


def _assembled(connection: Connection, ids: Sequence[str]) -> list[LoggedModel]:
    if not ids:
        return []
    rows = {row[0]: row for row in tables.by_ids(connection, ids)}
    params: dict[str, dict[str, str]] = {key: {} for key in rows}
    tags: dict[str, dict[str, str]] = {key: {} for key in rows}
    metrics: dict[str, list[Metric]] = {key: [] for key in rows}
    for model, name, value in tables.params(connection, ids):
        params[model][name] = value
    for model, name, value in tables.tags(connection, ids):
        tags[model][name] = value
    for model, name, number, nan, step, at_ms, dataset, digest, run in tables.metrics(connection, ids):
        value = math.nan if nan else number
        metrics[model].append(Metric(name, value, step, at_ms, model, dataset or None, digest or None, run))
    return [
        LoggedModel(
            *(key, row[1], row[2], ModelState(row[3]), row[4], row[5], row[6], row[7], Lifecycle(row[8]), row[9]),
            tags=tags[key],
            params=params[key],
            metrics=metrics[key],
        )
        for key in ids
        for row in (rows[key],)
    ]


def _name(name: str) -> str:
    if _NOT_IN_NAMES.intersection(name):
        raise InvalidInput(f"Invalid model name {checks.shown(name)}.", hint="It must not contain any of / : . % \" '.")
    return checks.line(name, "name of a model", MAX_DATASET_NAME)


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {
        checks.key(name, "tag"): checks.value(value, f"Tag {name!r}", MAX_TAG_VALUE) for name, value in tags.items()
    }


def _params(params: Mapping[str, str]) -> dict[str, str]:
    return {
        checks.key(name, "param"): checks.value(value, f"Param {name!r}", MAX_PARAM_VALUE)
        for name, value in params.items()
    }
