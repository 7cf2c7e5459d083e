"""The last good routing table, its packages and the online tables it reads on the gateway's own disk: `--state DIR`.

A gateway that is started while nothing it follows can be reached comes back with the same routing. Bytes are named by
their hash and checked when they are read, so a damaged copy is fetched again. A disk that is full takes nothing from
the answers: what cannot be kept is told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

from ...ground.core.errors import BlobMissing, NotFound, StoreUnavailable
from ...ground.core.hashing import hash_bytes
from ...ground.store.blobs import Blobs
from .sources import Caller, HttpTable, refused

TABLE = "table.json"
_CONTENT = "content"
_HASH = re.compile(r"[0-9a-f]{64}")


class Keep:
    """A folder of one gateway. `failing` says why something could not be kept; empty when all is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failing = ""
        self.also: frozenset[str] = frozenset()
        """Hashes that stay beside those of packages: of the online tables that are held."""
        self._asked: set[str] = set()

    def table(self) -> bytes | None:
        """Return the last table that was served whole."""
        return self.document(TABLE)

    def keep_table(self, data: bytes) -> None:
        """Keep the table in place of the one before."""
        self.keep_document(TABLE, data)

    def document(self, name: str) -> bytes | None:
        """Return a small named thing (`table_document`) as it was kept last."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.failing = f"{self.folder / name}: {error.strerror}"
            return None

    def keep_document(self, name: str, data: bytes) -> None:
        """Keep a small named thing in place of the one before."""
        if self.document(name) != data:
            self._write(self.folder / name, data)

    def get(self, digest: str) -> bytes | None:
        """Return kept bytes, unless they are damaged or were never kept."""
        self._asked.add(digest)
        try:
            data = self._path(digest).read_bytes()
        except OSError:
            return None
        return data if hash_bytes(data) == digest else None

    def put(self, digest: str, data: bytes) -> None:
        """Keep bytes under their hash."""
        self._write(self._path(digest), data)

    def prune(self, wanted: frozenset[str]) -> None:
        """Drop kept bytes that are not among `wanted`, nor `also`."""
        try:
            stay = wanted | self.also
            kept = [path for path in (self.folder / _CONTENT).glob("*/*") if path.name not in stay]
            for path in kept:
                path.unlink(missing_ok=True)
        except OSError as error:
            self.failing = f"{self.folder}: {error.strerror}"

    @contextmanager
    def asked(self) -> Iterator[set[str]]:
        """Collect the hashes that are asked for within the block."""
        before, self._asked = self._asked, set()
        try:
            yield self._asked
        finally:
            self._asked = before | self._asked

    def _path(self, digest: str) -> Path:
        if not _HASH.fullmatch(digest):
            raise BlobMissing(f"{digest[:80]!r} is not a content hash.", hint="Expected 64 hex digits.")
        return self.folder / _CONTENT / digest[:2] / digest

    def _write(self, path: Path, data: bytes) -> None:
        draft = path.with_name(f".{path.name}-{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            self.failing = f"{path}: {error.strerror}"
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            return
        self.failing = ""


class KeptBlobs(Blobs):
    """An object store whose content is also kept on this disk: read from there first, always checked."""

    def __init__(self, url: str, keep: Keep | None) -> None:
        super().__init__(url)
        self._keep = keep

    def get(self, digest: str) -> bytes:
        """Return the bytes from this disk or from the store, which are kept then."""
        kept = None if self._keep is None else self._keep.get(digest)
        if kept is not None:
            return kept
        data = super().get(digest)
        if self._keep is not None and self.root is None:  # a folder is as near as ours
            self._keep.put(digest, data)
        return data


class ControlBlobs(Blobs):
    """What a gateway gets of the store through control's API: packages and online tables of the present routes, and
    a place for its own report. Nothing else is there.
    """

    def __init__(self, caller: Caller, keep: Keep | None) -> None:
        super().__init__("memory:///")
        self.url = caller.name
        self._caller = caller
        self._keep = keep
        self._documents: dict[str, HttpTable] = {}

    def document_tag(self, name: str) -> str | None:
        """Ask whether a document changed; what came is kept for `read_document`."""
        return self._document(name).tag()

    def read_document(self, name: str) -> bytes:
        """Return the document that the last `document_tag` spoke of; raises BlobMissing."""
        return self._document(name).read()

    def _document(self, name: str) -> HttpTable:
        """Return what asks for one document: `online/NAME.json` is at PATH/online/NAME."""
        if name not in self._documents:
            self._documents[name] = HttpTable(self._caller, f"{self._caller.path}/{name.removesuffix('.json')}")
        return self._documents[name]

    def get(self, digest: str) -> bytes:
        """Return the bytes from this disk or from control, checked."""
        kept = None if self._keep is None else self._keep.get(digest)
        if kept is not None:
            return kept
        path = f"{self._caller.path}/content/{digest}"
        answer = self._caller.ask("GET", path)
        if answer.status == NotFound.status:
            raise BlobMissing(f"{digest} belongs to nothing that {self.url} routes to.")
        if answer.status != HTTPStatus.OK:
            raise refused(self.url, answer.status, answer.body)
        if hash_bytes(answer.body) != digest:
            raise StoreUnavailable(f"The bytes of {digest} from {self.url} are damaged.", hint="Ask again.")
        if self._keep is not None:
            self._keep.put(digest, answer.body)
        return answer.body

    def write_document(self, name: str, data: bytes) -> None:  # noqa: ARG002 - as the store has it
        """Send the report: `name` follows from what it says of itself."""
        body = b'{"report":%s}' % data
        answer = self._caller.ask(
            "POST", f"{self._caller.path}/reports", body=body, headers={"content-type": "application/json"}
        )
        if answer.status != HTTPStatus.OK:
            raise refused(self.url, answer.status, answer.body)
