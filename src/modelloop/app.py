"""The only place that builds things: the project's folder -> settings -> database, bytes, Context, Project.

Settings are about the machine (where facts and bytes are, ports, who may call) and come from the environment; the
project file is about the model and is the same everywhere.
"""

from __future__ import annotations

import getpass
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from .ground.core.clock import SystemClock
from .ground.core.errors import ModelloopError, NotFound
from .ground.core.records import Actor, Role
from .ground.core.settings import Settings, check_address, read_settings
from .ground.store.blobs import Blobs
from .ground.store.context import Context
from .ground.store.secret import own_secret

if TYPE_CHECKING:
    from .project import Project

PROJECT_FILE = "modelloop.toml"


def find_project(start: Path | None = None) -> Path:
    """Return the folder with `modelloop.toml`: `start` (default: here) or the nearest one above it."""
    here = (start or Path.cwd()).resolve()
    here = here.parent if here.name == PROJECT_FILE else here
    for folder in (here, *here.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise NotFound(
        f"There is no {PROJECT_FILE} in {here} nor in any folder above it.",
        hint="Go to the project's folder, pass --project PATH, or make one with `modelloop init FOLDER`.",
    )


def settings_for(project_dir: Path) -> Settings:
    """Return this machine's settings for the project, from the environment; raises InvalidInput with all mistakes."""
    return read_settings(os.environ, project_dir)


def local_actor() -> Actor:
    """Return the person at this machine: who can read the project's secrets may do everything."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user id
        name = f"uid-{os.getuid()}"
    return Actor(name, Role.ADMIN)


def open_context(project_dir: Path, actor: Actor | None = None, *, settings: Settings | None = None) -> Context:
    """Return a Context on the project's store: migrated, its bytes probed, its secret made if this is the first start.

    Safe for many processes at once on an empty store. Whoever opens it closes `ctx.db`.
    """
    from .ground.store.db import Database  # noqa: PLC0415 - SQLAlchemy is half the start of a process that does without
    from .ground.store.migrate import migrate  # noqa: PLC0415 - as above

    chosen = settings or settings_for(project_dir)
    secret_token(chosen)
    db = Database(chosen.database_url)
    try:
        migrate(db)
        blobs = Blobs(chosen.blobs_url)
        blobs.probe()
    except ModelloopError:
        db.close()
        raise
    return Context(db, blobs, SystemClock(), actor or local_actor(), chosen.home)


def open_project(project_dir: Path) -> Project:
    """Return the parsed project file; raises ProjectFileInvalid with all its mistakes."""
    # with it come the settings of every stage: a rollback needs none of them
    found: Project = import_module(f"{__package__}.project").read_project(project_dir / PROJECT_FILE)
    return found


def secret_token(settings: Settings) -> str:
    """Return the token that opens the API, made at first start: `secrets/token`, readable by its owner only."""
    token = own_secret(settings.token_file)
    check_address(settings, token)
    return token
