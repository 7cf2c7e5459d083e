"""Files of runs and logged models, of any size: cut into chunks that are named by their content.

Bytes come first, then the one row that makes them visible. Whoever dies between the two leaves chunks that nothing
refers to, and no file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from types import TracebackType

from sqlalchemy.engine import Connection

from ....ground.core.errors import Conflict, InvalidInput, NotFound
from ....ground.core.records import Event
from ....ground.store import audit
from ....ground.store.context import Context
from .. import paths
from ..checks import shown
from ..records import CHUNK, Artifact, Owner
from ..tables import artifacts as tables
from .experiments import now_ms
from .models import standing_model
from .runs import standing


class Upload:
    """A file on its way. Holds one chunk in memory; nothing is seen of it before `commit`.

    Use it in a `with` block, which aborts it unless it was committed. One thread at a time.
    """

    def __init__(self, ctx: Context, owner: Owner, path: str) -> None:
        self._ctx = ctx
        self._owner = owner
        self._path = path
        self._parts: list[tuple[str, int]] = []
        self._chunk = bytearray()
        self._whole = hashlib.sha256()
        self._size = 0
        self._open = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take more bytes of the file; full chunks are stored at once."""
        self._check_open()
        rest = memoryview(data).cast("B")
        self._size += len(rest)
        while len(rest):
            taken = rest[: CHUNK - len(self._chunk)]
            self._chunk += taken
            rest = rest[len(taken) :]
            if len(self._chunk) == CHUNK:
                self._store()

    def commit(self) -> Artifact:
        """Store what is left and make the file visible, whole; it replaces one of the same path.

        Raises InvalidInput where the run was deleted meanwhile, Conflict where a folder has this name.
        """
        self._check_open()
        self._open = False
        if self._chunk or not self._parts:
            self._store()
        digest = self._parts[0][0] if len(self._parts) == 1 else self._whole.hexdigest()
        with self._ctx.db.transaction() as connection:
            put_file(connection, self._ctx, self._owner, Artifact(self._path, self._size, digest=digest), self._parts)
        return Artifact(self._path, self._size, digest=digest)

    def abort(self) -> None:
        """Forget the file. What was stored of it has no name and is taken away by the garbage collection."""
        self._open = False
        self._chunk = bytearray()

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            self.abort()

    def _store(self) -> None:
        chunk, self._chunk = self._chunk, bytearray()
        if self._parts or len(chunk) == CHUNK:
            self._whole.update(chunk)
        self._parts.append((self._ctx.blobs.put(memoryview(chunk)), len(chunk)))

    def _check_open(self) -> None:
        if not self._open:
            raise Conflict(f"The upload of {shown(self._path)} was ended before.", hint="Begin it again.")


def open_upload(ctx: Context, owner: Owner, path: str) -> Upload:
    """Begin a file of a run or logged model; raises InvalidInput, NotFound or Conflict before any byte is taken."""
    checked = paths.check_path(path)
    with ctx.db.reading() as connection:
        _writable(connection, owner, checked, lock=False)
    return Upload(ctx, owner, checked)


def put(ctx: Context, owner: Owner, path: str, data: bytes) -> Artifact:
    """Store a small file at once."""
    with open_upload(ctx, owner, path) as upload:
        upload.write(data)
        return upload.commit()


def put_file(
    connection: Connection, ctx: Context, owner: Owner, file: Artifact, parts: Collection[tuple[str, int]]
) -> None:
    """Make a file visible within the caller's transaction; its parts are stored already."""
    _writable(connection, owner, file.path)
    tables.put(
        connection,
        {
            "owner_kind": owner.kind,
            "owner": owner.id,
            "path": file.path,
            "size": file.size,
            "digest": file.digest,
            "parts": [list(part) for part in parts],
            "at_ms": now_ms(ctx),
        },
    )


def list_artifacts(ctx: Context, owner: Owner, path: str = "") -> list[Artifact]:
    """Return the files and folders directly in a folder, by name; none where it is a file or not there."""
    checked = paths.folder(path)
    _check_owner(owner)
    with ctx.db.reading() as connection:
        found = tables.children(connection, owner.kind, owner.id, checked)
    start = f"{checked}/" if checked else ""
    return [
        Artifact(start + name, 0 if is_folder else size, is_dir=bool(is_folder), digest=None if is_folder else digest)
        for name, is_folder, size, digest in found
    ]


def files_of(ctx: Context, owner: Owner) -> list[tuple[Artifact, list[tuple[str, int]]]]:
    """Return all files at any depth, each with the digest and size of its parts: for who keeps them without copying."""
    _check_owner(owner)
    with ctx.db.reading() as connection:
        found = tables.all_of(connection, owner.kind, owner.id)
    return [(Artifact(path, size, digest=digest), [(*part,) for part in parts]) for path, size, digest, parts in found]


def read(ctx: Context, owner: Owner, path: str) -> tuple[int, Iterator[bytes]]:
    """Return the size of a file, and its bytes a chunk at a time; each is checked against its hash."""
    checked = paths.check_path(path)
    _check_owner(owner)
    with ctx.db.reading() as connection:
        found = tables.find(connection, owner.kind, owner.id, checked)
    if found is None:
        raise _missing(owner, checked)
    return found[0], (ctx.blobs.get(digest) for digest, _ in found[2])


def delete(ctx: Context, owner: Owner, path: str) -> int:
    """Delete a file, or a folder with all in it; return how many files. The bytes go with the garbage collection."""
    checked = paths.check_path(path)
    with ctx.db.transaction() as connection:
        _standing(connection, owner)
        count = tables.remove(connection, owner.kind, owner.id, checked)
        if not count:
            raise _missing(owner, checked)
        detail = {"path": checked, "files": count}
        audit.append(connection, ctx, Event("tracking.delete_artifacts", f"{owner.kind}:{owner.id}", detail))
    return count


def mentioned(ctx: Context, digests: Collection[str]) -> set[str]:
    """Return which of these bytes are part of a file here: whoever removes bytes asks first."""
    wanted = set(digests)
    with ctx.db.reading() as connection:
        return wanted.intersection(tables.parts(connection))


def kept(ctx: Context) -> set[str]:
    """Return the digests of all parts of all files."""
    with ctx.db.reading() as connection:
        return set(tables.parts(connection))


def _writable(connection: Connection, owner: Owner, path: str, *, lock: bool = True) -> None:
    _standing(connection, owner, lock=lock)
    if tables.is_folder(connection, owner.kind, owner.id, path):
        raise Conflict(f"{shown(path)} is a folder of {owner.kind} {owner.id}.", hint="Take another name.")
    above = paths.parents(path)
    files = tables.files_among(connection, owner.kind, owner.id, above) if above else []
    if files:
        raise Conflict(f"{shown(files[0])} is a file of {owner.kind} {owner.id}, no folder.", hint="Take another name.")


def _standing(connection: Connection, owner: Owner, *, lock: bool = True) -> None:
    _check_owner(owner)
    stands = standing if owner.kind == "run" else standing_model
    stands(connection, owner.id, lock=lock)


def _check_owner(owner: Owner) -> None:
    if owner.kind not in ("run", "model") or "\x00" in owner.id:
        raise InvalidInput(f"{shown(owner.kind)} has no artifacts.", hint="Runs and logged models have.")


def _missing(owner: Owner, path: str) -> NotFound:
    return NotFound(f"No such artifact: {shown(path)} of {owner.kind} {owner.id}.", hint="List what is there.")
