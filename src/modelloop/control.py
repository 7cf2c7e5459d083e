"""The control process: the API, the page, and the MLflow-compatible API, on uvicorn."""

from __future__ import annotations

import ctypes
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path

import uvicorn

from . import app
from .ground.core.errors import AddressRefused
from .ground.core.records import Actor
from .ground.core.settings import Settings
from .mlflow.desk import open_desk
from .mlflow.face import Face
from .mlflow.routes import ROUTES as MLFLOW_ROUTES
from .project import ProjectFile
from .train.tracking.writer import Writer
from .web.pages import environment
from .web.routes import ROUTES
from .web.session import Doorkeeper
from .web.shell import Guarded, Site, build

_MMAP_THRESHOLD = -3
_LOG = logging.getLogger("modelloop.control")


def hosts(settings: Settings) -> frozenset[str]:
    """Return the names under which control may be called."""
    own = () if settings.is_local else (socket.gethostname().lower(), settings.host)
    return frozenset({"127.0.0.1", "localhost", "::1", *own})


def asgi(project_dir: Path, settings: Settings) -> Guarded:
    """Return the application on the project's store."""
    file = ProjectFile(project_dir, log=_LOG)  # mistakes in it are told before a store is made
    ctx = app.open_context(project_dir, Actor("control"), settings=settings)
    names = hosts(settings)
    door = Doorkeeper(app.secret_token(settings), settings.token_file.parent)
    site = Site(ctx, file.look(), project_dir, door, names, environment(), file)
    face = Face(ctx, door, open_desk(Writer(ctx)), MLFLOW_ROUTES)
    return Guarded(build(site, ROUTES), names, face)


def serve(project_dir: Path, settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    _give_memory_back()
    with _listening(settings) as place:
        config = uvicorn.Config(
            asgi(project_dir, settings),
            log_level=settings.log_level,
            access_log=False,
            server_header=False,
            http="httptools",
            timeout_graceful_shutdown=3,
            lifespan="off",
        )
        uvicorn.Server(config).run([place])


def _give_memory_back() -> None:
    """Let large blocks go back to the system when they are freed: uploads pass through in pieces of 16 MiB.

    glibc would otherwise keep some for each thread (mallopt(3): M_MMAP_THRESHOLD adapts itself up to 32 MiB).
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1 << 20)


def _listening(settings: Settings) -> socket.socket:
    """Return a socket on control's address; raises AddressRefused where it is taken or not of this machine."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host.strip("[]"), settings.control_port), family=family, backlog=2048)
    except OSError as error:
        raise AddressRefused(
            f"Control cannot listen on {settings.host}:{settings.control_port}: {os.strerror(error.errno or 0)}.",
            hint="Choose another --port, or set MODELLOOP_CONTROL_PORT.",
        ) from error
