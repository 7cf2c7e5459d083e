"""All addresses of the MLflow-compatible API, as data. What MLflow has and this list lacks is in `absent`."""

from __future__ import annotations

from ..ground.core.rights import Right
from . import absent, batches, experiments, files, models, register, runs
from .replies import encode
from .routing import PLACES_3, ROOT, Call, Route

SPEAKS = "3.17.2"
"""The version of MLflow whose protocol this is."""


def version(_call: Call) -> bytes:
    """Say which version of MLflow's protocol is spoken."""
    return SPEAKS.encode()


def server_info(_call: Call) -> bytes:
    """Say what a client may use: it asks before it uploads a large file in parts."""
    return encode(
        {
            "workspaces_enabled": False,
            "trace_archival_enabled": False,
            "multipart_uploads_enabled": False,
            "multipart_downloads_enabled": False,
        }
    )


ROUTES: tuple[Route, ...] = (
    *batches.ROUTES,
    *runs.ROUTES,
    *experiments.ROUTES,
    *models.ROUTES,
    *register.ROUTES,
    *files.ROUTES,
    Route("GET", "version", Right.PUBLIC, places=ROOT, answer=version),
    Route("GET", "server-info", Right.READ, places=PLACES_3, answer=server_info),
    *absent.ROUTES,
)
