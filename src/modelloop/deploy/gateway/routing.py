"""The follower: a thread that watches the routing table, loads beside what is live, swaps, and reports.

Nothing it does can take an answer away: a table that cannot be read or loaded whole leaves the one before in service,
says why in the report, and is tried again.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...ground.core.clock import Clock
from ...ground.core.errors import BlobMissing, InvalidInput, ModelloopError
from ...ground.store.blobs import Blobs
from ..log import LogWriter
from ..records import GatewayReport
from ..table import TABLE_DOCUMENT, decode_table, encode_report, report_document
from .edge import contained
from .runtime import Live, Loader, assemble
from .shadow import Shadow

POLL_SECONDS = 0.1
REPORT_SECONDS = 1.0
RETRY_SECONDS = 1.0


class Follower:
    """Keeps `live.serving` what the routing table says. `step` is one look; it never runs in two threads."""

    def __init__(self, blobs: Blobs, live: Live, loader: Loader) -> None:
        self._blobs = blobs
        self._live = live
        self._loader = loader
        self._tag: str | None = None

    def step(self, *, again: bool = False) -> bool:
        """Follow the table if it changed (or `again`); say whether something else answers now."""
        tag = self._blobs.document_tag(TABLE_DOCUMENT)
        if tag is None or (tag == self._tag and not again):
            return False
        try:
            table = decode_table(self._blobs.read_document(TABLE_DOCUMENT))
        except (InvalidInput, BlobMissing) as error:
            self._live.failed = {TABLE_DOCUMENT: str(error)}
            self._tag = tag
            return False
        before = self._live.serving
        after, failed = assemble(table, before.arms, self._loader)
        self._tag = tag
        self._live.failed = failed
        if failed and before.routes:
            return False
        self._live.serving = after
        return after.generation != before.generation or after.routes.keys() != before.routes.keys()


@dataclass(frozen=True, slots=True)
class Reporter:
    """Writes what the gateway says of itself."""

    blobs: Blobs
    live: Live
    shadow: Shadow
    log: LogWriter
    clock: Clock
    gateway: str
    address: str

    def report(self) -> GatewayReport:
        """Return the report as of now."""
        serving = self.live.serving
        return GatewayReport(
            gateway=self.gateway,
            generation=serving.generation,
            at=self.clock.now(),
            address=self.address,
            pid=os.getpid(),
            loaded=tuple(sorted({arm.version for arm in serving.arms})),
            failed=dict(self.live.failed),
            answered=self.live.answered,
            shadow_scored=self.shadow.scored,
            shadow_dropped=self.shadow.dropped,
            shadow_failed=self.shadow.failed,
            errors=self.live.errors,
            log_failed=self.log.failed,
        )

    def write(self) -> None:
        """Replace the report document."""
        self.blobs.write_document(report_document(self.gateway), encode_report(self.report()))


class FollowerThread:
    """Runs `Follower.step` about ten times a second and a report about once a second and after each swap."""

    def __init__(self, follower: Follower, reporter: Reporter, live: Live) -> None:
        self._follower = follower
        self._reporter = reporter
        self._live = live
        self._said = ""
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self, patience: float = 0.0) -> None:
        """Start the thread; return after its first look, or when `patience` seconds are over."""
        self._thread.start()
        self._looked.wait(patience)

    def stop(self, seconds: float = 5.0) -> None:
        """End the thread, then report once more."""
        self._stop.set()
        self._thread.join(seconds)
        self._tolerant(self._reporter.write)

    def _run(self) -> None:
        reported, tried = -REPORT_SECONDS, -RETRY_SECONDS
        while not self._stop.is_set():
            now = time.monotonic()
            retry = bool(self._live.failed) and now - tried >= RETRY_SECONDS
            tried = now if retry else tried
            swapped = self._tolerant(partial(self._follower.step, again=retry))
            self._looked.set()
            if swapped or time.monotonic() - reported >= REPORT_SECONDS:
                reported = time.monotonic()
                self._tolerant(self._reporter.write)
            self._stop.wait(POLL_SECONDS)

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
