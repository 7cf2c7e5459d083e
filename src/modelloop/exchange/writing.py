"""An export's folder: lines and files go in, each is hashed on the way, and the manifest comes last.

Without `manifest.json` it is no export: whoever dies in the middle, of whatever, leaves none.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ..ground.core.errors import Conflict

MANIFEST = "manifest.json"
LONGEST = 150
_PLAIN = re.compile(r"[A-Za-z0-9._\- ]")


class Export:
    """A folder that is being written. Nothing in it is written twice."""

    def __init__(self, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            unfinished = folder.is_dir() and not (folder / MANIFEST).exists()
            more = " It has no manifest.json: an export that did not end looks so." if unfinished else ""
            raise Conflict(
                f"{folder} is there and not empty: nothing is overwritten.{more}", hint="Name a folder that is new."
            )
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.files: dict[str, dict[str, Any]] = {}
        self._sheets: dict[str, _Sheet] = {}

    def line(self, sheet: str, row: Mapping[str, Any]) -> None:
        """Append a line to NAME.jsonl."""
        self.sheet(sheet).line(row)

    def sheet(self, name: str) -> _Sheet:
        """Return NAME.jsonl, made where it is new: one without lines says that there are none."""
        if name not in self._sheets:
            self._sheets[name] = _Sheet(self.folder / f"{name}.jsonl")
        return self._sheets[name]

    def file(self, parts: Iterable[str], pieces: Iterable[bytes]) -> str:
        """Write a file under safe names; return its path in the folder."""
        path = "/".join(safe_name(part) for part in parts)
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with place.open("xb") as file:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                file.write(piece)
            _settle(file)
        self.files[path] = {"bytes": size, "sha256": digest.hexdigest()}
        return path

    def finish(self, facts: Mapping[str, Any], readme: str) -> dict[str, int]:
        """Close everything, write README.md and, last, the manifest; return how many lines each sheet has."""
        counts = {}
        for name, sheet in self._sheets.items():
            self.files[f"{name}.jsonl"] = sheet.close()
            counts[name] = sheet.lines
        self.file(["README.md"], [readme.encode()])
        listed = {**facts, "lines": counts, "files": dict(sorted(self.files.items()))}
        draft = self.folder / f"{MANIFEST}.draft"
        with draft.open("xb") as file:
            file.write(json.dumps(listed, indent=1, sort_keys=True).encode() + b"\n")
            _settle(file)
        draft.rename(self.folder / MANIFEST)
        return counts

    def __enter__(self) -> Export:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sheet in self._sheets.values():
            sheet.let_go()


class _Sheet:
    """A file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("xb")
        self._digest = hashlib.sha256()
        self._size = 0
        self.lines = 0

    def line(self, row: Mapping[str, Any]) -> None:
        """Append one line."""
        text = json.dumps({key: plain(value) for key, value in row.items()}, ensure_ascii=False).encode() + b"\n"
        self._digest.update(text)
        self._size += len(text)
        self.lines += 1
        self._file.write(text)

    def close(self) -> dict[str, Any]:
        """Close the file, and return what the manifest says of it."""
        _settle(self._file)
        self._file.close()
        return {"bytes": self._size, "sha256": self._digest.hexdigest()}

    def let_go(self) -> None:
        """Close the file whatever its state: on a full disk what is buffered cannot be written."""
        try:
            self._file.close()
        except OSError:
            return


def plain(value: Any) -> Any:
    """Return a value as JSON has it; NaN and infinities, which it lacks, as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def safe_name(part: str) -> str:
    """Return one name of a path that is safe on any file system: other characters as %XX, long ones cut and hashed."""
    made = "".join(
        letter if _PLAIN.fullmatch(letter) else "".join(f"%{byte:02X}" for byte in letter.encode()) for letter in part
    )
    if made.strip(". ") != made or not made:
        made = made.replace(".", "%2E").replace(" ", "%20") or "%00"
    if len(made) > LONGEST:
        made = f"{made[: LONGEST - 17].rstrip('%')}~{hashlib.sha256(part.encode()).hexdigest()[:16]}"
    return made


def _settle(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
