"""Find models and versions with MLflow's filters and orders; mistakes point at their place in the text."""

from __future__ import annotations

from collections.abc import Sequence

from ...ground.core.errors import InvalidInput
from ...ground.store.context import Context
from ...train.tracking.grammar import MODEL_VERSIONS, REGISTERED_MODELS, parse, parse_orders
from ...train.tracking.records import Page
from .. import tables
from ..records import ModelVersion, RegisteredModel
from . import finding
from .models import filled_models

MOST = 200_000


def search_models(
    ctx: Context,
    filter: str = "",  # noqa: A002 - MLflow's word
    *,
    order_by: Sequence[str] = (),
    limit: int = 100,
    token: str | None = None,
) -> Page[RegisteredModel]:
    """Return models that a filter fits, by name where nothing else is asked."""
    conditions = parse(filter, REGISTERED_MODELS)
    orders = parse_orders(order_by, REGISTERED_MODELS)
    start = _start(token)
    with ctx.db.reading() as connection:
        query = finding.models(connection, conditions, orders).limit(_limit(limit) + 1).offset(start)
        rows = list(tables.selected(connection, query))
        items = filled_models(connection, rows[:limit])
    return Page(items, str(start + limit) if len(rows) > limit else None)


def search_versions(
    ctx: Context,
    filter: str = "",  # noqa: A002 - MLflow's word
    *,
    order_by: Sequence[str] = (),
    limit: int = 10_000,
    token: str | None = None,
) -> Page[ModelVersion]:
    """Return versions that a filter fits, the last changed first where nothing else is asked."""
    conditions = parse(filter, MODEL_VERSIONS)
    orders = parse_orders(order_by, MODEL_VERSIONS)
    start = _start(token)
    with ctx.db.reading() as connection:
        query = finding.versions(connection, conditions, orders).limit(_limit(limit) + 1).offset(start)
        rows = tables.selected(connection, query)
        items = tables.filled(connection, rows[:limit])
    return Page(items, str(start + limit) if len(rows) > limit else None)


def _limit(limit: int) -> int:
    if not 0 < limit <= MOST:
        raise InvalidInput(f"{limit} results cannot be asked for.", hint=f"Ask for 1 to {MOST}.")
    return limit


def _start(token: str | None) -> int:
    if token is None or not token:
        return 0
    if not (token.isascii() and token.isdecimal() and len(token) < 10):
        raise InvalidInput(f"{token[:40]!r} is not a page token of this search.", hint="Give the last page's back.")
    return int(token)
