"""The one door to bytes: a folder, S3, GCS or Azure, through obstore.

Two kinds of names. Content: `put` names bytes by their SHA-256, so they never change and may be written twice.
Documents: `write_document` keeps a small named thing that is replaced whole (a routing table, a heartbeat); readers see
the old or the new one, never a part. Names are made here from checked words; no client string becomes a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from ..core.errors import BlobMissing, InvalidInput, StoreUnavailable
from ..core.hashing import hash_bytes
from .trash import Stored, Trash

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

_HASH = re.compile(r"[0-9a-f]{64}")
_SECRETS = ("secret", "access_key", "account_key", "token", "password", "sas")
_DOCUMENT = re.compile(r"[a-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*")


class Blobs:
    """A handle to bytes. Thread-safe.

    `url`: `file:///path`, `memory:///` (tests), `s3://bucket/prefix`, `gs://`, `az://`. Options such as `endpoint` or
    `allow_http=true` follow as a query; keys come from the environment, never from the URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._store, self.root = _open(url)
        self.trash = Trash(self._store, _content_path, self._answering)

    def put(self, data: bytes | memoryview) -> str:
        """Store `data` under its SHA-256 and return that; storing twice is the same as once. No copy is made of it."""
        digest = hash_bytes(data)
        with self._answering(f"write {len(data)} bytes"), suppress(AlreadyExistsError):
            self._store.put(_content_path(digest), data, mode="create")
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes named `digest`; raises BlobMissing, and StoreUnavailable where they were damaged."""
        data = self._content(digest)
        if hash_bytes(data) != digest:
            raise StoreUnavailable(
                f"The bytes of {digest} in {self.url} are damaged: their hash is {hash_bytes(data)}.",
                hint="Restore this object from a backup.",
            )
        return data

    def start(self, digest: str, length: int) -> bytes:
        """Return the first bytes of what is named `digest`, unchecked; raises BlobMissing."""
        size = self.size(digest)
        if size is None:
            raise BlobMissing(f"{digest} is not in {self.url}.")
        if not size:
            return b""
        with self._answering(f"read {digest}"):
            return bytes(self._store.get_range(_content_path(digest), start=0, length=min(length, size)))

    def has(self, digest: str) -> bool:
        """Say whether bytes named `digest` are stored."""
        return self._found(digest) is not None

    def size(self, digest: str) -> int | None:
        """Return how many bytes are named `digest`, or None where none are stored."""
        found = self._found(digest)
        return None if found is None else int(found["size"])

    def remove(self, digest: str) -> bool:
        """Remove bytes for good; return whether they were there. Only for retention and erasure, which know that
        nothing refers to them."""
        with self._answering(f"remove {digest}"):
            there = self.has(digest)
            with suppress(FileNotFoundError):
                self._store.delete(_content_path(digest))
            return there

    def path(self, digest: str) -> Path | None:
        """Return the file that holds `digest` where the store is a folder, else None. Never write to it."""
        if self.root is None:
            return None
        path = self.root / _content_path(digest)
        return path if path.exists() or not self._recovered(digest) else self.root / _content_path(digest)

    def write_document(self, name: str, data: bytes) -> None:
        """Replace the named document at once (one writer per name)."""
        with self._answering(f"write the document {name}"):
            self._store.put(_document_path(name), data, mode="overwrite")

    def read_document(self, name: str) -> bytes:
        """Return the named document; raises BlobMissing."""
        return self._read(_document_path(name), name)

    def document_tag(self, name: str) -> str | None:
        """Return a cheap tag that changes with the document, or None where there is none."""
        meta = self._head(_document_path(name))
        return None if meta is None else f"{meta['e_tag']}-{meta['last_modified']}-{meta['size']}"

    def documents(self, prefix: str = "") -> list[str]:
        """Return the names of the documents under `prefix/`, or of all, sorted."""
        where = _document_path(prefix) if prefix else "documents"
        listed = (name.removeprefix("documents/") for name in self._list(where))
        return sorted(listed)

    def drop_document(self, name: str) -> None:
        """Remove a document; nothing happens where there is none."""
        with self._answering(f"remove the document {name}"):
            try:
                self._store.delete(_document_path(name))
            except FileNotFoundError:
                return

    def stored(self) -> Iterator[Stored]:
        """Yield all content with size and time, in no order; what lies in the trash is not part of it."""
        with self._answering("list content"):
            for batch in self._store.list("content"):
                for meta in batch:
                    yield Stored(meta["path"].rsplit("/", 1)[-1], meta["size"], meta["last_modified"])

    def hashes(self) -> Iterator[str]:
        """Yield the hash of all content, in no order."""
        for name in self._list("content"):
            yield name.rsplit("/", 1)[-1]

    def probe(self) -> None:
        """Raise StoreUnavailable unless the backend enforces conditional puts: without them two writers lose data.

        A folder that was found good once stays so; it may be full, and yet be read, and room be made in it.
        """
        if self.root is not None and (self.root / "probe").exists():
            return
        with self._answering("write"):
            self._store.put("probe", b"1", mode="overwrite")
            try:
                self._store.put("probe", b"2", mode="create")
            except AlreadyExistsError:
                return
        raise StoreUnavailable(
            f"The object store {self.url} ignores conditional puts (If-None-Match): two writers would lose data.",
            hint="Use a store that enforces them: a folder, AWS S3, GCS, Azure, SeaweedFS, a recent MinIO.",
        )

    def _content(self, digest: str) -> bytes:
        """Read content, also where it lies in the trash, or was moved there or back at this moment."""
        try:
            return self._read(_content_path(digest), digest)
        except BlobMissing:
            if not self._recovered(digest):
                raise
            return self._read(_content_path(digest), digest)

    def _found(self, digest: str) -> Any:
        path = _content_path(digest)
        found = self._head(path)
        return self._head(path) if found is None and self._recovered(digest) else found

    def _recovered(self, digest: str) -> bool:
        """Bring bytes back that lie in the trash: somebody asks for them. Say whether there is anything to read now."""
        path = _content_path(digest)
        with self._answering(f"look for {digest}"):
            place = self.trash.place(digest)
            if place is not None:
                with suppress(FileNotFoundError):
                    self._store.rename(place, path)
        return place is not None or self._head(path) is not None

    def _read(self, path: str, name: str) -> bytes:
        with self._answering(f"read {name}"):
            try:
                return bytes(self._store.get(path).bytes())
            except FileNotFoundError as error:
                raise BlobMissing(f"{name} is not in {self.url}.") from error

    def _head(self, path: str) -> Any:
        with self._answering(f"look at {path}"):
            try:
                return self._store.head(path)
            except FileNotFoundError:
                return None

    def _list(self, prefix: str) -> Iterator[str]:
        with self._answering(f"list {prefix}"):
            for batch in self._store.list(prefix):
                for meta in batch:
                    yield meta["path"]

    @contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise StoreUnavailable(
                f"Could not {what} in {self.url}: {reason}.", hint="Does it answer, is there space, may it be written?"
            ) from error


def _open(url: str) -> tuple[ObjectStore, Path | None]:
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryStore(), None
    if parts.scheme in ("", "file"):
        root = Path(unquote(parts.path) if parts.scheme else url).absolute()
        root.mkdir(parents=True, exist_ok=True)
        return LocalStore(prefix=root, mkdir=True), root
    config: Any = dict(parse_qsl(parts.query))
    if parts.username or parts.password or any(word in key for key in config for word in _SECRETS):
        raise InvalidInput(
            f"The URL of the object store {parts.scheme}://{parts.hostname}{parts.path} holds keys.",
            hint="A URL is logged and shown; give keys by the environment (AWS_ACCESS_KEY_ID, ...) instead.",
        )
    client: ClientConfig = {"connect_timeout": "5s", "timeout": "60s"}
    if config.pop("allow_http", "") == "true":
        client["allow_http"] = True
    retry: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
    try:
        plain = f"{parts.scheme}://{parts.netloc}{parts.path}"
        store: ObjectStore = from_url(plain, config=config or None, client_options=client, retry_config=retry)
    except (BaseError, ValueError, TypeError) as error:
        raise StoreUnavailable(
            f"{url!r} is not an object store that can be opened: {error}",
            hint="Use file:///PATH, s3://BUCKET/PREFIX, gs://BUCKET or az://CONTAINER.",
        ) from error
    return store, None


def _content_path(digest: str) -> str:
    if not _HASH.fullmatch(digest):
        raise BlobMissing(f"{digest[:80]!r} is not a content hash.", hint="Expected 64 hex digits.")
    return f"content/{digest[:2]}/{digest}"


def _document_path(name: str) -> str:
    if not _DOCUMENT.fullmatch(name):
        raise BlobMissing(
            f"{name[:80]!r} cannot name a document.", hint="Words of a-z, 0-9, '.', '-' and '_', joined by '/'."
        )
    return f"documents/{name}"
