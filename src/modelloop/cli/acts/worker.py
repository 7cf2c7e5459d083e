"""The work of `modelloop worker`."""

from __future__ import annotations

from ... import app
from ...ground.core.records import Actor
from ...worker import serve
from ..desk import Desk
from ..face import Answer


def worker(desk: Desk) -> Answer:
    """Turn the loop and run what is queued."""
    project = desk.project  # mistakes in it are told before a store is made
    ctx = app.open_context(desk.project_dir, Actor("worker"), settings=desk.settings)
    try:
        serve(ctx, project, desk.project_dir)
    finally:
        ctx.db.close()
    return Answer({}, lambda _console: None, told=True)
