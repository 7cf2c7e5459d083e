"""What all requests share: the writer, documents of runs that still hold, and the threads that read."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from ..train.tracking.writer import Writer

MOST_BYTES = 32_000_000
READERS = 4


class Documents:
    """Encoded runs by id and revision; the least recently used are forgotten beyond `most` bytes. Thread-safe."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._kept: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
        self._bytes = 0
        self._most = most
        self._lock = Lock()

    def get(self, run_id: str, revision: int) -> bytes | None:
        """Return the document of just this revision."""
        with self._lock:
            found = self._kept.get(run_id)
            if found is None or found[0] != revision:
                return None
            self._kept.move_to_end(run_id)
            return found[1]

    def put(self, run_id: str, revision: int, document: bytes) -> None:
        """Keep a document; an older revision of the same run goes."""
        with self._lock:
            before = self._kept.pop(run_id, None)
            if before is not None and before[0] > revision:  # somebody read later and was faster
                self._kept[run_id] = before
                return
            self._bytes += len(document) - (len(before[1]) if before else 0)
            self._kept[run_id] = (revision, document)
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1][1])


@dataclass(frozen=True, slots=True)
class Desk:
    """One for each control process."""

    writer: Writer
    documents: Documents
    readers: ThreadPoolExecutor


def open_desk(writer: Writer) -> Desk:
    """Return a desk. Its threads start with the first request that needs one."""
    return Desk(writer, Documents(), ThreadPoolExecutor(READERS, thread_name_prefix="mlflow"))
