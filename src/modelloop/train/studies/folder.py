"""A project's facts, for a search that is given the project's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...ground.core.clock import SystemClock
from ...ground.core.errors import NotFound
from ...ground.core.records import Actor, Role
from ...ground.core.settings import read_settings
from ...ground.store.blobs import Blobs
from ...ground.store.context import Context
from ...ground.store.db import Database
from ...ground.store.migrate import migrate

PROJECT_FILE = "modelloop.toml"


@contextmanager
def opened(folder: Path) -> Iterator[Context]:
    """Open the facts of a project, as `app` does: the order of the rooms forbids to ask it."""
    folder = folder.parent if folder.name == PROJECT_FILE else folder
    if not (folder / PROJECT_FILE).is_file():
        raise NotFound(f"There is no {PROJECT_FILE} in {folder.absolute()}.", hint="store= takes a project's folder.")
    settings = read_settings(os.environ, folder)
    db = Database(settings.database_url)
    try:
        migrate(db)
        blobs = Blobs(settings.blobs_url)
        yield Context(db, blobs, SystemClock(), Actor(f"uid-{os.getuid()}", Role.ADMIN), settings.home)
    finally:
        db.close()
