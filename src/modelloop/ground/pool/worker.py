"""A worker: takes runs from the queue and carries each out in a child process, while its owner does other things.

`turn` never blocks: call it some times a second. All that a worker knows beyond the facts is which children it
started; killed at any instant, it takes its children with it, and the next worker of its name (at once) or any other
(when the lease has lapsed) goes on from the journal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ..core.errors import StaleState
from ..flow import actions as flow
from ..flow.records import Run, RunState, Usage
from ..store.context import Context
from . import actions
from .local import Child, start
from .records import MAX_ATTEMPTS, RUN, ExitStatus, Job, JobState


@dataclass(slots=True)
class _Held:
    job: Job
    run_id: str
    child: Child


class Worker:
    """Carries out up to `size` runs at a time. Use it from one thread, the main one.

    `argv(run_id)` is the command that calls `flow.actions.execute(ctx, run_id, worker=name, ...)`, does what is to be
    done with a run that is done, and exits with 0 after that; killed before, it is started again. `name`: the same each
    time this worker is started, different from all others.
    """

    def __init__(
        self,
        ctx: Context,
        *,
        name: str,
        argv: Callable[[str], Sequence[str]],
        size: int = 1,
        lease: timedelta = timedelta(seconds=15),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.size = name, size
        self._ctx, self._argv, self._lease, self._env = ctx, argv, lease, env
        self._held: list[_Held] = []
        self._released = False
        self._enqueued: set[str] = set()

    @property
    def busy(self) -> int:
        """Return how many runs are being carried out."""
        return len(self._held)

    @property
    def running(self) -> Mapping[str, int]:
        """Return run id -> process id."""
        return {held.run_id: held.child.pid for held in self._held}

    def log_path(self, run_id: str) -> Path:
        """Return the file that a run prints to."""
        return self._ctx.home / "runs" / f"{run_id}.log"

    def turn(self) -> int:
        """Look after the children, take up new runs; return how many are being carried out."""
        if not self._released:
            actions.release(self._ctx, self.name)
            self._released = True
        self._look_after()
        self._close_exhausted()
        self._enqueue()
        while len(self._held) < self.size:
            job = actions.claim(self._ctx, self.name, self._lease)
            if job is None:
                break
            self._take(job)
        return len(self._held)

    def close(self) -> None:
        """Stop the children and give their runs back: they go on where they were, with another worker or later."""
        for held in self._held:
            held.child.stop()
        self._held.clear()
        actions.release(self._ctx, self.name)

    def _enqueue(self) -> None:
        """Make a job of each run that waits; one that has a job already keeps it."""
        waiting = set(flow.queued(self._ctx))
        for run_id in sorted(waiting - self._enqueued):
            job = actions.enqueue(self._ctx, RUN, {"run": run_id}, key=run_id)
            if job.state is JobState.DONE:  # its run waited for a person, and has the answer
                actions.reopen(self._ctx, job)
        self._enqueued = waiting

    def _take(self, job: Job) -> None:
        run = flow.get_run(self._ctx, str(job.payload["run"]))
        if run.state is RunState.WAITING or (run.state.ended and run.state is not RunState.DONE):
            actions.finish(self._ctx, job)
            return
        env = {**os.environ, "PYTHONUNBUFFERED": "1"} if self._env is None else self._env
        child = start(self._argv(run.id), self.log_path(run.id), time_limit=run.time_limit, env=env)
        self._held.append(_Held(job, run.id, child))

    def _look_after(self) -> None:
        for held in list(self._held):
            status = held.child.poll()
            try:
                if status is None:
                    status = self._keep(held)
                if status is not None:
                    self._held.remove(held)
                    self._settle(held, status)
            except StaleState:  # the lease lapsed while this process was away: the run is another worker's now
                held.child.stop()
                if held in self._held:
                    self._held.remove(held)

    def _keep(self, held: _Held) -> ExitStatus | None:
        """Prolong the lease when a third of it is used; stop a run that is to be cancelled."""
        until = held.job.lease_until
        left = None if until is None else until - self._ctx.now()
        if left is None or not self._lease * 2 / 3 <= left <= self._lease:  # more is left where the clock was set back
            held.job = actions.heartbeat(self._ctx, held.job, self._lease)
        run = flow.get_run(self._ctx, held.run_id)
        to_stop = run.state is RunState.CANCELLED or (run.cancel_asked and not run.state.ended)
        return held.child.stop() if to_stop else None

    def _settle(self, held: _Held, status: ExitStatus) -> None:
        """Record how a child ended: first in the run, then in the queue."""
        run = flow.get_run(self._ctx, held.run_id)
        usage = Usage(status.cpu_seconds, status.peak_bytes, status.wall_seconds)
        run = flow.account(self._ctx, run.id, run.attempt, usage, log=held.child.log_path)
        if run.state is RunState.WAITING:  # for a person: nothing is held meanwhile
            self._enqueued.discard(run.id)
            actions.finish(self._ctx, held.job)
            return
        if not run.state.ended:
            run = self._end_if_over(run, held.job, status)
        cut_short = run.state is RunState.DONE and status.code != 0
        if run.state.ended and not cut_short:
            actions.finish(self._ctx, held.job)
        else:
            error = f"The process ended with {status} before its work did."
            actions.fail(self._ctx, held.job, error, retry_in=_pause(held.job.strikes, status.wall_seconds))

    def _end_if_over(self, run: Run, job: Job, status: ExitStatus) -> Run:
        if run.cancel_asked:
            return flow.end(self._ctx, run.id, RunState.CANCELLED, reason="cancelled")
        if status.timed_out:
            seconds = run.time_limit.total_seconds()
            reason = f"The run took longer than its time limit of {seconds:g} s and was ended."
            return flow.end(self._ctx, run.id, RunState.FAILED, reason=reason)
        if job.strikes >= MAX_ATTEMPTS:
            return self._give_up(run.id, f"the last time with {status}")
        return run

    def _close_exhausted(self) -> None:
        for job in actions.exhausted(self._ctx):
            if job.kind == RUN:
                self._give_up(str(job.payload["run"]), "each time with its worker")
                actions.bury(self._ctx, job, f"{job.strikes} attempts without an end")

    def _give_up(self, run_id: str, how: str) -> Run:
        reason = f"The run's process died {MAX_ATTEMPTS} times, {how}; see what it printed."
        return flow.end(self._ctx, run_id, RunState.FAILED, reason=reason)


def _pause(strikes: int, lived: float) -> timedelta:
    """Return how long a job rests: the more often its process died, the longer from one start to the next."""
    return timedelta(seconds=max(0.0, 2.0 ** (strikes - 1) - lived))
