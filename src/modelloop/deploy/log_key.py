"""The key of masked columns: a file of its owner's alone, made before gateways start (`actions.make_log_key`)."""

from __future__ import annotations

from pathlib import Path

from ..ground.core.errors import StoreUnavailable


def log_key_path(home: Path) -> Path:
    """Return where the key stands: in a backup without it, masked columns stay masked for ever."""
    return home / "secrets" / "log-key"


def read_log_key(path: Path) -> bytes:
    """Read a key that control made; raises StoreUnavailable."""
    try:
        key = path.read_text().strip().encode()
    except (OSError, ValueError) as error:
        raise StoreUnavailable(
            f"The key of masked columns, {path}, cannot be read: {error}.",
            hint="Control makes it as secrets/log-key in its home; copy that file (mode 0600).",
        ) from error
    if len(key) < 16:
        raise StoreUnavailable(f"The key of masked columns, {path}, is too short.", hint="Expected 16 bytes or more.")
    return key
