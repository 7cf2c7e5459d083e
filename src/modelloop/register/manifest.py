"""A package in blobs: its files by content hash, and a manifest of them whose own hash is the package's identity."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..ground.core.errors import BlobMissing, InvalidInput
from ..ground.core.hashing import canonical_json
from ..ground.store.blobs import Blobs
from .records import Package

FORMAT = 1


class _Manifest(msgspec.Struct):
    format: int
    files: dict[str, str]


def build(blobs: Blobs, files: Mapping[str, bytes]) -> Package:
    """Store the files, then the manifest. Nothing points to it yet, so dying half-way leaves nothing wrong."""
    hashes = {name: blobs.put(data) for name, data in sorted(files.items())}
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
