"""The journal of one run on SQLite, without SQLAlchemy: a recorded step costs a third of a millisecond.

`actions.journal` has the same for PostgreSQL; the tests of runs are run over both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ..core.clock import Clock
from ..core.errors import NotFound, RunCancelled, StaleState
from ..core.ids import check_id, new_id
from ..core.records import Actor, Event
from ..store.plain import PlainFacts, as_time, read_time
from . import rows
from .codecs import Decoder, Remembered, from_text
from .journal import Finished, Kept, RunWaits
from .metrics import Logged
from .records import Run, RunState, Usage
from .values import Get

_MOST_CALLS = 10_000
_OPEN = (RunState.QUEUED, RunState.RUNNING)
_STEP = (
    *("run_id", "number", "name", "key", "key_parts", "nth", "state", "reason", "seconds", "finished_at", "output"),
    *("output_digest", "error", "attempts", "cpu_seconds", "peak_bytes", "gpu_seconds", "place"),
)
_CACHE = ("key", "run_id", "number", "output", "output_digest", "metrics", "made_at")
_RUN_TIMES = ("queued_at", "started_at", "finished_at")
_RUN_JSON = ("inputs", "code", "error")


def _upsert(table: str, columns: Sequence[str], key: Sequence[str], where: str = "") -> str:
    """Return an INSERT that replaces the row with the same key."""
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    names, places = ", ".join(columns), ", ".join(f":{name}" for name in columns)
    words = (f"INSERT INTO {table} ({names})", f"VALUES ({places})", f"ON CONFLICT ({', '.join(key)})")
    return f"{' '.join(words)} DO UPDATE SET {changed}{where}"


_PUT_STEP = _upsert("flow_step", _STEP, ("run_id", "key", "nth"), " WHERE flow_step.state = 'failed'")
_PUT_CACHE = _upsert("flow_cache", _CACHE, ("key",))
_PUT_ARTIFACT = _upsert("flow_artifact", ("run_id", "name", "digest"), ("run_id", "name"))
_ADD_METRIC = (
    "INSERT INTO flow_metric (run_id, name, value, step, at, call) VALUES (:run_id, :name, :value, :step, :at, :call)"
)


class SqliteJournal:
    """See `journal.Journal`."""

    def __init__(self, facts: PlainFacts, run: Run, *, clock: Clock, actor: Actor, get: Get) -> None:
        self._facts, self._run, self._clock, self._actor, self._get = facts, run, clock, actor, get
        done = "SELECT key, nth, attempts, state, output, output_digest FROM flow_step WHERE run_id = ?"
        found = facts.rows(done, (run.id,)) if run.attempt > 1 else []
        self._done = {
            (row["key"], row["nth"]): Kept(row["output_digest"], row["output"], "this run")
            for row in found
            if row["output_digest"] is not None
        }
        self._tried = {(row["key"], row["nth"]): row["attempts"] for row in found if row["output_digest"] is None}

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
        row = self._facts.row(
            "SELECT run_id, number, output, output_digest, metrics FROM flow_cache WHERE key = ?", (key,)
        )
        if row is None:
            return None
        points = [(name, value, step) for name, value, step in json.loads(row["metrics"])]
        return Kept(row["output_digest"], row["output"], rows.origin(row["number"], row["run_id"]), points)

    def before(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Return the key parts of all calls of a step of this name in the last run that called it, in order."""
        last = self._facts.row(
            "SELECT run_id FROM flow_step WHERE name = ? AND run_id <> ? ORDER BY id DESC LIMIT 1", (name, self._run.id)
        )
        if last is None:
            return []
        found = self._facts.rows(
            "SELECT key_parts FROM flow_step WHERE run_id = ? AND name = ? ORDER BY number, id LIMIT ?",
            (last["run_id"], name, _MOST_CALLS),
        )
        calls = [json.loads(row["key_parts"]) for row in found]
        parts = {digest: self._part(digest) for digest in rows.references(calls)}
        return [rows.with_code(call, parts) for call in calls]

    def record(self, finished: Finished) -> None:
        """Record the end of a call, its metrics, and what is kept of it."""
        now, run_id = self._clock.now(), self._run.id
        step, kept = rows.step_values(run_id, finished, now), rows.cache_values(run_id, finished, now)
        with self._facts.transaction() as facts:
            self._check()
            self._put_parts(finished.parts)
            facts.run(_PUT_STEP, _plain(step))
            self._add_metrics(finished.waiting)
            if kept is not None:
                facts.run(_PUT_CACHE, _plain(kept))

    def forget_metrics(self, number: int) -> None:
        """Take back what a call logged in an attempt that failed."""
        with self._facts.transaction() as facts:
            facts.run("DELETE FROM flow_metric WHERE run_id = ? AND call = ?", (self._run.id, number))

    def metrics(self, logged: Sequence[Logged]) -> None:
        """Append metrics."""
        with self._facts.transaction():
            self._add_metrics(logged)

    def artifact(self, name: str, digest: str) -> None:
        """Name a blob."""
        with self._facts.transaction() as facts:
            facts.run(_PUT_ARTIFACT, {"run_id": self._run.id, "name": name, "digest": digest})

    def answer(self, name: str, nth: int, question: str, choices: Sequence[str]) -> str:
        """Return a person's answer; where there is none, record the question and raise RunWaits."""
        with self._facts.transaction() as facts:
            self._check()
            where = (self._run.id, name, nth)
            row = facts.row("SELECT answer FROM flow_wait WHERE run_id = ? AND name = ? AND nth = ?", where)
            if row is not None and row["answer"] is not None:
                return str(row["answer"])
            if row is None:
                now = self._clock.now()
                values = (new_id("wait", now), *where, question, json.dumps(list(choices)), as_time(now))
                facts.run(
                    "INSERT INTO flow_wait (id, run_id, name, nth, question, choices, asked_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    values,
                )
            raise_after = self._wait(name)
        raise raise_after

    def describe(self, values: Mapping[str, Any]) -> None:
        """Record with which code and environment this attempt works."""
        with self._facts.transaction():
            self._change(values, (RunState.RUNNING,))

    def end(self, values: Mapping[str, Any], taken: Usage | None) -> Run:
        """End the run; add what this process took, where nobody else accounts for it."""
        with self._facts.transaction():
            now = self._standing()
            if now["attempt"] != self._run.attempt:
                raise rows.taken_over(self._run, now["attempt"])
            waits = values["state"] == RunState.WAITING
            if not waits:
                ended = {**values, "finished_at": self._clock.now()}
                changed = self._change(ended, _OPEN)
            if taken is not None:
                self._account(taken)
            if not waits and changed:
                event = rows.end_event(self._run.id, values)
                self._facts.append_audit(self._actor, self._clock.now(), event)
        return find_run(self._facts, self._run.id, self._get)

    def _wait(self, name: str) -> RunWaits:
        """Let the run wait: asked and waiting are one transaction, so there is no answer before its question."""
        self._facts.run(
            "UPDATE flow_run SET state = 'waiting', worker = NULL WHERE id = ? AND state = 'running'", (self._run.id,)
        )
        self._facts.append_audit(self._actor, self._clock.now(), Event("run.waiting", self._run.id, {"question": name}))
        return RunWaits(name)

    def _standing(self) -> Any:
        query = "SELECT state, attempt, cancel_asked FROM flow_run WHERE id = ?"
        return self._facts.row(query, (self._run.id,))

    def _check(self) -> None:
        now = self._standing()
        if now["cancel_asked"]:
            raise RunCancelled(f"{self._run.id} was cancelled.")
        if now["attempt"] != self._run.attempt or now["state"] != RunState.RUNNING:
            raise StaleState(
                f"{self._run.id} is {now['state']} in attempt {now['attempt']}; this process is attempt"
                f" {self._run.attempt}.",
                hint="Another worker took the run over, or it was ended; nothing was written.",
            )

    def _change(self, values: Mapping[str, Any], states: Sequence[RunState]) -> bool:
        columns = ", ".join(f"{name} = :{name}" for name in values)
        allowed = ", ".join(f"'{state}'" for state in states)
        statement = f"UPDATE flow_run SET {columns} WHERE id = :id AND state IN ({allowed})"  # noqa: S608 - our words
        return bool(self._facts.run(statement, _plain({**values, "id": self._run.id})))

    def _account(self, taken: Usage) -> None:
        self._facts.run(
            "UPDATE flow_run SET accounted = :attempt, cpu_seconds = cpu_seconds + :cpu, wall_seconds = wall_seconds +"
            " :wall, peak_bytes = max(peak_bytes, :peak), gpu_seconds = (SELECT coalesce(sum(gpu_seconds), 0.0) FROM"
            " flow_step WHERE run_id = :id) WHERE id = :id AND accounted < :attempt",
            {
                "attempt": self._run.attempt,
                "cpu": taken.cpu_seconds,
                "wall": taken.wall_seconds,
                "peak": taken.peak_bytes,
                "id": self._run.id,
            },
        )

    def _put_parts(self, parts: Mapping[str, Mapping[str, Any]]) -> None:
        if parts:
            values = [{"digest": digest, "body": json.dumps(body)} for digest, body in parts.items()]
            self._facts.run_many("INSERT OR IGNORE INTO flow_part (digest, body) VALUES (:digest, :body)", values)

    def _add_metrics(self, logged: Sequence[Logged]) -> None:
        if logged:
            self._facts.run_many(_ADD_METRIC, [_plain(row) for row in rows.metric_values(self._run.id, logged)])

    def _part(self, digest: str) -> Mapping[str, Any]:
        row = self._facts.row("SELECT body FROM flow_part WHERE digest = ?", (digest,))
        return {} if row is None else dict(json.loads(row["body"]))


def find_run(facts: PlainFacts, run_id: str, get: Get) -> Run:
    """Return a run; raises NotFound."""
    row = facts.row("SELECT * FROM flow_run WHERE id = ?", (check_id(run_id, "run"),))
    if row is None:
        raise NotFound(f"There is no run {run_id}.")
    plain: dict[str, Any] = dict(row)
    plain |= {name: read_time(plain[name]) for name in _RUN_TIMES}
    plain |= {name: json.loads(plain[name]) if plain[name] else None for name in _RUN_JSON}
    plain["cancel_asked"] = bool(plain["cancel_asked"])
    params = Decoder(get, Remembered()).decode(from_text(plain["params"]))
    last = facts.rows(
        "SELECT name, value FROM flow_metric WHERE id IN"
        " (SELECT max(id) FROM flow_metric WHERE run_id = ? GROUP BY name) ORDER BY name",
        (run_id,),
    )
    named = facts.rows("SELECT name, digest FROM flow_artifact WHERE run_id = ?", (run_id,))
    metrics, artifacts = dict(tuple(found) for found in last), dict(tuple(found) for found in named)
    return rows.run(SimpleNamespace(**plain), params, metrics, artifacts)


def begin_run(facts: PlainFacts, run_id: str, worker: str | None, clock: Clock, get: Get) -> Run:
    """Begin an attempt of a run that is queued, or whose process died; return it as it is then."""
    with facts.transaction():
        found = find_run(facts, run_id, get)
        values = {"id": run_id, "worker": worker, "now": as_time(clock.now())}
        begun = facts.run(
            "UPDATE flow_run SET state = 'running', attempt = attempt + 1, worker = :worker,"
            " started_at = coalesce(started_at, :now) WHERE id = :id AND state IN ('queued', 'running')",
            values,
        )
        if begun and found.attempt:  # what was logged outside of finished calls will be logged again
            facts.run(
                "DELETE FROM flow_metric WHERE run_id = :id AND (call IS NULL OR call NOT IN"
                " (SELECT number FROM flow_step WHERE run_id = :id AND state <> 'failed'))",
                {"id": run_id},
            )
    return find_run(facts, run_id, get)


def steps_in_short(facts: PlainFacts, run_id: str) -> list[dict[str, Any]]:
    """Return the calls of a run in order, without the parts of their keys."""
    query = (
        "SELECT number, name, state, seconds, attempts, reason, output_digest AS output FROM flow_step"
        " WHERE run_id = ? ORDER BY number, id"
    )
    return [dict(row) for row in facts.rows(query, (run_id,))]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as the columns hold them."""
    return {name: _column(value) for name, value in values.items()}


def _column(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value)
    return as_time(value) if hasattr(value, "tzinfo") else str(value) if isinstance(value, str) else value
