"""Bytes that a run kept, on their way out: saved as a file, or looked at where nothing in them can act.

They were written by pipelines and may be anything, such as a page with scripts. So they never become a page of ours:
what is shown is shown in a sandbox without scripts, forms, and network, in an origin of its own; all else is saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from starlette.responses import FileResponse, Response, StreamingResponse

SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_TEXT = "text/plain; charset=utf-8"
_SHOWN = {
    ".html": "text/html; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    **dict.fromkeys((".txt", ".log", ".md", ".csv", ".json", ".ipynb", ".diff", ".toml", ".yaml"), _TEXT),
}


@dataclass(frozen=True, slots=True)
class Download:
    """What an action returns in place of JSON."""

    name: str
    data: bytes | Path | Iterator[bytes]
    """Large content is named, or comes in pieces, and is sent piece by piece."""
    shown: bool = False
    """To be looked at, not to be saved; holds only for kinds that a browser shows."""


def can_be_shown(name: str) -> bool:
    """Say whether a browser shows files of this name."""
    return PurePosixPath(name).suffix.lower() in _SHOWN


def sent(found: Download) -> Response:
    """Return the answer that carries the bytes."""
    kind = _SHOWN.get(PurePosixPath(found.name).suffix.lower()) if found.shown else None
    file = PurePosixPath(found.name).name or "artifact"
    headers = {
        "content-security-policy": SANDBOX,
        "content-disposition": f"{'inline' if kind else 'attachment'}; filename*=utf-8''{quote(file, safe='')}",
    }
    media = kind or "application/octet-stream"
    if isinstance(found.data, Path):
        return FileResponse(found.data, media_type=media, headers=headers)
    if isinstance(found.data, bytes):
        return Response(found.data, media_type=media, headers=headers)
    return StreamingResponse(found.data, media_type=media, headers=headers)
