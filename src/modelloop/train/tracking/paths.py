"""Which paths artifacts may have. Bytes are kept by their content, so no path ever reaches a disk here; but it reaches
the disks of those who download, and is checked for them. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote

from ...ground.core.errors import InvalidInput
from .checks import shown
from .records import MAX_ARTIFACT_PATH

MOST_BYTES = 2400
"""What an index of PostgreSQL holds."""
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\\\]")
_DRIVE = re.compile(r"[A-Za-z]:")
_DECODINGS = 5


def check_path(path: str) -> str:
    """Return the path of a file or folder, '/' between its parts, if it is one, else raise InvalidInput.

    It was decoded by the face; what would become dangerous if somebody decoded it again is refused too.
    """
    if not isinstance(path, str) or not path:
        raise _invalid(str(path), "it is empty")
    if len(path) > MAX_ARTIFACT_PATH:
        raise _invalid(path, f"it has {len(path)} characters, at most {MAX_ARTIFACT_PATH} are kept")
    seen = path
    for _ in range(_DECODINGS):
        _check(seen, path)
        further = unquote(seen)
        if further == seen:
            break
        seen = further
    else:
        raise _invalid(path, "it was encoded many times")
    if len(path.encode()) > MOST_BYTES:
        raise _invalid(path, f"it has {len(path.encode())} bytes, at most {MOST_BYTES} are kept")
    return path


def folder(path: str) -> str:
    """Return the path of a folder; the root is empty."""
    return check_path(path) if path else ""


def parents(path: str) -> list[str]:
    """Return the folders that a path lies in, without the root."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _check(seen: str, path: str) -> None:
    if _FORBIDDEN.search(seen):
        raise _invalid(path, "it holds a backslash or a control character")
    if seen.startswith("/") or _DRIVE.match(seen):
        raise _invalid(path, "it is absolute")
    if any(part in ("", ".", "..") for part in seen.split("/")):
        raise _invalid(path, "a part of it is empty, '.' or '..'")


def _invalid(path: str, wrong: str) -> InvalidInput:
    return InvalidInput(
        f"Invalid artifact path {shown(path)}: {wrong}.", hint="Give a relative path such as plots/loss.png."
    )
