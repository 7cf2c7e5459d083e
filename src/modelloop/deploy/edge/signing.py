"""Sign a manifest with the project's key, and check a folder against a key."""

from __future__ import annotations

import base64
import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import Later
from .records import MANIFEST, PUBLIC, SIGNATURE, Bundle

ed25519: Any = Later("cryptography.hazmat.primitives.asymmetric.ed25519", "edge")
RUNTIME = "runtime.py"


def signed(secret: str, manifest: bytes) -> tuple[str, str]:
    """Return public key and signature (hex) by the project's secret (`ground.store.secret`): 32 bytes in base64url."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(secret + "=="))
    return key.public_key().public_bytes_raw().hex(), key.sign(manifest).hex()


@cache
def runtime() -> ModuleType:
    """Load the file that bundles carry: what verifies here is what verifies on devices."""
    path = list(sys.path)
    try:
        spec = importlib.util.spec_from_file_location("modelloop_edge_runtime", Path(__file__).with_name(RUNTIME))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = path
    return module


def verify(folder: Path, key: Path | None) -> Bundle:
    """Check every byte of a bundle; raises InvalidInput. Without a key only damage is found, no forgery."""
    run = runtime()
    try:
        trusted = run.read_key(folder / PUBLIC if key is None else key)
        manifest, files = run.verified(folder, trusted)
    except run.Refused as error:
        raise InvalidInput(str(error), hint="Take the bundle from its source again; do not run this one.") from error
    return bundle_of(folder, manifest, files, trusted.hex(), trusted=key is not None)


def bundle_of(
    folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes], key: str, *, trusted: bool
) -> Bundle:
    """Describe a folder."""
    size = sum(map(len, files.values())) + sum((folder / name).stat().st_size for name in (MANIFEST, SIGNATURE))
    return Bundle(
        folder=str(folder),
        version=manifest["version"],
        package=manifest["package"],
        size=size,
        files=len(files) + 2,
        key=key,
        trusted=trusted,
        manifest=manifest,
    )
