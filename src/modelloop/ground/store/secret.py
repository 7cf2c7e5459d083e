"""Secrets that Modelloop makes for itself: one line in a file of its owner's alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ..core.errors import StoreUnavailable


def own_secret(path: Path) -> str:
    """Return the secret at `path`, made at first use; of several processes one makes it and all read the same."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(32))
        return path.read_text().strip()
    except OSError as error:
        raise StoreUnavailable(
            f"Could not read or make the secret {path}: {error.strerror}.",
            hint="May you write in that folder? MODELLOOP_HOME can name another.",
        ) from error


def _write_once(path: Path, text: str) -> None:
    """Give `path` its content in one step."""
    draft = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
