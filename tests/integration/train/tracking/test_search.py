"""Searches in SQL give what plain Python gives, on every engine, page by page."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.store.context import Context
from modelloop.train.tracking import actions
from modelloop.train.tracking.grammar import RUNS, Condition, Order, parse, parse_order
from modelloop.train.tracking.records import (
    Batch,
    DatasetInput,
    FoundRun,
    Metric,
    ModelState,
    Page,
    Param,
    Tag,
    TrackedRun,
    TrackedState,
    View,
)

VALUES = (0.0, -1.5, 2.5, 1e300, math.nan, math.inf, -math.inf)
WORDS = ("a", "B", "b", "a_b", "50%", "é", "É", "x*y", "[z]", "", "Zebra", "日本")
FILTERS = (
    "metrics.loss > 0",
    "metrics.loss != 2.5",
    "metrics.loss = 2.5",
    "metrics.loss <= 0",
    "metrics.loss >= 1e300 AND metrics.`other one` < 1",
    "metrics.absent > 0",
    "params.p = 'a'",
    "params.p != 'a'",
    "params.p LIKE 'a%'",
    "params.p LIKE '%_%'",
    "params.p LIKE 'x*y'",
    "params.p LIKE '[z]'",
    "params.p LIKE '_'",
    "params.p ILIKE 'b'",
    "params.p ILIKE '%É'",
    "params.p IS NULL",
    "tags.t IS NOT NULL AND params.p IS NOT NULL",
    "tags.`t` = ''",
    "tags.t ILIKE 'Z%'",
    "status = 'FINISHED'",
    "status IN ('FAILED', 'RUNNING') AND metrics.loss > -100",
    "run_id NOT IN ('r1', 'r2', 'r3')",
    "run_id LIKE 'r1%'",
    "start_time >= 3 AND end_time < 100",
    "end_time != 5",
    "run_name LIKE '%1%'",
    "user_id = 'ann'",
    "artifact_uri LIKE 'mlflow-artifacts:/%/r7/artifacts'",
    "datasets.name = 'd1'",
    "dataset.digest LIKE '%2'",
    "dataset.context IN ('train', 'test')",
    "dataset.context != 'train'",
)
ORDERS = (
    (),
    ("metrics.loss",),
    ("metrics.loss DESC",),
    ("metrics.`other one` DESC", "params.p"),
    ("params.p DESC", "metrics.loss ASC"),
    ("tags.t",),
    ("end_time DESC",),
    ("start_time ASC",),
    ("status", "run_name DESC", "user_id"),
    ("run_id DESC",),
    ("artifact_uri",),
)


def filled(ctx: Context, seed: int = 5, count: int = 60) -> dict[str, TrackedRun]:
    """Some runs with little of everything, ties included."""
    rnd = random.Random(seed)
    experiment = actions.create_experiment(ctx, "searched")
    batches = []
    for number in range(count):
        run = actions.create_run(
            ctx,
            experiment,
            name=f"name {number % 7}",
            user=rnd.choice(["ann", "Bob", ""]),
            start_ms=rnd.randrange(6),
            run_id=f"r{number}",
        )
        metrics = [
            Metric(name, rnd.choice(VALUES), rnd.randrange(3), rnd.randrange(3))
            for name in ("loss", "other one")
            if rnd.random() < 0.8
        ]
        params = [Param("p", rnd.choice(WORDS))] if rnd.random() < 0.8 else []
        tags = [Tag("t", rnd.choice(WORDS))] if rnd.random() < 0.7 else []
        status = rnd.choice([TrackedState.FINISHED, TrackedState.FAILED, None])
        batches.append(Batch(run.id, metrics, params, tags, status=status, end_ms=rnd.randrange(8) if status else None))
        if rnd.random() < 0.6:
            name = rnd.choice(["d1", "d2"])
            tags_of = {"mlflow.data.context": rnd.choice(["train", "test"])} if rnd.random() < 0.7 else {}
            actions.log_inputs(ctx, run.id, [DatasetInput(name, f"digest-{name}", "local", "{}", tags=tags_of)])
    assert actions.apply(ctx, batches) == [None] * count
    return {run.id: run for run in actions.get_runs(ctx, [f"r{number}" for number in range(count)])}


def expected(runs: Iterable[TrackedRun], text: str, orders: Sequence[str]) -> list[str]:
    """What a search must give, in plain Python."""
    found = [run for run in runs if all(matches(run, one) for one in parse(text, RUNS))]
    found.sort(key=lambda run: run.id)
    found.sort(key=lambda run: run.start_ms or 0, reverse=True)
    for order in reversed([parse_order(one, RUNS) for one in orders]):
        known = [run for run in found if rank(value_of(run, order)) == 0]
        known.sort(key=lambda run, order=order: value_of(run, order), reverse=not order.ascending)  # type: ignore[misc]
        found = known + [run for at in (1, 2) for run in found if rank(value_of(run, order)) == at]
    return [run.id for run in found]


def rank(value: Any) -> int:
    if value is None:
        return 2
    return 1 if isinstance(value, float) and math.isnan(value) else 0


def value_of(run: TrackedRun, of: Order | Condition) -> Any:
    if of.entity == "metric":
        return run.metrics[of.key].value if of.key in run.metrics else None
    if of.entity == "param":
        return run.params.get(of.key)
    if of.entity == "tag":
        return run.tags.get(of.key)
    return {
        "run_id": run.id,
        "run_name": run.name,
        "user_id": run.user,
        "status": run.status.value,
        "start_time": run.start_ms,
        "end_time": run.end_ms,
        "artifact_uri": f"mlflow-artifacts:/{run.experiment}/{run.id}/artifacts",
    }[of.key]


COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "IN": lambda a, b: a in b,
    "NOT IN": lambda a, b: a not in b,
    "LIKE": lambda a, b: like(a, b, 0),
    "ILIKE": lambda a, b: like(a, b, re.IGNORECASE | re.ASCII),
}


def like(text: str, pattern: str, flags: int) -> bool:
    expression = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
    letters = lower(expression), lower(text)
    return re.fullmatch(letters[0] if flags else expression, letters[1] if flags else text, re.DOTALL) is not None


def lower(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def matches(run: TrackedRun, one: Condition) -> bool:
    if one.entity == "dataset":
        said = [
            {"name": d.name, "digest": d.digest, "context": d.tags.get("mlflow.data.context")}[one.key]
            for d in run.inputs
        ]
        return any(text is not None and COMPARED[one.operator](text, one.value) for text in said)
    value = value_of(run, one)
    if one.operator in ("IS NULL", "IS NOT NULL"):
        return (value is None) == (one.operator == "IS NULL")
    return value is not None and COMPARED[one.operator](value, one.value)


def all_pages(search: Callable[[str | None], Page[FoundRun]]) -> list[str]:
    found: list[str] = []
    token = None
    while True:
        page = search(token)
        found += [one.id for one in page.items]
        token = page.next_token
        if token is None:
            return found


def test_every_filter_and_order(both_engines: Context) -> None:
    ctx = both_engines
    runs = filled(ctx)
    (experiment,) = {run.experiment for run in runs.values()}
    rnd = random.Random(1)
    for text in ("", *FILTERS):
        for orders in ORDERS if not text else rnd.sample(ORDERS, 2):
            wanted = expected(runs.values(), text, orders)
            found = actions.find_runs(ctx, [experiment], text, order_by=orders)
            assert [one.id for one in found.items] == wanted, (text, orders)
            assert all(one.revision == runs[one.id].revision for one in found.items)
            paged = all_pages(
                lambda token, text=text, orders=orders: actions.find_runs(  # type: ignore[misc]
                    ctx, [experiment], text, order_by=orders, limit=7, token=token
                )
            )
            assert paged == wanted, (text, orders)


def test_the_filters_find_something_and_not_all(both_engines: Context) -> None:
    runs = filled(both_engines)
    counts = {text: len(expected(runs.values(), text, ())) for text in FILTERS}
    assert [text for text, count in counts.items() if count == len(runs)] == []
    assert [text for text, count in counts.items() if count == 0] == ["metrics.absent > 0"]


def test_pages_stand_still_while_runs_are_added(both_engines: Context) -> None:
    """The newest come first: with offsets each new run would push one back onto the next page."""
    ctx = both_engines
    before = [actions.create_run(ctx, 0, start_ms=number).id for number in range(10)][::-1]
    first = actions.find_runs(ctx, [0], limit=4)
    actions.create_run(ctx, 0, start_ms=1000)
    actions.delete_run(ctx, before[1])
    second = actions.find_runs(ctx, [0], limit=10, token=first.next_token)
    assert [one.id for one in (*first.items, *second.items)] == before


def test_views_and_experiments(both_engines: Context) -> None:
    ctx = both_engines
    other = actions.create_experiment(ctx, "other")
    kept, gone, elsewhere = (actions.create_run(ctx, number, start_ms=1).id for number in (0, 0, other))
    actions.delete_run(ctx, gone)

    def ids(experiments: Sequence[int], view: View) -> set[str]:
        return {one.id for one in actions.find_runs(ctx, experiments, view=view).items}

    assert ids([0], View.ACTIVE) == {kept}
    assert ids([0], View.DELETED) == {gone}
    assert ids([0, other], View.ALL) == {kept, gone, elsewhere}
    assert ids([other, 999], View.ACTIVE) == {elsewhere}
    assert ids([], View.ALL) == set()


@pytest.mark.parametrize("limit", [0, -1, 50_001])
def test_limits_of_a_page(ctx: Context, limit: int) -> None:
    with pytest.raises(InvalidInput, match="max_results"):
        actions.find_runs(ctx, [0], limit=limit)


def test_a_token_of_another_order_is_refused(ctx: Context) -> None:
    for _ in range(3):
        actions.create_run(ctx, 0)
    token = actions.find_runs(ctx, [0], limit=1).next_token
    with pytest.raises(InvalidInput, match="page token"):
        actions.find_runs(ctx, [0], limit=1, order_by=["metrics.a"], token=token)


def test_values_cannot_leave_their_place(both_engines: Context) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0, tags={"t": "x' OR '1'='1"})
    assert [one.id for one in actions.find_runs(ctx, [0], "tags.t = \"x' OR '1'='1\"").items] == [run.id]
    assert not actions.find_runs(ctx, [0], "tags.t = 'x'' OR ''1''=''2'").items
    assert not actions.find_runs(ctx, [0], "metrics.`a') OR 1=1 --` > 0", order_by=["params.`%s; DROP`"]).items


def test_a_pattern_that_could_take_for_ever_does_not(both_engines: Context) -> None:
    ctx = both_engines
    actions.create_run(ctx, 0, tags={"t": "a" * 7000})
    pattern = "%a" * 40 + "%b"
    assert not actions.find_runs(ctx, [0], f"tags.t LIKE '{pattern}'").items
    assert not actions.find_runs(ctx, [0], f"tags.t ILIKE '{pattern}'").items


def test_experiments(both_engines: Context) -> None:
    ctx = both_engines
    numbers = [actions.create_experiment(ctx, name, {"k": name[:1]}) for name in ("a1", "a2", "B1", "日本/x")]
    actions.delete_experiment(ctx, numbers[1])

    def names(text: str = "", **options: Any) -> list[str]:
        return [one.name for one in actions.search_experiments(ctx, text, **options).items]

    assert names("name LIKE 'a%'") == ["a1"]
    assert names("name ILIKE 'b_'") == ["B1"]
    assert names("name LIKE 'a%'", view=View.ALL, order_by=["name DESC"]) == ["a2", "a1"]
    assert names(view=View.DELETED) == ["a2"]
    assert names("tags.k = '日'") == ["日本/x"]
    assert names(f"experiment_id IN ('{numbers[0]}', '0')", order_by=["experiment_id"]) == ["Default", "a1"]
    assert names("creation_time > 0", order_by=["last_update_time", "experiment_id DESC"])[-1] != ""
    page = actions.search_experiments(ctx, limit=2, order_by=["name"])
    rest = actions.search_experiments(ctx, limit=9, order_by=["name"], token=page.next_token)
    assert [one.name for one in (*page.items, *rest.items)] == ["B1", "Default", "a1", "日本/x"]
    with pytest.raises(InvalidInput, match="experiment id"):
        names("experiment_id = 'x'")
    with pytest.raises(InvalidInput, match="order_by entity"):
        names(order_by=["tags.k"])


def test_logged_models(both_engines: Context) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0)
    made = [
        actions.create_model(ctx, 0, name=name, kind="tree", source_run=run.id, params={"p": name})
        for name in ("one", "two", "three")
    ]
    ids = {model.name: model.id for model in made}
    actions.finalize_model(ctx, ids["one"], ModelState.READY)
    measured = [
        Metric("acc", 0.5, 0, 1, ids["one"], "d", "x"),
        Metric("acc", 0.9, 0, 2, ids["one"], "e", "y"),
        Metric("acc", 0.7, 0, 1, ids["two"], "d", "z"),
        Metric("acc", math.nan, 0, 1, ids["three"]),
    ]
    actions.log_batch(ctx, run.id, measured)

    def names(text: str = "", **options: Any) -> list[str]:
        return [one.name for one in actions.search_models(ctx, [0], text, **options).items]

    assert set(names("metrics.acc > 0.6")) == {"one", "two"}
    assert names("metrics.acc > 0.6", datasets=[("d", None)]) == ["two"]
    assert names("metrics.acc >= 0.5", datasets=[("d", "x")]) == ["one"]
    assert set(names(datasets=[("d", None)])) == {"one", "two"}
    assert names("params.p IN ('two') AND model_type = 'tree'") == ["two"]
    assert names("status = 'LOGGED_MODEL_READY'") == ["one"]
    assert names(f"source_run_id = '{run.id}'", order_by=[("name", True, None, None)]) == ["one", "three", "two"]
    assert names(order_by=[("metrics.acc", False, None, None)]) == ["one", "two", "three"]
    assert names(order_by=[("metrics.acc", False, "d", None)])[:2] == ["two", "one"]
    order = [("metrics.acc", True, None, None)]
    page = actions.search_models(ctx, [0], order_by=order, limit=1)
    rest = actions.search_models(ctx, [0], order_by=order, token=page.next_token)
    assert [one.name for one in (*page.items, *rest.items)] == ["two", "one", "three"]
    found = actions.get_model(ctx, ids["one"])
    assert [(one.value, one.dataset_name, one.run_id) for one in found.metrics] == [
        (0.5, "d", run.id),
        (0.9, "e", run.id),
    ]
    with pytest.raises(InvalidInput):
        names(order_by=[("params.p", True, None, None)])
