"""The follower: a thread that watches the routing table, loads beside what is live, swaps, and reports.

Nothing it does can take an answer away: a table that cannot be read or loaded whole leaves the one before in service,
says why in the report, and is tried again. A table of an older generation is not followed, unless its epoch is newer.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from ...ground.core.clock import Clock
from ...ground.core.errors import BlobMissing, InvalidInput, ModelloopError, StoreUnavailable
from ..records import Arm, GatewayReport, RoutingTable
from ..table import decode_table, encode_report, report_document
from .edge import contained
from .keeping import Keep
from .opening import release, troubles
from .runtime import Live, LoadedArm, Loader, assemble
from .signals import Freshness
from .sources import TableSource

POLL_SECONDS = 0.1
REPORT_SECONDS = 1.0
RETRY_SECONDS = 1.0
FIRST_LOOK_SECONDS = 1.0
"""How long a start waits for the source before it goes on with the table that was kept."""
KEPT = "the table kept by --state"
GONE = "There is no routing table any more; the last one is served."

T = TypeVar("T")


class ShadowCounts(Protocol):
    """What the shadow has done."""

    scored: int
    dropped: int
    failed: int

    @property
    def lag(self) -> float:
        """Seconds for which the oldest waiting request has waited."""
        ...


class LogCounts(Protocol):
    """What the prediction log could not do."""

    @property
    def failed(self) -> int:
        """Records that were not written."""
        ...


class Documents(Protocol):
    """Where a report goes."""

    def write_document(self, name: str, data: bytes) -> None:
        """Replace the named document."""
        ...


class Follower:
    """Keeps `live.serving` what the routing table says. `first` and `step` are one look; never in two threads."""

    def __init__(
        self,
        source: TableSource,
        live: Live,
        loader: Loader,
        *,
        freshness: Freshness,
        keep: Keep | None = None,
        plan: Callable[[RoutingTable], None] = lambda _table: None,
    ) -> None:
        """`plan`: called with each table before its versions are loaded."""
        self.freshness = freshness
        self.origin = source.name
        """Where the table that is served came from."""
        self._source = source
        self._live = live
        self._loading = _Loading(loader, keep)
        self._keep = keep
        self._plan = plan
        self._tag: str | None = None
        self._newest = (-1, -1)

    def first(self, seconds: float = FIRST_LOOK_SECONDS) -> bool:
        """Look once; where nothing comes in time, or cannot be loaded, go on with the table that was kept."""
        if self._keep is None or (kept := self._keep.table()) is None:
            return self.step()
        found = within(seconds, self._look)
        swapped = found is not None and found[0] is not None and self._follow(*found)
        if self._live.serving.routes and not self._live.failed:
            return swapped
        self._tag = None
        return self._follow(kept, None, restored=True) or swapped

    def step(self, *, again: bool = False) -> bool:
        """Follow the table if it changed (or `again`); say whether something else answers now."""
        try:
            tag = self._source.tag()
        except ModelloopError as error:
            self.freshness.missed(str(error))
            raise
        if tag is None and self._live.serving.routes:  # a folder that is no longer mounted looks like this too
            self.freshness.missed(f"{self._source.name}: {GONE}")
            self._live.failed = {self._source.name: GONE}
            return False
        self.freshness.seen()
        if tag is None:
            return False
        if tag == self._tag and not again:
            return False
        try:
            return self._follow(self._source.read(), tag)
        except BlobMissing:  # taken away since its tag was read
            return False

    def _look(self) -> tuple[bytes | None, str | None]:
        tag = self._source.tag()
        self.freshness.seen()
        return (None, None) if tag is None else (self._source.read(), tag)

    def _follow(self, data: bytes | None, tag: str | None, *, restored: bool = False) -> bool:
        try:
            table = decode_table(data or b"")
            self._check_age(table)
        except InvalidInput as error:
            self._live.failed = {KEPT if restored else self._source.name: str(error)}
            self._tag = tag
            return False
        before = self._live.serving
        self._plan(table)
        now = self._at_once(table)
        after, failed = assemble(now, before.arms, self._loading)
        self._tag = tag if failed or now is table else None  # None: the next look loads what is left
        self._live.failed = failed
        if failed and before.routes:
            release(one for arm, one in after.arms.items() if arm not in before.arms)
            return False
        self._live.serving = after
        self.origin = KEPT if restored else self._source.name
        self._newest = (table.epoch, table.generation)
        release(one for arm, one in before.arms.items() if arm not in after.arms)
        if self._keep is not None and not failed:
            self._keep.keep_table(data or b"")
            if now is table:
                self._keep.prune(self._loading.wanted(after.arms))
        return after.generation != before.generation or after.routes.keys() != before.routes.keys()

    def _at_once(self, table: RoutingTable) -> RoutingTable:
        """Return a new table without the standby versions that are not loaded yet, while something answers.

        They answer nobody. A rollback, whose table names an older version to keep loaded, does not wait for that one to
        be loaded, and does not fail where it cannot be.
        """
        held = self._live.serving
        if not held.routes or (table.epoch, table.generation) == self._newest:
            return table
        routes = tuple(
            replace(route, standby=tuple(arm for arm in route.standby if arm in held.arms)) for route in table.routes
        )
        return table if routes == table.routes else replace(table, routes=routes)

    def _check_age(self, table: RoutingTable) -> None:
        if (table.epoch, table.generation) < self._newest:
            raise InvalidInput(
                f"It shows generation {table.generation} (epoch {table.epoch}), older than generation "
                f"{self._newest[1]} (epoch {self._newest[0]}), which goes on being served.",
                hint="Were facts restored from a backup? Publish with a higher epoch.",
            )


class _Loading:
    """Loads versions, and remembers which bytes each of them is made of."""

    def __init__(self, loader: Loader, keep: Keep | None) -> None:
        self._loader = loader
        self._keep = keep
        self._bytes: dict[Arm, frozenset[str]] = {}

    def __call__(self, arm: Arm) -> LoadedArm:
        if self._keep is None:
            return self._loader(arm)
        with self._keep.asked() as asked:
            loaded = self._loader(arm)
            self._bytes[arm] = frozenset(asked)
        return loaded

    def wanted(self, arms: Iterable[Arm]) -> frozenset[str]:
        """Return the hashes that these versions are made of; forget the others."""
        held = set(arms)
        self._bytes = {arm: found for arm, found in self._bytes.items() if arm in held}
        return frozenset().union(*self._bytes.values())


@dataclass(frozen=True, slots=True)
class Reporter:
    """Writes what the gateway says of itself."""

    documents: Documents
    live: Live
    shadow: ShadowCounts
    log: LogCounts
    clock: Clock
    gateway: str
    address: Callable[[], str]
    follower: Follower

    def report(self) -> GatewayReport:
        """Return the report as of now."""
        serving = self.live.serving
        return GatewayReport(
            gateway=self.gateway,
            generation=serving.generation,
            at=self.clock.now(),
            address=self.address(),
            pid=os.getpid(),
            loaded=tuple(sorted({arm.version for arm in serving.arms})),
            failed={**self.live.failed, **troubles(serving.arms.values())},
            answered=self.live.answered,
            shadow_scored=self.shadow.scored,
            shadow_dropped=self.shadow.dropped,
            shadow_failed=self.shadow.failed,
            shadow_lag=self.shadow.lag,
            errors=self.live.errors,
            log_failed=self.log.failed,
            stale_since=self.follower.freshness.since,
            source=self.follower.origin,
        )

    def write(self) -> None:
        """Replace the report document."""
        self.documents.write_document(report_document(self.gateway), encode_report(self.report()))


class FollowerThread:
    """Runs `Follower.step` about ten times a second and a report about once a second and after each swap."""

    def __init__(
        self, follower: Follower, reporter: Reporter, live: Live, *, every: float = POLL_SECONDS,
        beside: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        """`beside`: called before each report."""
        self._follower = follower
        self._reporter = reporter
        self._live = live
        self._every = every
        self._beside = beside
        self._said = ""
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self, patience: float = 0.0) -> None:
        """Start the thread; return after its first look, or when `patience` seconds are over."""
        self._thread.start()
        self._looked.wait(patience)

    def stop(self, seconds: float = 5.0) -> None:
        """End the thread, then report once more: a thread that hangs in a store that is away is left behind."""
        self._stop.set()
        self._thread.join(seconds)
        if not self._thread.is_alive():
            self._tolerant(self._reporter.write)

    def _run(self) -> None:
        self._tolerant(self._follower.first)
        self._looked.set()
        reported, tried = -REPORT_SECONDS, time.monotonic()
        swapped = True
        while not self._stop.is_set():
            if swapped or time.monotonic() - reported >= REPORT_SECONDS:
                reported = time.monotonic()
                if self._beside is not None:
                    self._tolerant(self._beside)
                self._tolerant(self._reporter.write)
            self._stop.wait(self._every)
            now = time.monotonic()
            retry = bool(self._live.failed) and now - tried >= RETRY_SECONDS
            tried = now if retry else tried
            swapped = not self._stop.is_set() and self._tolerant(partial(self._follower.step, again=retry))

    def _tolerant(self, do: Callable[[], object]) -> bool:
        """Do it; a store that does not answer must not end the thread: the next look tries again."""
        try:
            return bool(contained(do))
        except ModelloopError as error:
            said = f"gateway: {error}"
            if said != self._said:
                print(said, file=sys.stderr, flush=True)  # noqa: T201 - its log
            self._said = said
            return False


def within(seconds: float, do: Callable[[], T]) -> T | None:
    """Return what `do` returns, or None where it fails or takes longer; it is left behind then."""
    found: list[T] = []

    def run() -> None:
        try:
            found.append(do())
        except (StoreUnavailable, BlobMissing, OSError):
            return

    thread = threading.Thread(target=run, name="first look", daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else None
