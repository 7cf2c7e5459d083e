"""What a gateway appends to before it answers: three durabilities in one stream of files, for any number of threads.

*process*: copied into a mapped file before `append` returns; a killed process takes nothing of it along. *disk*: the
same, then fdatasync for everybody who waits at that moment, in a thread. *buffered*: written within half a second;
how many records a killed process took along stands in its counts.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...ground.core.ids import check_name
from .counts import Counts
from .marks import marked
from .segment import Segment, open_segment

ROTATE_AT = 16 * 1024 * 1024
ROTATE_SECONDS = 900.0
"""A file is closed after so long, so that what is in it can be taken in, kept by policy and erased."""
FLUSH_SECONDS = 0.4
MOST_HELD = 64 * 1024 * 1024
"""Bytes that may wait under `buffered`."""
PIECE = 1 << 20
RETRY_SECONDS = 0.2
"""How often a full disk is asked again."""

Done = Callable[[bool], None]


def _closed(_data: bytes) -> None:
    raise ValueError("no file is open")


class PredictionLog:
    """Appends frames to files `FOLDER/GATEWAY/START-SEQ.log`, whose names sort by age.

    `started_ns` names this writer's files: the clock's nanoseconds. A clock that went back since an earlier writer is
    helped on, so that names still sort.
    """

    def __init__(self, folder: Path, gateway: str, started_ns: int, *, rotate_at: int = ROTATE_AT) -> None:
        self.folder = folder / check_name(gateway, "gateway")
        self.failed = 0
        """Records that could not be written (a full disk)."""
        self.failing = ""
        """Why the last write failed; empty when it did not."""
        self.lost = 0
        """Buffered records that were turned away because too many waited."""
        self._put: Callable[[bytes], object] = _closed
        self._segment: Segment | None = None
        self._started = max(started_ns, _newest(self.folder) + 1)
        self._rotate_at = rotate_at
        self._numbers = itertools.count()
        self._counts = Counts(self.folder / f"{self._started:020d}.counts")
        self._lock = threading.RLock()
        self._opened = self._retry_at = 0.0
        self._failed_at = 0
        self._spare: Segment | None = None
        self._retired: list[Segment] = []
        self._syncing: deque[tuple[Done, float]] = deque()
        self._buffer: list[bytes] = []
        self._buffer_lock = threading.Lock()
        self._held = self._promised = self._settled = 0
        self._oldest = 0.0
        self._wake = threading.Event()
        self._thread: _Keeper | None = None
        self._over = False

    def append(self, frame: bytes) -> bool:
        """Append (process): a killed process keeps it. False: the disk refused it, which is counted."""
        try:
            self._put(frame)
        except (ValueError, OSError):  # the file is full, or none is open
            return self._append_next(frame, 1)
        return True

    def append_disk(self, frame: bytes, done: Done) -> None:
        """Append, and call `done` once it is on the disk (True), in another thread, or was refused (False)."""
        if not self.append(frame):
            done(False)
            return
        self._syncing.append((done, time.monotonic()))
        self._wake.set()

    def append_buffered(self, frame: bytes) -> bool:
        """Take a frame to be written within half a second. False: too many wait already, which is counted."""
        with self._buffer_lock:
            if self._held + len(frame) > MOST_HELD:
                self.lost += 1
                self._counts.note(self._settled, self.failed, self.lost)
                return False
            if not self._buffer:
                self._begin_buffer()
            self._promised += 1
            self._counts.promise(self._promised)
            self._held += len(frame)
            self._buffer.append(frame)
        return True

    def write(self, frames: Sequence[bytes]) -> bool:
        """Append several frames at once (process)."""
        data = b"".join(frames)
        try:
            self._put(data)
        except (ValueError, OSError):
            return self._append_next(data, len(frames))
        return True

    @property
    def lag(self) -> float:
        """Return for how many seconds the oldest record has waited to be written, or to be on the disk."""
        waiting = [self._oldest] if self._buffer else []
        with suppress(IndexError):
            waiting.append(self._syncing[0][1])
        return max(0.0, time.monotonic() - min(waiting)) if waiting else 0.0

    def close(self) -> None:
        """Write what waits, end the file; a later append begins a new one."""
        with self._lock:
            thread, self._thread, self._over = self._thread, None, True
        if thread is not None:
            thread.end()
        self._turn()
        with self._lock:
            self._retire()
            spare, self._spare, self._over = self._spare, None, False
        self._sync()
        if spare is not None:
            _discard(spare)
        self._counts.close()

    def _append_next(self, data: bytes, count: int) -> bool:
        """Append to the next file, or count what the disk refuses."""
        with self._lock:
            while (put := self._tried(data)) is None:  # another thread may open a file meanwhile, or fill it
                if not self._open_next(len(data)):
                    break
            return bool(put) or self._refused(None, count)

    def _tried(self, data: bytes) -> bool | None:
        """Append to the present file; None: it has no room, False: the disk refused."""
        try:
            self._put(data)
        except ValueError:
            return None
        except OSError as error:
            self.failing = f"{type(error).__name__}: {error}"
            return False
        self.failing = ""
        return True

    def _refused(self, error: OSError | None, count: int) -> bool:
        self.failed += count
        if error is not None:
            self.failing = f"{type(error).__name__}: {error}"
        self._failed_at = 0 if self._segment is None else self._segment.used()
        self._counts.note(self._settled, self.failed, self.lost)
        return False

    def _open_next(self, need: int) -> bool:
        """Begin the next file; False: the disk has no room, which is asked again a little later."""
        if time.monotonic() < self._retry_at:
            return False
        segment, self._spare = self._spare, None
        if segment is not None and need > self._rotate_at:
            _discard(segment)
            segment = None
        try:
            segment = segment or self._made(need)
        except OSError as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self.failing = f"{type(error).__name__}: {error}"
            self._retire()  # closed, it can be taken in and removed, which makes room
            self._wake.set()
            return False
        self._retire()
        self._segment, self._put, self._opened = segment, segment.put, time.monotonic()
        self._start()
        self._wake.set()
        return True

    def _made(self, need: int, *, ahead: bool = False) -> Segment:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._counts.settle()
        path = self.folder / f"{self._started:020d}-{next(self._numbers):06d}.log"
        return open_segment(path, self._rotate_at, need, ahead=ahead)

    def _retire(self) -> None:
        if self._segment is not None:
            self._put = _closed
            self._retired.append(self._segment)
            self._segment = None

    def _start(self) -> None:
        if self._thread is None and not self._over:
            self._thread = _Keeper(self._turn, self._wake)
            self._thread.start()

    def _begin_buffer(self) -> None:
        self._oldest = time.monotonic()
        with self._lock:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._counts.settle()
            except OSError as error:  # the page is tried again with the next buffer
                self.failing = f"{type(error).__name__}: {error}"
            self._start()

    def _turn(self) -> None:
        """Do what is due, in the log's own thread."""
        self._obey()
        self._sync()
        if self._buffer and (self._over or time.monotonic() - self._oldest >= FLUSH_SECONDS):
            self._flush()
        with self._lock:
            segment = self._segment
            if segment is None:
                return
            if self.failing and segment.used() > self._failed_at:
                self.failing = ""
            if time.monotonic() - self._opened > ROTATE_SECONDS and segment.used():
                self._retire()
        if self._spare is None and not self._over:
            self._prepare(segment)

    def _obey(self) -> None:
        """Close the file where somebody asked for its end, with all that was taken before."""
        segment = self._segment
        if segment is None or not marked(segment.path):
            return
        if self._buffer:
            self._flush()
        with self._lock:
            if self._segment is segment:
                self._retire()

    def _sync(self) -> None:
        """Close the files that are full, and bring to the disk what somebody waits for."""
        waiting = [self._syncing.popleft() for _ in range(len(self._syncing))]
        with self._lock:
            retired, self._retired = self._retired, []
            present = self._segment
        ended = [self._ended(segment, sync=bool(waiting)) for segment in retired]
        good = all(ended)
        if waiting and present is not None:
            try:
                present.sync()
            except OSError as error:
                good = self._refused(error, len(waiting))
        for done, _ in waiting:
            with suppress(RuntimeError):  # the event loop that waited is closed
                done(good)

    def _ended(self, segment: Segment, *, sync: bool) -> bool:
        try:
            segment.close(sync=sync)
        except OSError as error:
            return self._refused(error, 0)
        return True

    def _flush(self) -> None:
        with self._buffer_lock:
            frames, self._buffer, self._held = self._buffer, [], 0
        group: list[bytes] = []
        size = 0
        for one in frames:
            group.append(one)
            size += len(one)
            if size >= PIECE:
                self._settle(group)
                group, size = [], 0
        if group:
            self._settle(group)

    def _settle(self, group: list[bytes]) -> None:
        self.write(group)
        self._settled += len(group)
        self._counts.note(self._settled, self.failed, self.lost)

    def _prepare(self, present: Segment) -> None:
        """Have the next file ready, so that nobody waits for it: its room is taken here."""
        if present.used() * 2 < self._rotate_at:
            return
        with suppress(OSError):
            made = self._made(0, ahead=True)
            with self._lock:
                if self._segment is present and self._spare is None:
                    self._spare = made
                    return
            _discard(made)


def _discard(segment: Segment) -> None:
    segment.close(sync=False)
    segment.path.unlink(missing_ok=True)


def _newest(folder: Path) -> int:
    """Return the largest start among the files of earlier writers, 0 without any."""
    starts = (path.name[:20] for path in folder.glob("*.*")) if folder.is_dir() else ()
    return max((int(text) for text in starts if len(text) == 20 and text.isdecimal()), default=0)


class _Keeper(threading.Thread):
    """The log's own thread."""

    def __init__(self, turn: Callable[[], None], wake: threading.Event) -> None:
        super().__init__(name="prediction-log", daemon=True)
        self._turn = turn
        self._wake = wake
        self._over = False

    def run(self) -> None:
        """Take turns when woken, and a few times a second."""
        while not self._over:
            self._wake.wait(FLUSH_SECONDS / 2)
            self._wake.clear()
            if not self._over:
                self._turn()

    def end(self) -> None:
        """Return when the thread has ended."""
        self._over = True
        self._wake.set()
        self.join()
