"""One process's part in a run: its spool, and the threads that fill it, watch, and send."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

from . import leftover, where
from .destination import Destination, Header
from .keeping import Keeper, Printed, file_record, now_ms, pairs
from .problems import Problems
from .sending import Sender
from .spool import Spool, create
from .values import Piece
from .watching import Watch
from .where import Where


class Session:
    """Begins with the header of a run, ends with `finish`.

    Without `sends` it only keeps: in a forked child libraries with threads of their own hang, and so do imports that
    another thread was at. The process it came from sends that at its end, else the next run or `modelloop sync`.
    """

    def __init__(
        self, place: Where, header: Header, problems: Problems, watched: frozenset[str], *, sends: bool = True
    ) -> None:
        self.problems = problems
        self.spool = _spool(place, header)
        self.keeper = Keeper(self.spool, problems)
        self.spool.append([{"k": "open", **asdict(header)}])
        self._sender = Sender(self.spool, lambda: where.destination(place), problems, after=self._others(place))
        self._watch = Watch(self, watched, problems)
        self._attached, self._sends = header.attached, sends
        self._began = time.monotonic()

    def start(self) -> None:
        """Start the threads."""
        self._watch.start()
        self.keeper.start()
        if self._sends:
            self._sender.start()

    def id(self, patience: float) -> str:
        """Return the run's id where it goes, "" while that is not known."""
        home = self._sender.home(patience) if self._sends else None
        return home.run if home else ""

    def url(self, patience: float) -> str:
        """Return the address of the run's page."""
        return self._sender.url(patience) if self._sends else ""

    def keep_file(self, piece: Piece) -> None:
        """Copy a file into the spool now: what is logged is what it holds at this moment."""
        assert piece.source is not None
        self.spool.append([file_record(self.spool, piece.path, piece.source)])

    def finish(self, status: str) -> bool:
        """Keep and send the rest; return whether all has arrived. Whatever has not stays in the spool."""
        self._watch.stop()
        if counted := self.problems.counted():
            told = "; ".join(f"{text} ({times})" for text, times in list(counted.items())[:20])
            self.keeper.queue.append(pairs("t", {"modelloop.problems": told[:5000]}))
        self.keeper.stop()
        if not self._attached:
            self.spool.append([{"k": "end", "status": status, "end_ms": now_ms()}])
        arrived = self._sends and self._sender.finish()
        if not arrived and not self._attached:  # else the run's first process sends it at its end
            self.problems.say(
                f"Not all of this run has arrived. The rest waits in {self.spool.folder}; "
                "`modelloop sync` sends it, and so does the next run."
            )
        if not self._sender.is_alive:
            self.spool.close(remove=arrived)
        return arrived

    def abandon(self) -> None:
        """Leave it to the process that it was forked from."""
        self._watch.deaf()
        self.spool.let_go()

    def hear_text(self, text: str) -> None:
        """Keep a piece of output."""
        self.keeper.queue.append(Printed(text))

    def hear_numbers(self, numbers: dict[str, float]) -> None:
        """Keep what the machine does; its step counts seconds since the run's first second."""
        at = now_ms()
        step = int(time.monotonic() - self._began)
        self.keeper.queue.extend((name, value, step, at) for name, value in numbers.items())

    def hear_tags(self, tags: dict[str, str]) -> None:
        """Keep tags."""
        if tags:
            self.keeper.queue.append(pairs("t", tags))

    def hear_file(self, path: str, data: bytes) -> None:
        """Keep a file."""
        self.keeper.queue.append(Piece(path, lambda: data))

    def _others(self, place: Where) -> Callable[[Destination, bool], None]:
        root, run = self.spool.folder.parent, self.spool.folder.name.split(".")[0]

        def send(destination: Destination, own: bool) -> None:
            stop = (lambda: False) if own else (lambda: self._sender.is_closing)
            leftover.send_all(root, place.target, destination, stop, run=run if own else "")

        return send


def _spool(place: Where, header: Header) -> Spool:
    """Return a spool in the best place that can be written; raises OSError where none can."""
    last: OSError | None = None
    for root in place.roots:
        try:
            return create(root, header.run, time.time_ns())
        except OSError as error:
            last = error
    raise last or OSError("There is no folder for a spool.")
