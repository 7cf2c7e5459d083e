"""Small good requests, answered with few operations. Whatever is unusual about one is left to the careful way.

The fast way never explains and never decides what is wrong: it either gives the answer that the careful way would give,
or none, before anything was written or counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter, time_ns
from types import MappingProxyType
from typing import TypeAlias

from ...ground.core.clock import SystemClock
from ...ground.core.errors import ModelloopError
from .answer import Answerer
from .counting import BOUNDS, Tally
from .edge import contained
from .plans import Plan, moment_of, plan_of
from .shadow import ShadowJob
from .single import Feed

Made: TypeAlias = "tuple[bytes, bytes, Tally, int, float, float, ShadowJob | None]"
"""An answer, its record, who counts it, its rows, seconds in the version and in all, and who scores it too."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of an inference request came to."""

    path: str
    endpoint: str
    number: str | None
    length: int
    """Of the body."""
    json: int | None
    """Length of the JSON before raw tensors; None: there are none."""
    simple: bool
    """Nothing in it needs more than the fast way has."""
    accepted: bytes
    """Content-Encodings that the caller takes; empty: only a plain body."""
    headers: Mapping[bytes, bytes]
    alone: bool
    """There is nothing but JSON, both ways."""


class Fast:
    """The fast way into an answerer. One thread."""

    def __init__(self, answerer: Answerer, check: Callable[[Mapping[bytes, bytes]], None]) -> None:
        self.answerer = answerer
        self.prediction = ""
        """The id of the request that was looked at last."""
        self._check = check
        self._desk = answerer.desk
        self._live = answerer.live
        self._ids = answerer.desk.ids
        self._system = type(answerer.desk.clock) is SystemClock
        self._serving = answerer.live.serving
        self._plans: dict[str, Plan | None] = {}
        """Of what is served now: what was served before is let go."""

    def head(self, url: bytes, given: Sequence[tuple[bytes, bytes]]) -> Head | None:
        """Return what a head comes to, or None where the application should look at it."""
        headers = dict(given)
        length = headers.get(b"content-length", b"")
        parts = url.decode("latin-1").strip("/").split("/")
        if len(headers) != len(given) or not length.isdigit() or b"transfer-encoding" in headers:
            return None
        if not (len(parts) == 4 or (len(parts) == 6 and parts[3] == "versions")) or "" in parts:
            return None
        try:
            self._check(headers)
        except ModelloopError:
            return None
        if int(length) > self.answerer.body_limit(url.decode("latin-1")):
            return None
        json = headers.get(b"inference-header-content-length")
        number = parts[4] if len(parts) == 6 else None
        odd = json is not None and not (json.isdigit() and int(json) <= int(length))
        simple = not (odd or number is not None or b"content-encoding" in headers)
        accepted = headers.get(b"accept-encoding", b"")
        head = None if json is None or odd else int(json)
        path = url.decode("latin-1")
        return Head(
            path,
            parts[2],
            number,
            int(length),
            head,
            simple,
            accepted,
            MappingProxyType(headers),
            head is None and not accepted,
        )

    def answer(self, head: Head, body: bytes, started: float) -> bytes | None:
        """Return the rest of a response behind its status line and the server's headers, or None."""
        at = time_ns() // 1000 if self._system else self._desk.microseconds()
        self.prediction = self._ids.new(at)
        if self._live.serving is not self._serving:
            self._serving, self._plans = self._live.serving, {}
        plan = self._plans.get(head.endpoint) or self._planned(head.endpoint)
        if plan is None or not head.simple or head.length > plan.max_body:
            return None
        try:
            return contained(self._answered, plan, head, body, at, started)
        except ModelloopError:  # nothing was written yet: the careful way finds out what it is
            return None

    def _planned(self, endpoint: str) -> Plan | None:
        if endpoint in self._plans:
            return None
        route = self._serving.routes.get(endpoint)
        if route is None:  # an endpoint that nobody has: there are as many of those as callers can think of
            return None
        plan = plan_of(route, self._serving.generation, self._desk)
        self._plans[endpoint] = plan
        return plan

    def _answered(self, plan: Plan, head: Head, body: bytes, at: int, started: float) -> bytes | None:
        feed = plan.feed
        if feed is not None and head.alone and (raw := feed.read(body)) is not None:
            found = self._single(plan, feed, raw, at, started)
        else:
            found = self._any(plan, head, body, at, started)
        if found is None:
            return None
        answer, record, tally, rows, scoring, seconds, job = found
        if not plan.write(record) and plan.required:
            return None
        tally.buckets[bisect_left(BOUNDS, seconds)] += 1
        tally.rows += rows
        tally.seconds += seconds
        tally.scoring += scoring
        tally.last = at / 1_000_000
        self._live.answered += 1
        if job is not None:
            plan.offer(job)
        return answer

    def _single(self, plan: Plan, feed: Feed, raw: bytes, at: int, started: float) -> Made | None:
        """Answer one row of one tensor."""
        prediction = self.prediction
        name = prediction.encode()
        arm, single = plan.choose_single(name)
        if arm is None or single is None:
            return None
        feed.fill(raw)
        begun = perf_counter()
        scored = single.score(feed.columns)
        if scored is None:
            return None
        now = perf_counter()
        scoring, seconds = now - begun, now - started
        if plan.shadows and plan.drawn():
            job = plan.shadow_row(prediction, raw)
            record = single.frame_shadowed(name, at, scoring * 1000, seconds * 1000, scored[1], raw)
        else:
            job, record = None, single.frame(name, at, scoring * 1000, seconds * 1000, scored[1], raw)
        return single.answer(name, scored[0]), record, arm.tally, 1, scoring, seconds, job

    def _any(self, plan: Plan, head: Head, body: bytes, at: int, started: float) -> Made | None:
        """Answer whatever else is for the fast way."""
        read = plan.read(body, head.json)
        if read is None:
            return None
        prediction = self.prediction
        arm = plan.champion if plan.canary is None else plan.choose(read, prediction)
        if arm is None:
            return None
        begun = perf_counter()
        scored = arm.score(read[0], read[1])
        if scored is None:
            return None
        now = perf_counter()
        scoring, seconds = now - begun, now - started
        name = prediction.encode()
        answer = arm.reply(name, read, scored[0], head.accepted)
        job = plan.shadow_job(prediction, read) if plan.shadows and plan.drawn() else None
        moment = moment_of(name, at, scoring * 1000, seconds * 1000)
        record = arm.record(moment, read, scored, "" if job is None else job.arm.arm.version)
        return answer, record, arm.tally, read[1], scoring, seconds, job
