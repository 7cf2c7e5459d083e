"""Where a gateway gets its routing table from: the object store, a file, or an address that knows ETags.

One seam, `TableSource`: a cheap tag that changes with the table, and the table's bytes. Whatever does not answer raises
StoreUnavailable and is asked again; nothing here is ever called by the thread that answers requests.
"""

from __future__ import annotations

import http.client
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from ...ground.core.errors import BlobMissing, InvalidInput, StoreUnavailable
from ...ground.store.blobs import Blobs
from ..table import TABLE_DOCUMENT

SECONDS = 5.0
"""How long an address may take to answer."""
LARGEST_TABLE = 16_000_000
LARGEST_ANSWER = 2_000_000_000
"""A file of a package."""
HTTP = ("http", "https")


class TableSource(Protocol):
    """Where the routing table is."""

    @property
    def name(self) -> str:
        """What it is called where something about it is told; holds no secret."""
        ...

    def tag(self) -> str | None:
        """Return what changes with the table, or None where there is none yet; raises StoreUnavailable."""
        ...

    def read(self) -> bytes:
        """Return the table as it is now; raises StoreUnavailable or BlobMissing."""
        ...


@dataclass(frozen=True, slots=True)
class StoredTable:
    """The document that control writes into the object store."""

    blobs: Blobs
    name: str = TABLE_DOCUMENT

    def tag(self) -> str | None:
        """Return the document's tag."""
        return self.blobs.document_tag(self.name)

    def read(self) -> bytes:
        """Return the document."""
        return self.blobs.read_document(self.name)


@dataclass(frozen=True, slots=True)
class FileTable:
    """A file that something else puts there whole, such as a mounted ConfigMap or a deployment's own table."""

    path: Path

    @property
    def name(self) -> str:
        """Return the path."""
        return str(self.path)

    def tag(self) -> str | None:
        """Return what changes when the file does, also behind a link that is moved."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unavailable(error) from error
        if not stat.S_ISREG(found.st_mode):
            raise StoreUnavailable(f"The routing table {self.path} is not a file.", hint="Name a file.")
        return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"

    def read(self) -> bytes:
        """Return what the file holds."""
        try:
            with self.path.open("rb") as file:
                return _bounded(file.read(LARGEST_TABLE + 1), self.name)
        except FileNotFoundError as error:
            raise BlobMissing(f"There is no routing table at {self.path}.") from error
        except OSError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"Could not read the routing table {self.path}: {error.strerror}.", hint="May this process read it?"
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Caller:
    """Asks one server over a connection that stays open, with a token that is read anew for each connection."""

    def __init__(self, url: str, token_file: Path | None = None, *, seconds: float = SECONDS) -> None:
        """`url`: http(s)://HOST[:PORT]/PATH; raises InvalidInput."""
        parts = urlsplit(url)
        if parts.scheme not in HTTP or not parts.hostname or parts.username or parts.password:
            raise InvalidInput(f"{parts.scheme}://{parts.hostname} cannot be asked.", hint="Use https://HOST/PATH.")
        self.path = parts.path or "/"
        self.name = f"{parts.scheme}://{parts.netloc}{self.path}"
        self._place = parts.hostname, parts.port
        self._secure = parts.scheme == "https"
        self._query = f"?{parts.query}" if parts.query else ""
        self._token_file = token_file
        self._seconds = seconds
        self._line: http.client.HTTPConnection | None = None
        self._secret: dict[str, str] = {}
        if token_file is not None:
            read_token(token_file)  # a mistake is told at the start

    def ask(
        self,
        method: str,
        path: str | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Answer:
        """Return the answer to one request; a connection that had gone away meanwhile is opened once more."""
        kept = self._line is not None
        try:
            return self._once(method, path or self.path + self._query, body, headers or {})
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            if not kept:
                raise StoreUnavailable(f"{self.name} does not answer: {type(error).__name__}: {error}.") from error
        return self.ask(method, path, body=body, headers=headers)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        line, self._line = self._line, None
        if line is not None:
            with suppress(OSError):
                line.close()

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> _Answer:
        line = self._line or self._open()
        line.request(method, path, body, {**self._secret, **headers})
        reply = line.getresponse()
        data = _bounded(reply.read(LARGEST_ANSWER + 1), self.name, LARGEST_ANSWER)
        if reply.will_close:
            self.close()
        return _Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, data)

    def _open(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        if self._token_file is not None:
            self._secret = {"authorization": f"Bearer {read_token(self._token_file)}"}
        self._line = kind(*self._place, timeout=self._seconds)
        return self._line


class HttpTable:
    """An address that answers with a document (the routing table), and 304 to whoever has it already."""

    def __init__(self, caller: Caller, path: str | None = None) -> None:
        """`path`: of another document than the one at the caller's address."""
        self._caller = caller
        self._path = path
        self._body: bytes | None = None
        self._etag: str | None = None

    @property
    def name(self) -> str:
        """Return the address."""
        return self._caller.name if self._path is None else self._path

    def tag(self) -> str | None:
        """Ask whether the document changed; what came is kept for `read`."""
        known = {} if self._etag is None or self._body is None else {"if-none-match": self._etag}
        answer = self._caller.ask("GET", self._path, headers={"accept": "application/json", **known})
        if answer.status == 304 and self._body is not None:
            return self._tag()
        if answer.status == 404:
            self._body = self._etag = None
            return None
        if answer.status != 200:
            raise refused(self.name, answer.status, answer.body)
        self._body, self._etag = answer.body, answer.headers.get("etag")
        return self._tag()

    def read(self) -> bytes:
        """Return the document that the last `tag` spoke of."""
        if self._body is None and self.tag() is None:
            raise BlobMissing(f"There is nothing at {self.name}.")
        assert self._body is not None
        return self._body

    def _tag(self) -> str:
        return self._etag or sha256(self._body or b"").hexdigest()


def table_source(where: str | None, blobs: Blobs, token_file: Path | None = None) -> TableSource:
    """Return the source that `--routing` names: None: the object store; file:///PATH; http(s)://HOST/PATH."""
    if where is None:
        return StoredTable(blobs)
    parts = urlsplit(where)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return FileTable(Path(unquote(parts.path)))
    if parts.scheme in HTTP:
        return HttpTable(Caller(where, token_file))
    raise InvalidInput(
        f"No routing table can be followed at {parts.scheme or where[:40]!r}.",
        hint="Use file:///PATH or https://HOST/api/routing, or leave --routing out: the object store has one.",
    )


def refused(name: str, status: int, body: bytes) -> StoreUnavailable:
    """Return the error for an answer that is none."""
    said = body[:200].decode("utf-8", "replace").strip()
    hint = "Is the token in --routing-token right?" if status in (401, 403) else ""
    return StoreUnavailable(f"{name} answered {status}: {said}", hint=hint)


def read_token(path: Path) -> str:
    """Return the token in a file of its owner's alone; raises StoreUnavailable or InvalidInput."""
    try:
        if path.stat().st_mode & 0o077:
            raise InvalidInput(f"Others may read the token in {path}.", hint=f"chmod 600 {path}")
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreUnavailable(f"Could not read the token in {path}: {error}.") from error
    if not token or any(character.isspace() for character in token):
        raise InvalidInput(f"{path} holds no token.", hint="Write one line into it.")
    return token


def _bounded(data: bytes, name: str, most: int = LARGEST_TABLE) -> bytes:
    if len(data) > most:
        raise StoreUnavailable(f"{name} holds more than {most} bytes, which is no routing table or package.")
    return data
