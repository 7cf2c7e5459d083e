"""From the spool to where it belongs: batches of what fits, what is refused set apart, what fails kept for later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..ground.core.errors import ModelloopError, NotFound, StoreUnavailable
from ..train.tracking.records import MAX_BATCH, MAX_BATCH_PARAMS, MAX_BATCH_TAGS
from .destination import NOT_NOW, Destination, Home, Point, header_of
from .problems import Problems
from .spool import Record, Sent, Spool

OUTPUT = "output.log"
Entry = tuple[str, Any, Any]
"""Kind ("m", "p" or "t"), name or point, value."""


@dataclass(slots=True)
class _Batch:
    points: list[Point] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.points or self.params or self.tags)

    def fits(self, record: Record) -> bool:
        """Say whether a record still fits into one request."""
        size = len(self.points) + len(self.params) + len(self.tags)
        if record["k"] == "m":
            return size + len(record["rows"]) <= MAX_BATCH
        own, most = (self.params, MAX_BATCH_PARAMS) if record["k"] == "p" else (self.tags, MAX_BATCH_TAGS)
        return len(own) + len(record["items"]) <= most and size + len(record["items"]) <= MAX_BATCH

    def add(self, record: Record) -> None:
        """Take a record of metrics, params or tags."""
        if record["k"] == "m":
            self.points += [(row[0], row[1], row[2], row[3]) for row in record["rows"]]
        else:
            (self.params if record["k"] == "p" else self.tags).update(record["items"])

    def entries(self) -> list[Entry]:
        """Return everything one by one."""
        listed: list[Entry] = [("t", name, value) for name, value in self.tags.items()]
        listed += [("p", name, value) for name, value in self.params.items()]
        return listed + [("m", point[0], point) for point in self.points]


class Delivery:
    """Sends one spool. Raises what `NOT_NOW` lists; everything else that is refused is counted as a problem."""

    def __init__(self, spool: Spool, destination: Destination, problems: Problems, *, again: bool) -> None:
        self.spool, self.destination, self.problems = spool, destination, problems
        self._again = again or spool.sent.offset > 0
        self._printed = 0
        self.ended = False
        """The last record of the run has arrived."""

    @property
    def home(self) -> Home | None:
        """What the run is called where it went; None until it is there."""
        sent = self.spool.sent
        return Home(sent.run, sent.experiment) if sent.run else None

    def some(self) -> bool:
        """Send the next part; return False where there is nothing left to send."""
        records, mark = self.spool.read()
        if not records:
            return False
        batch, files = _Batch(), list[str]()
        for record in records:
            if record["k"] in "mpt":
                if not batch.fits(record):
                    self._flush(batch)
                    batch = _Batch()
                batch.add(record)
                continue
            self._flush(batch)
            batch = _Batch()
            files += self._special(record)
        self._flush(batch)
        home = self.home
        self.spool.arrived(
            Sent(mark.offset, home.run if home else "", home.experiment if home else "", mark.memory), files
        )
        return True

    def send_output(self) -> None:
        """Send what the run printed, where it printed more since the last time."""
        if self.home is None or self.spool.printed == self._printed:
            return
        printed = self.spool.printed
        if self._upload(OUTPUT, self.spool.folder / "output"):
            self._printed = printed

    def finish(self, status: str, end_ms: int) -> None:
        """End the run."""
        if self.home is None:
            return
        try:
            self.destination.finish(self.home, status, end_ms)
        except NOT_NOW:
            raise
        except ModelloopError as error:
            self.problems.add(f"The end of the run was refused: {error}")

    def _special(self, record: Record) -> Sequence[str]:
        """Send what is no metric, param or tag; return the copies that are needed no more."""
        if record["k"] == "open":
            self._open(record)
        elif record["k"] == "a":
            kept = record.get("file")
            source = self.spool.folder / "files" / kept if kept else record.get("data") or Path(record["source"])
            self._upload(record["path"], source)
            return [kept] if kept else []
        elif record["k"] == "end":
            self.send_output()
            self.finish(record["status"], record["end_ms"])
            self.ended = True
        return []

    def _open(self, record: Record) -> None:
        again, self._again = self._again, True
        try:
            home = self.destination.open(header_of(record), again=again)
        except NOT_NOW:
            raise
        except ModelloopError as error:  # all of it waits: the experiment may come back, or get another name
            raise StoreUnavailable(f"The run was refused: {error}") from error
        self.spool.sent = Sent(self.spool.sent.offset, home.run, home.experiment, self.spool.sent.memory)

    def _upload(self, path: str, source: Path | bytes) -> bool:
        if self.home is None:
            return False
        try:
            self.destination.upload(self.home, path, source)
        except NOT_NOW:
            raise
        except ModelloopError as error:
            self.problems.add(f"The artifact {path[:80]!r} was refused: {error}")
        except OSError as error:
            self.problems.add(f"The artifact {path[:80]!r} cannot be read: {error}.")
        else:
            return True
        return False

    def _flush(self, batch: _Batch) -> None:
        if not batch or self.home is None:
            return
        try:
            self.destination.write(self.home, batch.points, batch.params, batch.tags)
        except NOT_NOW:
            raise
        except ModelloopError as error:
            self._halves(batch.entries(), error)

    def _halves(self, entries: Sequence[Entry], error: ModelloopError) -> None:
        """Find what was refused: halves are sent until what remains is one entry that is refused by itself."""
        if len(entries) == 1 or isinstance(error, NotFound):
            kind, name, _ = entries[0]
            what = {"m": "metric", "p": "param", "t": "tag"}[kind]
            gone = isinstance(error, NotFound)
            told = f"The run is gone: {error}" if gone else f"The {what} {name!r} was refused: {error}"
            self.problems.add(told, len(entries))
            return
        middle = len(entries) // 2
        for half in (entries[:middle], entries[middle:]):
            try:
                self._write(half)
            except NOT_NOW:
                raise
            except ModelloopError as again:
                self._halves(half, again)

    def _write(self, entries: Sequence[Entry]) -> None:
        assert self.home is not None
        named: dict[str, dict[str, str]] = {"p": {}, "t": {}}
        for kind, name, value in entries:
            if kind != "m":
                named[kind][name] = value
        points = [value for kind, _, value in entries if kind == "m"]
        self.destination.write(self.home, points, named["p"], named["t"])
