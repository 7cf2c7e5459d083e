"""Which executor a run gets."""

from __future__ import annotations

from pathlib import Path

from ..flow.elsewhere import Executor
from . import machine
from .adapters.local import LocalExecutor
from .adapters.ray import RayExecutor
from .settings import PoolKind, PoolSettings


def executor_for(settings: PoolSettings, project_dir: Path, blobs_url: str, processes: int | None = None) -> Executor:
    """Return the executor that the project file asks for; nothing is started before the first call.

    `processes`: how many processors calls may share, over what the settings say. Whoever gets it closes it.
    """
    limit = processes or settings.processes
    if settings.kind is PoolKind.RAY:
        return RayExecutor(settings.address, project_dir, blobs_url, processors=limit)
    return LocalExecutor(project_dir, blobs_url, processors=limit or machine.processors())
