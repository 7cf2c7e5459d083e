"""The control process: the API and the page, on uvicorn."""

from __future__ import annotations

import socket
from pathlib import Path

import uvicorn

from . import app
from .ground.core.records import Actor
from .ground.core.settings import Settings
from .web.pages import environment
from .web.routes import ROUTES
from .web.session import Doorkeeper
from .web.shell import Guarded, Site, build


def hosts(settings: Settings) -> frozenset[str]:
    """Return the names under which control may be called."""
    own = () if settings.is_local else (socket.gethostname().lower(), settings.host)
    return frozenset({"127.0.0.1", "localhost", "::1", *own})


def asgi(project_dir: Path, settings: Settings) -> Guarded:
    """Return the application on the project's store."""
    ctx = app.open_context(project_dir, Actor("control"), settings=settings)
    names = hosts(settings)
    door = Doorkeeper(app.secret_token(settings), settings.token_file.parent)
    site = Site(ctx, app.open_project(project_dir), project_dir, door, names, environment())
    return Guarded(build(site, ROUTES), names)


def serve(project_dir: Path, settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT."""
    uvicorn.run(
        asgi(project_dir, settings),
        host=settings.host,
        port=settings.control_port,
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        lifespan="off",
    )
