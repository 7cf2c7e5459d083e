from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modelloop.ground.core.errors import Conflict, NotFound, StaleState
from modelloop.ground.pool import actions
from modelloop.ground.pool.records import MAX_ATTEMPTS, Job, JobState
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import FakeClock, make_context

LEASE = timedelta(seconds=30)


def clock_of(ctx: Context) -> FakeClock:
    assert isinstance(ctx.clock, FakeClock)
    return ctx.clock


def test_jobs_are_claimed_once_oldest_first(ctx: Context) -> None:
    first = actions.enqueue(ctx, "run", {"run": "a"})
    clock_of(ctx).advance(timedelta(seconds=1))
    actions.enqueue(ctx, "run", {"run": "b"})
    claimed = actions.claim(ctx, "w1", LEASE)
    assert claimed is not None
    assert (claimed.id, claimed.state, claimed.worker, claimed.attempts) == (first.id, JobState.HELD, "w1", 1)
    second = actions.claim(ctx, "w2", LEASE)
    assert second is not None
    assert second.payload == {"run": "b"}
    assert actions.claim(ctx, "w3", LEASE) is None
    assert actions.finish(ctx, claimed).state is JobState.DONE
    assert [job.state for job in actions.list_jobs(ctx)] == [JobState.DONE, JobState.HELD]


def test_a_key_is_queued_once_whatever_became_of_it(ctx: Context) -> None:
    first = actions.enqueue(ctx, "run", {"n": 1}, key="k")
    assert actions.enqueue(ctx, "run", {"n": 2}, key="k") == first
    job = actions.claim(ctx, "w", LEASE)
    assert job is not None
    actions.finish(ctx, job)
    assert actions.enqueue(ctx, "run", {"n": 3}, key="k").state is JobState.DONE
    assert actions.enqueue(ctx, "other", {}, key="k").id != first.id


def test_a_lapsed_lease_can_be_claimed_again_and_the_first_holder_has_lost_it(ctx: Context) -> None:
    actions.enqueue(ctx, "run", {})
    mine = actions.claim(ctx, "w1", LEASE)
    assert mine is not None
    clock_of(ctx).advance(LEASE / 2)
    mine = actions.heartbeat(ctx, mine, LEASE)
    clock_of(ctx).advance(LEASE / 2)
    assert actions.claim(ctx, "w2", LEASE) is None
    clock_of(ctx).advance(LEASE / 2)
    theirs = actions.claim(ctx, "w2", LEASE)
    assert theirs is not None
    assert theirs.attempts == 2
    for change in (actions.finish, lambda c, j: actions.fail(c, j, "x"), lambda c, j: actions.heartbeat(c, j, LEASE)):
        with pytest.raises(StaleState, match="w2"):
            change(ctx, mine)
    actions.finish(ctx, theirs)


def test_the_same_worker_does_not_mistake_an_old_claim_for_a_new_one(ctx: Context) -> None:
    actions.enqueue(ctx, "run", {})
    old = actions.claim(ctx, "w", LEASE)
    clock_of(ctx).advance(LEASE)
    new = actions.claim(ctx, "w", LEASE)
    assert old is not None
    assert new is not None
    with pytest.raises(StaleState):
        actions.finish(ctx, old)


def test_after_five_attempts_a_job_is_not_handed_out_again(ctx: Context) -> None:
    actions.enqueue(ctx, "run", {})
    for attempt in range(1, MAX_ATTEMPTS + 1):
        job = actions.claim(ctx, "w", LEASE)
        assert job is not None
        assert job.attempts == attempt
        clock_of(ctx).advance(LEASE)
    assert actions.claim(ctx, "w", LEASE) is None
    (lost,) = actions.exhausted(ctx)
    actions.bury(ctx, lost, "died")
    assert actions.get_job(ctx, lost.id).state is JobState.FAILED
    assert actions.exhausted(ctx) == []


def test_failing_gives_back_until_the_attempts_are_used_up(ctx: Context) -> None:
    actions.enqueue(ctx, "run", {})
    for attempt in range(1, MAX_ATTEMPTS + 1):
        job = actions.claim(ctx, "w", LEASE)
        assert job is not None
        after = actions.fail(ctx, job, f"no {attempt}", retry_in=timedelta(seconds=5))
        assert actions.claim(ctx, "w", LEASE) is None, "not before its time"
        clock_of(ctx).advance(timedelta(seconds=5))
    assert (after.state, after.error) == (JobState.FAILED, "no 5")
    assert actions.claim(ctx, "w", LEASE) is None


def test_a_restarted_worker_frees_what_it_held_and_that_does_not_count(ctx: Context) -> None:
    actions.enqueue(ctx, "run", {})
    for _ in range(2 * MAX_ATTEMPTS):
        assert actions.claim(ctx, "w", LEASE) is not None
        assert actions.release(ctx, "other") == 0
        assert actions.release(ctx, "w") == 1
    assert actions.claim(ctx, "w", LEASE) is not None


def test_only_a_waiting_job_can_be_cancelled(ctx: Context) -> None:
    job = actions.enqueue(ctx, "run", {})
    assert actions.cancel(ctx, job.id).state is JobState.CANCELLED
    assert actions.claim(ctx, "w", LEASE) is None
    with pytest.raises(Conflict, match="cancelled"):
        actions.cancel(ctx, job.id)
    with pytest.raises(NotFound):
        actions.cancel(ctx, "job_nope")


class Queue(RuleBasedStateMachine):
    """Whatever workers do and however time passes, a job has at most one holder whose word counts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ctx = make_context(Path(self.folder.name), clock=FakeClock())
        self.claims: list[Job] = []
        self.finished: list[str] = []

    def teardown(self) -> None:
        self.ctx.db.close()
        self.folder.cleanup()

    @rule()
    def enqueue(self) -> None:
        actions.enqueue(self.ctx, "run", {})

    @rule(worker=st.sampled_from(["a", "b"]))
    def claim(self, worker: str) -> None:
        job = actions.claim(self.ctx, worker, LEASE)
        if job is not None:
            assert job.id not in self.finished
            self.claims.append(job)

    @rule(seconds=st.sampled_from([1, 20, 40]))
    def wait(self, seconds: int) -> None:
        clock_of(self.ctx).advance(timedelta(seconds=seconds))

    @rule(worker=st.sampled_from(["a", "b"]))
    def restart(self, worker: str) -> None:
        actions.release(self.ctx, worker)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), how=st.sampled_from(["finish", "fail", "heartbeat"]))
    def use(self, data: st.DataObject, how: str) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        newest = max((c for c in self.claims if c.id == claim.id), key=lambda c: c.attempts)
        now = actions.get_job(self.ctx, claim.id)
        holds = now.state is JobState.HELD and claim.attempts == newest.attempts
        try:
            if how == "finish":
                actions.finish(self.ctx, claim)
                self.finished.append(claim.id)
            elif how == "fail":
                actions.fail(self.ctx, claim, "no")
            else:
                actions.heartbeat(self.ctx, claim, LEASE)
            assert holds
        except StaleState:
            assert not holds

    @invariant()
    def finished_once(self) -> None:
        assert len(self.finished) == len(set(self.finished))


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
