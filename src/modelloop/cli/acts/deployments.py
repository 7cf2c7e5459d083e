"""The work of `modelloop deployment export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.text import Text

from ...deploy.actions.exporting import export_deployment
from ...deploy.exports.records import Files, Platform, Wish
from ...ground.core.errors import Conflict
from ..desk import Desk
from ..face import Answer
from .tables import printed


def export(
    desk: Desk,
    *,
    endpoint: str,
    platform: Platform,
    to: Path,
    wish: Mapping[str, str | None],
    replicas: tuple[int, int],
) -> Answer:
    """Write the files."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Conflict(f"{to} is there already.", hint="Name a folder that is not there yet, or is empty.")
    wanted = Wish(**wish, least=replicas[0], most=replicas[1])
    files = export_deployment(desk.ctx, endpoint, platform, wanted)
    write(files, to)
    size = sum(map(len, files.values()))
    told = {"endpoint": endpoint, "as": str(platform), "folder": str(to), "files": sorted(files), "bytes": size}
    shown = Text(f"{len(files)} files, {size:,} bytes, are in {to}. README.md says how to go on.")
    return Answer(told, printed(shown))


def write(files: Files, folder: Path) -> None:
    """Write the files below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
