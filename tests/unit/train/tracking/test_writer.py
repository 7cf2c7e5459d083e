"""The writer: groups, order, refusals, ends, and what it costs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from modelloop.ground.core.errors import InvalidInput, StoreUnavailable
from modelloop.ground.store.context import Context
from modelloop.train.tracking import actions, writer
from modelloop.train.tracking.records import Batch, Metric, Param
from modelloop.train.tracking.writer import Writer


def test_many_threads_hand_over_at_once(ctx: Context) -> None:
    run = actions.create_run(ctx, 0).id
    there = Writer(ctx)

    def log(number: int) -> None:
        for step in range(50):
            there.submit(Batch(run, [Metric("m", float(number), step, number)])).result()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(log, range(8)))
    there.close()
    assert len(actions.history(ctx, run, "m").items) == 400


def test_closing_writes_what_was_handed_over(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GROUP", 3)  # so that many groups are left
    run = actions.create_run(ctx, 0).id
    there = Writer(ctx)
    hold = threading.Event()
    held = there.run(lambda _: hold.wait(10))
    waiting = [there.submit(Batch(run, [Metric("m", 1.0, step)])) for step in range(100)]
    closer = threading.Thread(target=there.close)
    closer.start()
    hold.set()
    closer.join(20)
    assert held.result()
    assert [one.result(0) for one in waiting] == [None] * 100
    with pytest.raises(StoreUnavailable, match="process ends"):
        there.submit(Batch(run))


def test_a_group_that_fails_as_a_whole_tells_all_and_goes_on(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    run = actions.create_run(ctx, 0).id
    there = Writer(ctx)

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "apply", full)
        patch.setattr(writer, "apply_points", lambda *_: False)
        hold = threading.Event()
        there.run(lambda _: hold.wait(10))
        waiting = [there.submit(Batch(run, [Metric("m", 1.0, step)])) for step in range(3)]
        hold.set()
        assert ["full" in str(one.exception()) for one in waiting] == [True] * 3
    assert there.submit(Batch(run, [Metric("m", 1.0)])).result() is None
    there.close()


def test_what_no_check_foresaw_hits_only_its_own_batch(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    run = actions.create_run(ctx, 0).id
    there = Writer(ctx)
    real = writer.apply

    def picky(ctx: Context, batches: list[Batch]) -> object:
        if any(metric.value == 13.0 for batch in batches for metric in batch.metrics):
            raise sa.exc.DataError("statement", None, Exception("13 is not liked"))
        return real(ctx, batches)

    monkeypatch.setattr(writer, "apply", picky)
    monkeypatch.setattr(writer, "apply_points", lambda *_: False)
    hold = threading.Event()
    there.run(lambda _: hold.wait(10))
    waiting = [there.submit(Batch(run, [Metric("m", value)])) for value in (12.0, 13.0, 14.0)]
    hold.set()
    there.close()
    assert [one.exception() is None for one in waiting] == [True, False, True]
    assert isinstance(waiting[1].exception(), InvalidInput)


def test_a_cancelled_batch_is_not_written(ctx: Context) -> None:
    run = actions.create_run(ctx, 0).id
    there = Writer(ctx)
    hold = threading.Event()
    there.run(lambda _: hold.wait(10))
    gone, kept = there.submit(Batch(run, params=[Param("a", "1")])), there.submit(Batch(run, params=[Param("b", "1")]))
    assert gone.cancel()
    hold.set()
    assert kept.result() is None
    there.close()
    assert dict(actions.get_run(ctx, run).params) == {"b": "1"}


def test_errors_of_other_actions_reach_who_asked(ctx: Context) -> None:
    there = Writer(ctx)
    assert isinstance(there.run(actions.create_experiment, "").exception(), InvalidInput)
    assert there.run(actions.create_experiment, "x", {"a": "b"}).result() == 1
    there.close()


def count_statements(ctx: Context, batch: Batch) -> int:
    seen: list[str] = []

    def note(*call: object) -> None:
        seen.append(str(call[2]))

    sa.event.listen(ctx.db.engine, "before_cursor_execute", note)
    assert actions.apply(ctx, [batch], limits=False) == [None]
    sa.event.remove(ctx.db.engine, "before_cursor_execute", note)
    return len(seen)


def test_the_number_of_statements_does_not_grow_with_the_batch(ctx: Context) -> None:
    run = actions.create_run(ctx, 0).id
    few = count_statements(ctx, Batch(run, [Metric("m", 1.0)]))
    many = count_statements(ctx, Batch(run, [Metric(f"m{n}", 1.0) for n in range(3000)]))
    assert few == many == 6  # begin, lock, run, metrics, latest, commit
