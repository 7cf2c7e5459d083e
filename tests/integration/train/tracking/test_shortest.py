"""The writer's shortest way: the same facts as the long way, on every engine, and nothing of what it must not write."""

from __future__ import annotations

import math

import pytest

from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.ground.store.context import Context
from modelloop.train.tracking.actions import experiments, logging, runs
from modelloop.train.tracking.records import Batch, Metric, TrackedRun
from modelloop.train.tracking.writer import Writer

POINTS = [
    Metric("loss", 1.5, 1, 10),
    Metric("loss", math.nan, 3, 30),
    Metric("loss", 0.5, 2, 20),
    Metric("loss", 0.5, 2, 20),
    Metric("größe/ü", math.inf, -1, 5),
    Metric("auc", -math.inf, 0, 0),
]


@pytest.fixture
def made(both_engines: Context) -> list[TrackedRun]:
    number = experiments.create_experiment(both_engines, "short")
    return [runs.create_run(both_engines, number) for _ in range(2)]


def test_both_ways_write_the_same(both_engines: Context, made: list[TrackedRun]) -> None:
    ctx, (short, long) = both_engines, made
    writer = Writer(ctx)
    for point in POINTS:
        writer.submit(Batch(short.id, [point])).result(30)
    writer.close()
    for point in POINTS:
        logging.log_batch(ctx, long.id, [point])
    first, second = runs.get_run(ctx, short.id), runs.get_run(ctx, long.id)
    assert first.revision == second.revision
    assert set(first.metrics) == set(second.metrics)
    for name in first.metrics:
        one, other = first.metrics[name], second.metrics[name]
        assert (one.step, one.at_ms) == (other.step, other.at_ms)
        assert one.same_value(other)
        histories = [runs.history(ctx, run.id, name).items for run in made]
        assert [(p.step, p.at_ms, repr(p.value)) for p in histories[0]] == [
            (p.step, p.at_ms, repr(p.value)) for p in histories[1]
        ]


def test_a_run_that_is_deleted_or_unknown_is_refused_and_the_writer_goes_on(
    both_engines: Context, made: list[TrackedRun]
) -> None:
    ctx, (run, gone) = both_engines, made
    runs.delete_run(ctx, gone.id)
    writer = Writer(ctx)
    with pytest.raises(InvalidInput, match="deleted"):
        writer.submit(Batch(gone.id, [Metric("loss", 1.0)])).result(30)
    with pytest.raises(NotFound):
        writer.submit(Batch("run_" + "0" * 26, [Metric("loss", 1.0)])).result(30)
    with pytest.raises(InvalidInput):
        writer.submit(Batch(run.id, [Metric("loss", 1.0, 2**70)])).result(30)
    writer.submit(Batch(run.id, [Metric("loss", 2.0)])).result(30)
    writer.close()
    assert runs.get_run(ctx, run.id).metrics["loss"].value == 2.0
    assert not runs.get_run(ctx, gone.id).metrics


def test_a_connection_that_breaks_is_made_anew(both_engines: Context, made: list[TrackedRun]) -> None:
    ctx, (run, _) = both_engines, made
    writer = Writer(ctx)
    writer.submit(Batch(run.id, [Metric("loss", 1.0, 1)])).result(30)
    assert writer._driver is not None
    writer._driver.driver_connection.close()  # type: ignore[union-attr]
    for step in (2, 3):
        writer.submit(Batch(run.id, [Metric("loss", float(step), step)])).result(30)
    writer.close()
    assert len(runs.history(ctx, run.id, "loss").items) == 3
