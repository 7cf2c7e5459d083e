"""Content hashes, and the one JSON form that is hashed."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def hash_bytes(data: bytes | memoryview) -> str:
    """Return the SHA-256 of `data` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return JSON with sorted keys, no spaces and UTF-8: equal values give equal bytes. NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def hash_json(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`."""
    return hash_bytes(canonical_json(value))
