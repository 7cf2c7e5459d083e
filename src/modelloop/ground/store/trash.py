"""Content that nothing seems to refer to, put aside before it is deleted: `trash/BATCH/DIGEST`.

A batch is the moment (milliseconds, 13 digits) at which a collection put things aside. Reads find what is there and
bring it back, writes of the same bytes store them anew: who was at work while a collection looked loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ROOT = "trash"


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes in the store."""

    digest: str
    size: int
    since: datetime
    """When they were written."""
    batch: str = ""
    """The batch of the trash they lie in; empty: they are content."""


class Trash:
    """The bytes that were put aside. Only the collection of garbage writes here."""

    def __init__(
        self,
        store: ObjectStore,
        path: Callable[[str], str],
        answering: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        """`path`: where content is; `answering`: turns the store's errors into ours."""
        self._store = store
        self._path = path
        self._answering = answering

    def put_aside(self, digest: str, batch: str) -> None:
        """Move content into a batch; nothing happens where it is gone already."""
        with self._answering(f"put {digest} aside"), suppress(FileNotFoundError):
            self._store.rename(self._path(digest), f"{ROOT}/{batch}/{digest}")

    def bring_back(self, one: Stored) -> None:
        """Move bytes back to where content is; over a copy that was written meanwhile, which is the same."""
        with self._answering(f"bring {one.digest} back"), suppress(FileNotFoundError):
            self._store.rename(f"{ROOT}/{one.batch}/{one.digest}", self._path(one.digest))

    def delete(self, one: Stored) -> None:
        """Delete bytes that lie aside for good."""
        with self._answering(f"delete {one.digest}"), suppress(FileNotFoundError):
            self._store.delete(f"{ROOT}/{one.batch}/{one.digest}")

    def place(self, digest: str) -> str | None:
        """Return the path at which bytes lie aside, or None. Batches are few: one for each collection not yet over."""
        for batch in self.batches():
            path = f"{ROOT}/{batch}/{digest}"
            try:
                self._store.head(path)
            except FileNotFoundError:
                continue
            return path
        return None

    def batches(self) -> list[str]:
        """Return the batches, oldest first."""
        with self._answering("list the trash"):
            found = self._store.list_with_delimiter(ROOT)["common_prefixes"]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def entries(self) -> list[Stored]:
        """Return everything that lies aside."""
        with self._answering("list the trash"):
            found = [meta for listed in self._store.list(ROOT) for meta in listed]
        parts = ((meta["path"].split("/"), meta) for meta in found)
        return [Stored(part[2], meta["size"], meta["last_modified"], part[1]) for part, meta in parts]
