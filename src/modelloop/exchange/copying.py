"""Files come over, a piece at a time, and are hashed on the way: there as they were read, here as they are kept."""

from __future__ import annotations

import hashlib

from ..ground.core.errors import Conflict, InvalidInput
from ..ground.store.context import Context
from ..train.tracking.actions import artifacts
from ..train.tracking.records import Owner
from .records import Files, ForeignFile, ForeignStore, Imported

UNREADABLE = "unreadable"


class Copies:
    """The files of all runs and models of one import."""

    def __init__(self, ctx: Context, store: ForeignStore, report: Imported) -> None:
        self._ctx, self._store, self.report = ctx, store, report
        self._looked: dict[Owner, dict[str, str]] = {}
        self._counted: dict[Owner, tuple[int, int]] = {}
        self.there = self.here = self.equal = 0
        self.folderless: list[str] = []

    def looked_at(self, owner: Owner, place: str, experiment: int) -> dict[str, str]:
        """Return path -> SHA-256 of the files there, and count them beside those that are here."""
        files = self._store.files(owner.kind, owner.id, place, experiment)
        found = {one.path: self._hash(owner, files, one) for one in files.listed()}
        return self._noted(owner, files, found)

    def copied(self, owner: Owner, place: str, experiment: int) -> dict[str, str]:
        """Bring over what is not here, and return path -> SHA-256 of the files there."""
        files = self._store.files(owner.kind, owner.id, place, experiment)
        have = {file.path: file.size for file, _ in artifacts.files_of(self._ctx, owner)}
        known = self._looked.get(owner, {})
        mine = self.here_of(owner) if have else {}
        found: dict[str, str] = {}
        for one in files.listed():
            if have.get(one.path) == one.size:
                found[one.path] = known.get(one.path) or self._hash(owner, files, one)
                if found[one.path] == mine.get(one.path):
                    continue
            found[one.path] = self._copy(owner, files, one)
        return self._noted(owner, files, found)

    def here_of(self, owner: Owner) -> dict[str, str]:
        """Return path -> SHA-256 of the files here, read again from where they are kept."""
        found = {}
        for file, parts in artifacts.files_of(self._ctx, owner):
            digest = hashlib.sha256()
            for part, _ in parts:
                digest.update(self._ctx.blobs.get(part))
            found[file.path] = digest.hexdigest()
        return found

    def _copy(self, owner: Owner, files: Files, one: ForeignFile) -> str:
        digest = hashlib.sha256()
        try:
            with artifacts.open_upload(self._ctx, owner, one.path) as upload:
                for piece in files.read(one.path):
                    digest.update(piece)
                    upload.write(piece)
                upload.commit()
        except (InvalidInput, Conflict) as error:
            self.report.differs.append(f"{owner.kind} {owner.id}: {error}")
            return self._hash(owner, files, one)
        except (FileNotFoundError, PermissionError, ConnectionError) as error:
            return self._unreadable(owner, one, error)
        self.report.wrote("files")
        return digest.hexdigest()

    def _hash(self, owner: Owner, files: Files, one: ForeignFile) -> str:
        digest = hashlib.sha256()
        try:
            for piece in files.read(one.path):
                digest.update(piece)
        except (FileNotFoundError, PermissionError, ConnectionError) as error:
            return self._unreadable(owner, one, error)
        return digest.hexdigest()

    def _unreadable(self, owner: Owner, one: ForeignFile, error: OSError) -> str:
        said = f"{owner.kind} {owner.id}: {one.path}: {error.strerror or error}"
        if said not in self.report.missing:
            self.report.missing.append(said)
        return UNREADABLE

    def _noted(self, owner: Owner, files: Files, found: dict[str, str]) -> dict[str, str]:
        """Count the files once, name what is missing, and return what could be read."""
        readable = {path: digest for path, digest in found.items() if digest != UNREADABLE}
        if owner in self._looked:
            before = self._looked[owner]
            self.there -= len(before)
            self.here -= self._counted[owner][0]
            self.equal -= self._counted[owner][1]
        else:
            said = [f"{owner.kind} {owner.id}: {one}" for one in files.left_out()]
            self.report.missing += [one for one in said if one not in self.report.missing]
            if files.missing and owner.kind == "run":
                self.folderless.append(owner.id)
            elif files.missing:
                self.report.missing.append(f"logged model {owner.id}: its files are {files.missing}")
        mine = self.here_of(owner)
        self._looked[owner] = readable
        equal = sum(mine.get(path) == digest for path, digest in readable.items())
        self._count(owner, len(readable), len(mine), equal)
        return readable

    def _count(self, owner: Owner, there: int, here: int, equal: int) -> None:
        self._counted[owner] = (here, equal)
        self.there += there
        self.here += here
        self.equal += equal
