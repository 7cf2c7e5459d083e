"""The thread that sends: as quickly as the destination takes it, with pauses that grow while it does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..ground.core.errors import ModelloopError, NotReady
from ..ground.flow.failure import attempt
from .delivery import Delivery
from .destination import Destination, Home
from .problems import Problems
from .spool import Spool

PAUSE = 0.5
LONGEST_PAUSE = 30.0
OUTPUT_EVERY = 30.0
LIVE_OUTPUT = 1024 * 1024
"""Longer output is sent at the end only."""
PATIENCE = 20.0
"""So long the end of a run waits for a destination that neither fails nor gets on."""


class Sender:
    """Sends one spool until the run has ended and all has arrived, or the destination does not answer then."""

    def __init__(
        self,
        spool: Spool,
        open_destination: Callable[[], Destination],
        problems: Problems,
        *,
        after: Callable[[Destination, bool], None],
    ) -> None:
        self._spool, self._open, self._problems = spool, open_destination, problems
        self._after = after
        """What else is sent once the run's own things are: what dead processes left. True: only of this run."""
        self._delivery: Delivery | None = None
        self._destination: Destination | None = None
        self._wake = threading.Event()
        self._known = threading.Event()
        self._closing = False
        self._swept = False
        self._printed_at = time.monotonic()
        self._progress = 0
        self.done = False
        """All has arrived, the end included."""
        self._thread = threading.Thread(target=self._work, name="modelloop-send", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def home(self, patience: float) -> Home | None:
        """Return what the run is called where it goes, waiting a little for the first answer."""
        self._known.wait(patience)
        return self._delivery.home if self._delivery else None

    def url(self, patience: float) -> str:
        """Return the address of the run's page."""
        home = self.home(patience)
        return self._destination.url(home) if home and self._destination else ""

    def finish(self) -> bool:
        """Send the rest; return whether all arrived. Waits as long as it gets on, and no longer."""
        self._closing = True
        self._wake.set()
        seen, since = -1, time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.05)
            moved = self._progress + (self._destination.moved if self._destination else 0)
            if moved != seen:
                seen, since = moved, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                return False
        return self.done

    @property
    def is_closing(self) -> bool:
        """Say whether somebody waits for the end."""
        return self._closing

    @property
    def is_alive(self) -> bool:
        """Say whether the thread still works: its spool may not be closed."""
        return self._thread.is_alive()

    def _work(self) -> None:
        pause = PAUSE
        while True:
            closing = self._closing
            if self._tried(self._send):
                pause = PAUSE
                self._beside(closing)
                self.done = closing
            else:
                pause = min(pause * 2, LONGEST_PAUSE)
            if closing:
                break
            self._wake.wait(pause)  # only the end of the run is a reason to ask earlier
        if self._destination is not None:
            self._destination.close()

    def _beside(self, closing: bool) -> None:
        """Do what can wait: send the output so far, and what dead processes left."""
        destination, delivery = self._destination, self._delivery
        if destination is None or delivery is None:
            return
        if closing:
            self._tried(lambda: self._after(destination, True))
            return
        if time.monotonic() - self._printed_at > OUTPUT_EVERY:
            self._printed_at = time.monotonic()
            if self._spool.printed <= LIVE_OUTPUT:
                self._tried(delivery.send_output)
            self._tried(lambda: self._after(destination, True))
        if not self._swept:
            self._swept = True
            self._tried(lambda: self._after(destination, False))

    def _tried(self, send: Callable[[], None]) -> bool:
        """Send something; say why where the destination does not take it now."""
        _, error = attempt(send)
        if error is None:
            return True
        self._progress += 1
        if isinstance(error, NotReady):  # the process that began the run has not sent it yet
            return False
        expected = isinstance(error, ModelloopError | OSError)
        told = (str(error) if expected else f"{type(error).__name__}: {error}").replace("\n", " ")[:500]
        self._problems.say(f"{told} What is logged waits in {self._spool.folder}, and is sent later.")
        return False

    def _send(self) -> None:
        if self._delivery is None:
            self._destination = self._destination or self._open()
            self._delivery = Delivery(self._spool, self._destination, self._problems, again=False)
        while self._delivery.some():
            self._progress += 1
            self._known.set()
