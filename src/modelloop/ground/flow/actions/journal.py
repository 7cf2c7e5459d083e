"""The journal of one run on any database that SQLAlchemy reaches: see `flow.journal.Journal`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.engine import Connection

from ...core.errors import RunCancelled, StaleState
from ...core.records import Event
from ...store import audit
from ...store.context import Context
from .. import rows, tables
from ..journal import Finished, Kept, RunWaits
from ..metrics import Logged
from ..records import Run, RunState, Usage
from .looking import assembled, run_row

OPEN = (RunState.QUEUED, RunState.RUNNING)


class FactsJournal:
    """The facts of one run."""

    def __init__(self, ctx: Context, run: Run) -> None:
        self._ctx, self._run = ctx, run
        with ctx.db.reading() as connection:
            found = tables.step_rows(connection, run.id) if run.attempt > 1 else ()
        self._done = {
            (row.key, row.nth): Kept(row.output_digest, row.output, "this run")
            for row in found
            if row.output_digest is not None
        }
        self._tried = {(row.key, row.nth): row.attempts for row in found if row.output_digest is None}

    @property
    def run(self) -> Run:
        """Return the run, as it was begun."""
        return self._run

    def find(self, key: str, nth: int) -> Kept | None:
        """Return the finished call of this run, from before a crash."""
        return self._done.get((key, nth))

    def tried(self, key: str, nth: int) -> int:
        """Return how often a call was tried in vain, before a crash."""
        return int(self._tried.get((key, nth), 0))

    def cached(self, key: str) -> Kept | None:
        """Return a kept result of any run."""
        with self._ctx.db.reading() as connection:
            row = tables.cache_row(connection, key)
        if row is None:
            return None
        points = [(name, value, step) for name, value, step in row.metrics]
        return Kept(row.output_digest, row.output, rows.origin(row.number, row.run_id), points)

    def before(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Return the key parts of all calls of a step of this name in the last run that called it, in order."""
        with self._ctx.db.reading() as connection:
            calls = tables.parts_before(connection, name, self._run.id)
            parts = tables.parts_of(connection, rows.references(calls))
        return [rows.with_code(call, parts) for call in calls]

    def record(self, finished: Finished) -> None:
        """Record the end of a call, its metrics, and what is kept of it."""
        now = self._ctx.now()
        with self._ctx.db.transaction() as connection:
            self._check(connection)
            tables.put_parts(connection, finished.parts)
            tables.put_step(connection, rows.step_values(self._run.id, finished, now))
            tables.add_metrics(connection, rows.metric_values(self._run.id, finished.waiting))
            kept = rows.cache_values(self._run.id, finished, now)
            if kept is not None:
                tables.put_cache(connection, kept)

    def forget_metrics(self, number: int) -> None:
        """Take back what a call logged in an attempt that failed."""
        with self._ctx.db.transaction() as connection:
            tables.drop_metrics(connection, self._run.id, number)

    def metrics(self, logged: Sequence[Logged]) -> None:
        """Append metrics."""
        with self._ctx.db.transaction() as connection:
            tables.add_metrics(connection, rows.metric_values(self._run.id, logged))

    def artifact(self, name: str, digest: str) -> None:
        """Name a blob."""
        with self._ctx.db.transaction() as connection:
            tables.put_artifact(connection, self._run.id, name, digest)

    def answer(self, name: str, nth: int, question: str, choices: Sequence[str]) -> str:
        """Return a person's answer; where there is none, record the question and raise RunWaits."""
        ctx, run_id = self._ctx, self._run.id
        with ctx.db.transaction() as connection:
            self._check(connection)
            row = tables.wait_row(connection, run_id, name, nth)
            if row is not None and row.answer is not None:
                return str(row.answer)
            if row is None:
                asked = {"id": ctx.id("wait"), "run_id": run_id, "name": name, "nth": nth}
                said = {"question": question, "choices": list(choices), "asked_at": ctx.now()}
                tables.add_wait(connection, {**asked, **said})
            # asked and waiting are one transaction, so there is no answer before its question
            waits = {"state": RunState.WAITING, "worker": None}
            tables.change_run(connection, run_id, waits, states=[RunState.RUNNING])
            audit.append(connection, ctx, Event("run.waiting", run_id, {"question": name}))
        raise RunWaits(name)

    def describe(self, values: Mapping[str, Any]) -> None:
        """Record with which code and environment this attempt works."""
        with self._ctx.db.transaction() as connection:
            tables.change_run(connection, self._run.id, values, states=[RunState.RUNNING])

    def end(self, values: Mapping[str, Any], taken: Usage | None) -> Run:
        """End the run; add what this process took, where nobody else accounts for it."""
        run_id = self._run.id
        with self._ctx.db.transaction() as connection:
            now = tables.standing(connection, run_id)
            if now.attempt != self._run.attempt:
                raise rows.taken_over(self._run, now.attempt)
            if taken is not None:
                tables.account(connection, run_id, self._run.attempt, {**asdict(taken), "stdout": None})
            if values["state"] != RunState.WAITING:
                ended = {**values, "finished_at": self._ctx.now()}
                if tables.change_run(connection, run_id, ended, states=OPEN):
                    audit.append(connection, self._ctx, rows.end_event(run_id, values))
            return assembled(self._ctx, connection, [run_row(connection, run_id)])[0]

    def _check(self, connection: Connection) -> None:
        now = tables.standing(connection, self._run.id)
        if now.cancel_asked:
            raise RunCancelled(f"{self._run.id} was cancelled.")
        if now.attempt != self._run.attempt or now.state != RunState.RUNNING:
            raise StaleState(
                f"{self._run.id} is {now.state} in attempt {now.attempt}; this process is attempt {self._run.attempt}.",
                hint="Another worker took the run over, or it was ended; nothing was written.",
            )
