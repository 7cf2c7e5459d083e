"""Finding runs and experiments, in SQL alone. Logged models are found in `models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....ground.core.errors import InvalidInput
from ....ground.store.context import Context
from .. import grammar, paging
from ..grammar import Condition, Order
from ..records import INT64, MAX_SEARCH_PAGE, Experiment, FoundRun, Page, View
from ..tables import asking
from ..tables.asking import Question
from .experiments import assembled

_LATEST = (Order("attribute", "creation_time", ascending=False), Order("attribute", "experiment_id"))


def find_runs(
    ctx: Context,
    experiments: Sequence[int],
    filter: str = "",  # noqa: A002 - the word of the trade
    *,
    view: View = View.ACTIVE,
    limit: int = 1000,
    order_by: Sequence[str] = (),
    token: str | None = None,
) -> Page[FoundRun]:
    """Return which runs of these experiments match, with their revisions; `get_runs` reads what they logged.

    Without an order the last begun comes first; so are ties broken. NaN comes after all values, and after it what has
    none. Raises InvalidInput that points at the place of a mistake.
    """
    conditions = grammar.parse(filter, grammar.RUNS)
    orders = grammar.parse_orders(order_by, grammar.RUNS)
    most = paging.limit(limit, MAX_SEARCH_PAGE)
    known = [number for number in experiments if 0 <= number < INT64]
    if not known:
        return Page(())
    with ctx.db.reading() as connection:
        question = Question(asking.RUN, connection)
        question.among("b.experiment_id", known)
        _seen(question, view)
        found, following = answered(question, conditions, orders, most, token)
    return Page([FoundRun(row[0], row[1]) for row in found], following)


def search_experiments(
    ctx: Context,
    filter: str = "",  # noqa: A002 - the word of the trade
    *,
    order_by: Sequence[str] = (),
    view: View = View.ACTIVE,
    limit: int = 1000,
    token: str | None = None,
) -> Page[Experiment]:
    """Return the experiments that match, with their tags; without an order the last made comes first."""
    conditions = [_numbered(one) for one in grammar.parse(filter, grammar.EXPERIMENTS)]
    orders = grammar.parse_orders(order_by, grammar.EXPERIMENTS) or _LATEST
    most = paging.limit(limit, MAX_SEARCH_PAGE)
    for order in orders:
        if order.entity != "attribute":
            raise InvalidInput(f"Invalid order_by entity: {order.entity}.", hint="Sort experiments by an attribute.")
    with ctx.db.reading() as connection:
        question = Question(asking.EXPERIMENT, connection)
        _seen(question, view)
        found, following = answered(question, conditions, orders, most, token)
        return Page(assembled(connection, [row[:5] for row in found]), following)


def answered(
    question: Question, conditions: Sequence[Condition], orders: Sequence[Order], most: int, token: str | None
) -> tuple[list[tuple[Any, ...]], str | None]:
    """Return the rows of one page, and the token of the next."""
    for condition in conditions:
        question.condition(condition)
    for order in orders:
        question.order(order)
    keys = question.ended()
    place = paging.read(token, tuple(key.kind for key in keys))
    if place is not None:
        question.after(place)
    rows = question.rows(most + 1)
    if len(rows) <= most:
        return rows, None
    return rows[:most], paging.write(rows[most - 1][-len(keys) :])


def _seen(question: Question, view: View) -> None:
    if view is not View.ALL:
        question.where("b.lifecycle = ?", view.value)


def _numbered(condition: Condition) -> Condition:
    """Return a condition on experiment_id with numbers instead of texts."""
    if condition.key != "experiment_id" or condition.entity != "attribute":
        return condition
    if isinstance(condition.value, tuple):
        numbers: Any = tuple(_number(one) for one in condition.value)
    else:
        numbers = _number(str(condition.value))
    return Condition(condition.entity, condition.key, condition.operator, numbers)


def _number(text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise InvalidInput(f"{text[:60]!r} is no experiment id.", hint="Experiment ids are numbers.") from error
    if not 0 <= number < INT64:
        raise InvalidInput(f"{text[:60]!r} is no experiment id.", hint="Experiment ids are small numbers from 0.")
    return number
