"""The artifacts that tracking holds, as files of a snapshot: the same bytes, nothing is copied."""

from __future__ import annotations

from ...ground.core.errors import InvalidInput
from ...ground.store.context import Context
from ...train.tracking.actions import artifacts
from ...train.tracking.records import Owner
from ..records import StoredFile

MAX_FILES = 20_000


def stored_files(ctx: Context, kind: str, owner_id: str, path: str) -> dict[str, StoredFile]:
    """Return every file under a folder of a run's or logged model's artifacts, by its path from there."""
    start = f"{path}/" if path else ""
    held = artifacts.files_of(ctx, Owner(kind, owner_id))
    found = {
        file.path.removeprefix(start): StoredFile(file.size, tuple(parts))
        for file, parts in held
        if file.path.startswith(start)
    }
    if len(found) > MAX_FILES:
        raise InvalidInput(f"{path!r} of {kind} {owner_id} holds {len(found)} files; at most {MAX_FILES}.")
    return found
