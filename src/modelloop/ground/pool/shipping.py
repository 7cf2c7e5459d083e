"""The project's code on its way to other machines: packed into the blobs, unpacked by digest where it is needed."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..core.errors import PipelineInvalid

LEFT_OUT = frozenset({"data", "venv", "env", "node_modules", "__pycache__", "predictions"})
"""Folders that are not code. Those whose name begins with a dot are left out too."""
MOST = 50_000_000
_THEN = (1980, 1, 1, 0, 0, 0)


def pack(project: Path) -> bytes:
    """Return the project's files as a zip archive: equal files give equal bytes. Raises PipelineInvalid."""
    files = sorted(_files(project))
    sizes = {path: path.stat().st_size for path in files}
    if sum(sizes.values()) > MOST:
        largest = sorted(files, key=lambda path: -sizes[path])[:3]
        told = ", ".join(f"{path.relative_to(project)} ({sizes[path] / 1e6:,.0f} MB)" for path in largest)
        raise PipelineInvalid(
            f"The project folder has {sum(sizes.values()) / 1e6:,.0f} MB to be sent to the nodes, at most "
            f"{MOST / 1e6:,.0f} MB are; the largest: {told}.",
            hint=f"Move what is no code into a folder that is not sent ({', '.join(sorted(LEFT_OUT))}, or .NAME).",
        )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(project).as_posix(), _THEN)
            entry.external_attr = (path.stat().st_mode & 0o755) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return out.getvalue()


def unpack(digest: str, get: Callable[[str], bytes], *, shelf: Path | None = None) -> Path:
    """Return the folder with the files of an archive, unpacked once per machine and user."""
    shelf = shelf or Path(tempfile.gettempdir()) / f"modelloop-projects-{os.getuid()}"
    folder = shelf / digest
    if folder.is_dir():
        return folder
    shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
    if shelf.stat().st_uid != os.getuid():
        raise PipelineInvalid(f"{shelf} belongs to another user; code is not taken from there.", hint="Remove it.")
    draft = Path(tempfile.mkdtemp(dir=shelf, prefix="draft-"))
    try:
        with zipfile.ZipFile(io.BytesIO(get(digest))) as archive:
            archive.extractall(draft)
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was first: its files are the same
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _files(project: Path) -> Iterator[Path]:
    """Walk the files to be sent. Links are not followed: what lies outside of the project stays there."""
    for folder, folders, names in os.walk(project):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix != ".pyc" and path.is_file() and not path.is_symlink():
                yield path
