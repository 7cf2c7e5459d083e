"""In blobs: a package (files by content hash) and a snapshot (files in pieces), each with a manifest whose own hash is
its identity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from ..ground.core.errors import BlobMissing, InvalidInput
from ..ground.core.hashing import canonical_json
from ..ground.store.blobs import Blobs
from .records import Package, Snapshot, StoredFile

FORMAT = 1
SNAPSHOT = "modelloop-snapshot-1"
PIECE = 16 * 1024 * 1024
"""Files of a snapshot are kept in pieces of this size: what is held in memory at most."""


class _Manifest(msgspec.Struct):
    format: int
    files: dict[str, str]


class _Snapshot(msgspec.Struct):
    snapshot: str
    files: dict[str, tuple[tuple[str, int], ...]]


def build(blobs: Blobs, files: Mapping[str, bytes], held: Mapping[str, str] | None = None) -> Package:
    """Store the files, then the manifest. Nothing points to it yet, so dying half-way leaves nothing wrong.

    `held`: further files, name -> hash, whose bytes are stored already.
    """
    hashes = {name: blobs.put(data) for name, data in sorted(files.items())} | dict(held or {})
    return Package(hashes, blobs.put(canonical_json({"format": FORMAT, "files": hashes})))


def open_package(blobs: Blobs, digest: str) -> Package:
    """Read a manifest; raises BlobMissing, StoreUnavailable where its bytes were damaged, or InvalidInput."""
    try:
        manifest = msgspec.json.decode(blobs.get(digest), type=_Manifest)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{digest[:12]} is not the manifest of a package: {error}.") from error
    if manifest.format != FORMAT:
        raise InvalidInput(
            f"Package {digest[:12]} has format {manifest.format}; this Modelloop reads format {FORMAT}.",
            hint="Upgrade this process, or register the model again.",
        )
    return Package(manifest.files, digest)


def read_file(blobs: Blobs, package: Package, name: str) -> bytes:
    """Return one file of the package, checked against its hash; raises BlobMissing or StoreUnavailable."""
    if name not in package.files:
        raise BlobMissing(
            f"Package {package.digest[:12]} has no file {name!r}.", hint=f"It has: {', '.join(sorted(package.files))}."
        )
    return blobs.get(package.files[name])


def store_pieces(blobs: Blobs, data: Iterator[bytes]) -> StoredFile:
    """Store a file of any size piece by piece."""
    parts = tuple((blobs.put(piece), len(piece)) for piece in _pieces(data))
    return StoredFile(sum(size for _, size in parts), parts)


def build_snapshot(blobs: Blobs, files: Mapping[str, StoredFile]) -> Snapshot:
    """Store the list of a folder's files, whose pieces are stored already."""
    listed = {path: [list(part) for part in file.parts] for path, file in sorted(files.items())}
    return Snapshot(dict(files), blobs.put(canonical_json({"snapshot": SNAPSHOT, "files": listed})))


def open_snapshot(blobs: Blobs, digest: str) -> Snapshot:
    """Read the list of a snapshot; raises BlobMissing, StoreUnavailable or InvalidInput."""
    try:
        found = msgspec.json.decode(blobs.get(digest), type=_Snapshot)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{digest[:12]} is not the list of a snapshot: {error}.") from error
    if found.snapshot != SNAPSHOT:
        raise InvalidInput(f"Snapshot {digest[:12]} has the form {found.snapshot[:40]!r}; {SNAPSHOT!r} can be read.")
    files = {path: StoredFile(sum(size for _, size in parts), parts) for path, parts in found.files.items()}
    return Snapshot(files, digest)


def read_pieces(blobs: Blobs, file: StoredFile) -> Iterator[bytes]:
    """Yield a file's pieces, each checked against its hash."""
    for digest, _ in file.parts:
        yield blobs.get(digest)


def _pieces(data: Iterator[bytes]) -> Iterator[bytes]:
    """Cut a stream into pieces of one size; an empty file has none."""
    held = bytearray()
    for block in data:
        held += block
        while len(held) >= PIECE:
            yield bytes(held[:PIECE])
            del held[:PIECE]
    if held:
        yield bytes(held)
