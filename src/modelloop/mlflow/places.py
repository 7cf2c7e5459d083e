"""Whose files an address means. Pure: words come in decoded once, and nothing of them becomes a path on a disk.

EXPERIMENT/RUN/artifacts/...                a run's
EXPERIMENT/models/MODEL/artifacts/...       a logged model's
versions/NAME IN HEXADECIMAL/NUMBER/...     a registered version's own, for reading
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ground.core.errors import NotFound
from ..train.tracking import paths
from ..train.tracking.records import Owner
from .documents import ARTIFACTS, MODELS, VERSIONS

_FORMS = "Expected EXPERIMENT/RUN/artifacts/PATH or EXPERIMENT/models/MODEL/artifacts/PATH."


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder of somebody's."""

    owner: Owner | None
    """A run or a logged model; None: of a registered version."""
    path: str
    """From the owner's root; empty: the root."""
    model: str = ""
    number: int = 0


def place(text: str) -> Place:
    """Return what an address behind `mlflow-artifacts` means; raises InvalidInput or NotFound."""
    parts = text.split("/")
    if parts[0] == VERSIONS and len(parts) >= 3:
        return _of_version(parts)
    if len(parts) >= 4 and parts[1] == MODELS and parts[3] == ARTIFACTS and _number(parts[0]):
        return Place(Owner("model", parts[2]), clean("/".join(parts[4:])))
    if len(parts) >= 3 and parts[2] == ARTIFACTS and _number(parts[0]):
        return Place(Owner("run", parts[1]), clean("/".join(parts[3:])))
    clean(text)
    raise NotFound(f"Nobody's artifacts are at {text[:200]!r}.", hint=_FORMS)


def clean(path: str) -> str:
    """Return a path among artifacts; empty means the root. Raises InvalidInput for one that leads elsewhere."""
    return paths.folder(path)


def file(path: str | None) -> str:
    """Return a path that must name a file; raises InvalidInput."""
    return paths.check_path(path or "")


def _of_version(parts: list[str]) -> Place:
    try:
        name = bytes.fromhex(parts[1]).decode()
    except ValueError as error:
        raise NotFound(f"{parts[1][:80]!r} names no registered model.", hint="Ask for its download URI.") from error
    if not _number(parts[2]):
        raise NotFound(f"{parts[2][:40]!r} is not the number of a version.", hint="Ask for its download URI.")
    return Place(None, clean("/".join(parts[3:])), name, int(parts[2]))


def _number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= 18
