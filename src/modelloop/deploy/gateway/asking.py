"""One request on its way: which version is asked, who stands in for it, what is written, and when the caller hears.

Nothing here waits. A version that answers in a lane, and a log that must reach the disk, call back; each step goes on
where the one before left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from ...ground.core.clock import Clock, SystemClock
from ...ground.core.errors import InvalidInput, ModelloopError, NotFound, NotReady, RequestInvalid
from ...prepare.records import Columns
from ..log import frame
from ..privacy import text_of
from ..records import Lookup, Stage
from ..route import ArmName, choose, shadowed
from .asked import Answered, Asked
from .counting import Counters
from .edge import ArmError, contained
from .naming import Ids
from .protocol import expanded
from .recording import Record, written_inputs, written_outputs
from .runtime import LoadedArm, LoadedRoute, Scored, Serving, columns_for, run, settled
from .shadow import ShadowJob

Done = Callable[["Answered | ModelloopError"], None]
UNWRITTEN = "The prediction log cannot be written, and this endpoint does not answer without it."


class Log(Protocol):
    """Where records go, by how safe they must be (`deploy.log.PredictionLog`)."""

    def append(self, record: bytes) -> bool:
        """Put a record where a killed process does not lose it; False: it could not be."""
        ...

    def append_disk(self, record: bytes, done: Callable[[bool], None]) -> None:
        """Put a record on the disk, then call `done`, in whatever thread."""
        ...

    def append_buffered(self, record: bytes) -> bool:
        """Put a record where it is written within a second."""
        ...


class Fills(Protocol):
    """Where columns are looked up that a request does not bring (`online.Online`)."""

    def fill(self, lookups: tuple[Lookup, ...], asked: Asked) -> Asked:
        """Return the request with them."""
        ...


class Explains(Protocol):
    """Who computes contributions, off the event loop."""

    def submit(self, arm: LoadedArm, columns: Columns, done: Callable[[Any], None]) -> None:
        """Call `done` with the contributions or a ModelloopError, in whatever thread."""
        ...


@dataclass(slots=True)
class Desk:
    """What every request on its way needs."""

    clock: Clock
    log: Log | None = None
    """None: nothing is written."""
    shadow: Callable[[ShadowJob], None] | None = None
    online: Fills | None = None
    explains: Explains | None = None
    log_key: bytes | None = None
    hop: Callable[[Callable[[], None]], object] = lambda do: do()
    """Brings what a lane or the disk has to say back to the event loop's thread."""
    counters: Counters = field(default_factory=Counters)
    ids: Ids = field(default_factory=Ids)

    def microseconds(self) -> int:
        """Return the clock's time since 1970."""
        if type(self.clock) is SystemClock:
            return time.time_ns() // 1000
        return round(self.clock.now().timestamp() * 1_000_000)


@dataclass(slots=True)
class Call:
    """A request, and how far it has come."""

    desk: Desk
    serving: Serving
    route: LoadedRoute
    pinned: LoadedArm | None
    asked: Asked
    done: Done
    prediction: str
    at: int
    started: float
    name: ArmName = ArmName.CHAMPION
    error: str | None = None
    """Why the version that is tried did not answer, where another stands in."""
    finished: bool = False
    _counted: bool = False

    def start(self) -> None:
        """Choose the version and ask it. Raises for a request that no version can answer."""
        route, asked = self.route, expanded(self.route.form, self.asked)
        if asked.rows > route.route.max_rows:
            raise RequestInvalid(f"{asked.rows} rows in one request.", hint=f"Send at most {route.route.max_rows}.")
        if route.route.features and self.desk.online is not None:
            asked = self.desk.online.fill(route.route.features, asked)
        self.asked = asked
        self.name, arm = self._chosen()
        if self.name is ArmName.CHALLENGER and self.pinned is None:
            columns_for(route.champion, asked)  # it must be able to take over
        if self._stand_in() is None:
            self._ask(arm, columns_for(arm, asked))
        else:
            self._try(arm)

    def _chosen(self) -> tuple[ArmName, LoadedArm]:
        route = self.route
        if self.pinned is not None:
            return (ArmName.CHAMPION if self.pinned is route.champion else ArmName.CHALLENGER), self.pinned
        if route.challenger is None or choose(route.route, self._key()) is ArmName.CHAMPION:
            return ArmName.CHAMPION, route.champion
        return ArmName.CHALLENGER, route.challenger

    def _key(self) -> str:
        """Return what keeps a caller on one arm: the key's first value, else the prediction id."""
        tensor = self.asked.tensors.get(self.route.route.key or "")
        if tensor is None or not len(tensor.values):
            return self.prediction
        value = tensor.values[0]
        value = value.item() if hasattr(value, "item") else value
        return self.prediction if value is None or value != value else text_of(value)  # noqa: PLR0124 - NaN

    def _stand_in(self) -> LoadedArm | None:
        """Return who answers where the version that is tried fails: the champion, in a bake the version before."""
        if self.pinned is not None or self.error is not None:
            return None
        if self.name is ArmName.CHALLENGER:
            return self.route.champion
        others = [arm for arm in self.route.arms if arm is not self.route.champion]
        return others[0] if self.route.route.stage is Stage.BAKE and others else None

    def _try(self, arm: LoadedArm) -> None:
        """Ask the version that is tried, whose every failure is another's turn."""
        try:
            lacking = [one.name for one in self.asked.wanted if not _has(arm, one.name)]
            if lacking:
                raise ArmError(f"{arm.arm.version} has no output {lacking[0]!r}.")
            self._ask(arm, columns_for(arm, self.asked))
        except ModelloopError as failure:
            if self.finished or self.error is not None:
                raise
            self._fall_back(arm, failure)

    def _ask(self, arm: LoadedArm, columns: Columns) -> None:
        if arm.lane is None:
            self._scored(arm, columns, run(arm, columns, self.asked.rows))
            return
        self._count_in()
        begun = time.perf_counter()
        back = partial(self._from_lane, arm, columns, begun)
        arm.lane.submit(columns, self.asked.rows, lambda found: _none(self.desk.hop(partial(back, found))))

    def _from_lane(self, arm: LoadedArm, columns: Columns, begun: float, found: Any) -> None:
        """Go on, on the event loop's thread, with what a lane has answered."""
        self.guarded(partial(self._resume, arm, columns, begun, found))

    def _resume(self, arm: LoadedArm, columns: Columns, begun: float, found: Any) -> None:
        try:
            if isinstance(found, ModelloopError):
                raise found
            scored = settled(arm, found, self.asked.rows, (time.perf_counter() - begun) * 1000)
        except ModelloopError as failure:
            if self._stand_in() is None:
                raise
            self._fall_back(arm, failure)
            return
        self._scored(arm, columns, scored)

    def _fall_back(self, arm: LoadedArm, failure: ModelloopError) -> None:
        other = self._stand_in()
        try:
            able = other is not None and all(_has(other, one.name) for one in self.asked.wanted)
            columns = columns_for(other, self.asked) if other is not None and able else None
        except ModelloopError:
            columns = None
        if other is None or columns is None:
            raise failure  # what neither can read is the caller's mistake, in the words of the version that answers
        self.error = str(failure)[:500]
        self.tally(arm).failed += 1
        self.name = ArmName.CHAMPION
        self._ask(other, columns)

    def _scored(self, arm: LoadedArm, columns: Columns, scored: Scored) -> None:
        if self.asked.explain:
            self._explained_by(arm, columns, scored)
            return
        self._commit(arm, columns, scored, None)

    def _explained_by(self, arm: LoadedArm, columns: Columns, scored: Scored) -> None:
        if self.desk.explains is None:
            raise RequestInvalid("Explanations are not given here.", hint="Leave parameters.explain out.")
        self._count_in()

        def told(found: Any) -> None:
            self.desk.hop(partial(self.guarded, partial(self._with_explanation, arm, columns, scored, found)))

        self.desk.explains.submit(arm, columns, told)

    def _with_explanation(self, arm: LoadedArm, columns: Columns, scored: Scored, found: Any) -> None:
        if isinstance(found, ModelloopError):
            raise found
        self._commit(arm, columns, scored, found)

    def _commit(self, arm: LoadedArm, columns: Columns, scored: Scored, explained: Mapping[str, Any] | None) -> None:
        """Write the record, then answer."""
        endpoint = self.route.route.endpoint
        answered = Answered(
            endpoint, arm.arm.version, arm.signature, self.prediction, self.asked.id, scored.outputs, explained
        )
        job = self._shadow_job()
        seconds = time.perf_counter() - self.started
        record = self.record("a", arm, columns) | {"s": scored.scores, "ms": round(scored.milliseconds, 4)}
        record["lat"] = round(seconds * 1000, 4)
        record |= written_outputs(arm.signature, scored.outputs)
        if self.error is not None:
            record["err"] = self.error
        if job is not None:
            record["sv"] = job.arm.arm.version
        self.tally(arm).count(self.asked.rows, seconds, scored.milliseconds / 1000, self.at / 1_000_000)
        self._write(frame(record), partial(self._finish, answered, job))

    def _write(self, record: bytes, then: Callable[[bool], None]) -> None:
        log, policy = self.desk.log, self.route.route.log
        if log is None:
            then(True)
        elif policy.durability == "disk":
            self._count_in()
            log.append_disk(record, lambda kept: _none(self.desk.hop(partial(self.guarded, partial(then, kept)))))
        else:
            then(log.append_buffered(record) if policy.durability == "buffered" else log.append(record))

    def _finish(self, answered: Answered, job: ShadowJob | None, kept: bool) -> None:
        if not kept and self.route.route.log.required:
            raise NotReady(UNWRITTEN, hint="Its owner must see to the disk; ask again later.")
        self.finish(answered)
        if job is not None and self.desk.shadow is not None:
            self.desk.shadow(job)

    def finish(self, found: Answered | ModelloopError) -> None:
        """Tell the caller, once."""
        if self.finished:
            return
        self.finished = True
        if self._counted:
            self.desk.counters.in_flight -= 1
        if isinstance(found, ModelloopError):
            self.desk.counters.refuse(self.route.route.endpoint, found.status)
        self.done(found)

    def guarded(self, step: Callable[[], None]) -> None:
        """Take a step; whatever it raises is the caller's answer."""
        try:
            contained(step)
        except ArmError as failure:
            self.finish(self._failed(failure))
        except ModelloopError as error:
            if self.finished:
                raise
            self.finish(error)

    def record(self, kind: str, arm: LoadedArm, columns: Columns | None) -> dict[str, Any]:
        """Return what every record of this request says."""
        asked, route = self.asked, self.route.route
        event = self.at if asked.event_time is None else round(asked.event_time.timestamp() * 1_000_000)
        facts: Record = {"k": kind, "id": self.prediction, "at": self.at, "et": event}
        facts |= {"ep": route.endpoint, "gen": self.serving.generation, "arm": str(self.name), "v": arm.arm.version}
        facts |= written_inputs(self.route, arm, asked, columns, self.desk.log_key)
        if asked.id is not None:
            facts["cid"] = asked.id
        return facts

    def tally(self, arm: LoadedArm) -> Any:
        """Return the counts of the arm that is being asked."""
        return self.desk.counters.tally(self.route.route.endpoint, arm.arm.version, str(self.name))

    def _failed(self, failure: ArmError) -> ModelloopError:
        """A version failed and no other stands in: the champion, or one that was asked for by number."""
        arm = self.pinned or self.route.champion
        self.tally(arm).failed += 1
        with suppress(ModelloopError):
            record = self.record("f", arm, None) | {"err": str(failure)[:500], "rows": self.asked.rows}
            self._write(frame(record), _none)
        shown = ModelloopError if failure.status == ModelloopError.status else NotReady
        return shown(
            f"{arm.arm.version} could not answer: it failed in itself, not because of the request.",
            hint=f"Tell the endpoint's owner the prediction id {self.prediction}.",
        )

    def _shadow_job(self) -> ShadowJob | None:
        challenger = self.route.challenger
        if challenger is None or self.pinned is not None or self.error is not None:
            return None
        if not shadowed(self.route.route, self.prediction):
            return None
        return ShadowJob(self.prediction, challenger, self.asked, None, self.asked.rows)

    def _count_in(self) -> None:
        if not self._counted:
            self._counted = True
            self.desk.counters.in_flight += 1


def pinned_arm(route: LoadedRoute, number: str) -> LoadedArm:
    """Return the version that was asked for by number; raises NotFound."""
    arm = route.by_number(number)
    if arm is None:
        loaded = ", ".join(each.number for each in route.arms)
        raise NotFound(f"Version {number[:20]!r} of {route.route.endpoint!r} is not loaded.", hint=f"Loaded: {loaded}.")
    return arm


def _has(arm: LoadedArm, output: str) -> bool:
    return output.startswith("explain_") or any(spec.name == output for spec in arm.signature.answered)


def _none(_: object) -> None:
    return None


__all__ = ["Call", "Desk", "Done", "Explains", "Fills", "InvalidInput", "Log", "pinned_arm"]
