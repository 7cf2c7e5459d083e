"""Verbs of studies: a ledger among facts for the search, and what people ask: list, look, delete."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from sqlalchemy.exc import IntegrityError

from ...ground.core.errors import Conflict, NotFound, StoreUnavailable
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from ..records import Trial
from . import tables
from .owner import is_gone, owner
from .records import TRIAL, Declared, Entry, Head, StudyLine, differing

LEASE = timedelta(seconds=60)
"""How long a process on another machine is believed to live without a word."""
_BEAT_SECONDS = 15.0
_MOST_ATTEMPTS = 3
"""A trial whose process died so often counts as failed: it is what kills them."""


class DurableLedger:
    """Keeps a study among facts: each change is one transaction, so a process may be killed at any instant.

    Several processes may hold a ledger of one study. A trial belongs to whoever claimed it; a dead process's trials
    are taken over at once by others on its machine, after LEASE by those on other machines. A thread renews the lease
    while something is under way.
    """

    durable = True

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._owner = owner()
        self._study = ""
        self._over = threading.Event()
        self._beat: threading.Thread | None = None

    def open(self, declared: Declared) -> Declared:
        """Begin the study, or go on with it; Conflict where its name stands for something else."""
        found = _find(self._ctx, declared.name)
        if found is None:
            found = self._begin(declared)
        self._study, had = found
        different = differing(had, declared)
        if different:
            told = "; ".join(f"{name}: {getattr(had, name)} then, {getattr(declared, name)} now" for name in different)
            raise Conflict(
                f"The study {declared.name!r} is about something else: {told[:600]}.",
                hint=f"Take another name, and warm_start=[{declared.name!r}] if what it found should help.",
            )
        return had

    def head(self) -> Head:
        """Return how far the study is; NotFound where it was deleted meanwhile."""
        with self._ctx.db.reading() as connection:
            found = tables.head(connection, self._study)
        if found is None:
            raise NotFound("The study was deleted while it was searched.", hint="Begin it again, or let it be.")
        return found

    def ended_since(self, mark: int) -> tuple[int, list[Entry]]:
        """Return all that ended after the mark, in the order it did so, and the new mark."""
        with self._ctx.db.reading() as connection:
            found = tables.ended_since(connection, self._study, mark)
        return (found[-1][0] if found else mark), [entry for _, entry in found]

    def claim(self, number: int, params: Mapping[str, Any], attrs: Mapping[str, Any]) -> bool:
        """Take the trial of this number; False: somebody else has it."""
        with self._ctx.db.transaction() as connection:
            if not tables.next_number(connection, self._study, number):
                return False
            tables.add_trial(connection, self._row(number, TRIAL, params, attrs))
        self._keep()
        return True

    def claim_repeat(self, number: int, nth: int, params: Mapping[str, Any]) -> bool:
        """Take a repeat; False: somebody else has it, or it is over."""
        try:
            with self._ctx.db.transaction() as connection:
                if tables.has_trial(connection, self._study, number, nth):
                    return False
                tables.add_trial(connection, self._row(number, nth, params, {}))
        except IntegrityError:
            return False
        self._keep()
        return True

    def abandoned(self) -> list[Entry]:
        """Take over and return trials and repeats whose process died, by number."""
        now = self._ctx.now()
        with self._ctx.db.reading() as connection:
            rows = tables.running(connection, self._study)
        left = [row for row in rows if row["lease_until"] <= now or is_gone(row["owner"])]
        if not left:
            return []
        with self._ctx.db.transaction() as connection:
            taken = [(row, tables.take_over(connection, row, self._owner, now + LEASE)) for row in left]
        self._keep()
        return [entry for row, entry in taken if entry is not None and not self._gave_up(row, entry)]

    def elsewhere(self) -> int:
        """Return how many trials and repeats are under way in other processes."""
        with self._ctx.db.reading() as connection:
            rows = tables.running(connection, self._study)
        return sum(row["owner"] != self._owner for row in rows)

    def finish(self, entry: Entry) -> bool:
        """Keep what became of a trial or repeat; False: it is not ours any more."""
        with self._ctx.db.transaction() as connection:
            return tables.finish(connection, self._study, entry, owner=self._owner, at=self._ctx.now())

    def release(self) -> None:
        """Give back all that is under way here. Ends the ledger's use."""
        self._over.set()
        if self._beat is not None:
            self._beat.join()
            with self._ctx.db.transaction() as connection:
                tables.release(connection, self._owner, self._ctx.now())

    def _begin(self, declared: Declared) -> tuple[str, Declared]:
        chosen = self._ctx.id("study")
        try:
            with self._ctx.db.transaction() as connection:
                by = self._ctx.actor.name[:120]
                tables.add_study(connection, chosen, declared, at=self._ctx.now(), by=by)
                facts = {"name": declared.name, "method": declared.method, "metrics": list(declared.metrics)}
                audit.append(connection, self._ctx, Event("study.begun", f"study:{chosen}", facts))
        except IntegrityError:  # two began it at once
            pass
        found = _find(self._ctx, declared.name)
        if found is None:
            raise NotFound(f"The study {declared.name!r} was deleted as it began.", hint="Begin it again.")
        return found

    def _row(self, number: int, nth: int, params: Mapping[str, Any], attrs: Mapping[str, Any]) -> dict[str, Any]:
        now = self._ctx.now()
        return {
            "study": self._study,
            "number": number,
            "nth": nth,
            "state": tables.RUNNING,
            "params": dict(params),
            "body": {"attrs": dict(attrs)},
            "owner": self._owner,
            "lease_until": now + LEASE,
            "attempts": 1,
            "began_at": now,
        }

    def _gave_up(self, row: Any, entry: Entry) -> bool:
        """Fail a trial that ended its process too often. Giving it back (owner "") was no death."""
        if row["attempts"] < _MOST_ATTEMPTS or not row["owner"]:
            return False
        error = f"Its process died {row['attempts']} times in the middle of it (out of memory, or killed)."
        failed = Trial(entry.trial.number, entry.trial.params, None, 0.0, state="failed", error=error)
        self.finish(replace(entry, trial=failed))
        return True

    def _keep(self) -> None:
        """See to it that the lease is renewed from now on."""
        if self._beat is None:
            self._beat = threading.Thread(target=self._renew, name="study-lease", daemon=True)
            self._beat.start()

    def _renew(self) -> None:
        while not self._over.wait(_BEAT_SECONDS):
            try:
                with self._ctx.db.transaction() as connection:
                    tables.renew(connection, self._owner, self._ctx.now() + LEASE)
            except StoreUnavailable:
                continue  # the lease lasts for some beats more


def studies(ctx: Context, *, limit: int = 50) -> list[StudyLine]:
    """Return studies, the newest first."""
    with ctx.db.reading() as connection:
        return tables.lines(connection, limit)


def entries(ctx: Context, name: str) -> tuple[Declared, list[Entry]]:
    """Return what a study is about and all that ended in it; raises NotFound."""
    found = _find(ctx, name)
    if found is None:
        names = [line.name for line in studies(ctx, limit=500)]
        near = get_close_matches(name, names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names[:10]) or 'none yet'}."
        raise NotFound(f"There is no study {name[:80]!r}.", hint=hint)
    with ctx.db.reading() as connection:
        return found[1], [entry for _, entry in tables.ended_since(connection, found[0], 0)]


def forget(ctx: Context, name: str) -> None:
    """Delete a study with its trials; raises NotFound, and Conflict while a living process works on it."""
    entries(ctx, name)
    with ctx.db.transaction() as connection:
        found = tables.find_study(connection, name)
        if found is None:
            return
        now = ctx.now()
        rows = tables.running(connection, found[0])
        if any(row["lease_until"] > now and not is_gone(row["owner"]) for row in rows):
            raise Conflict(f"The study {name!r} is being searched.", hint="Wait for its end, or end its process.")
        tables.remove_study(connection, found[0])
        audit.append(connection, ctx, Event("study.deleted", f"study:{found[0]}", {"name": name}))


def _find(ctx: Context, name: str) -> tuple[str, Declared] | None:
    with ctx.db.reading() as connection:
        return tables.find_study(connection, name)
