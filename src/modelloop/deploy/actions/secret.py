"""The key of masked columns, made where facts are kept."""

from __future__ import annotations

from pathlib import Path

from ...ground.store.secret import own_secret
from ..log_key import log_key_path


def make_log_key(home: Path) -> bytes:
    """Return the project's key, made at first use: `secrets/log-key` in its home, 0600."""
    return own_secret(log_key_path(home)).encode()
