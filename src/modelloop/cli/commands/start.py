"""Commands that begin something: init, run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..face import act
from ..options import PLAIN, Options


def init(
    folder: Path = Path(),
    /,
    *,
    name: str | None = None,
    task: str = "binary",
    face: Options = PLAIN,
) -> int:
    """Make a project: a commented modelloop.toml and a file of steps. Nothing that exists is overwritten.

    Parameters
    ----------
    folder
        Where; here if left out.
    name
        The project's name; the folder's name if left out.
    task
        What is predicted: binary or regression.
    """
    return act("init:init", face, folder=folder, name=name, task=task)


def run(
    pipeline: str,
    /,
    *,
    param: Annotated[list[str] | None, Parameter(name=["--param", "-P"], negative="")] = None,
    local: Annotated[bool, Parameter(negative="")] = False,
    wait: bool = True,
    reason: str = "",
    face: Options = PLAIN,
) -> int:
    """Run a pipeline; one that makes a model opens an episode. Waits for the end and shows progress.

    Parameters
    ----------
    pipeline
        A [pipelines.NAME] of the project file.
    param
        An argument of the pipeline: NAME=VALUE, the value as JSON or plain text. May be repeated.
    local
        Do the work here instead of leaving it to a worker. So it is where no worker is up.
    wait
        Wait for the end, or return once the work is queued.
    reason
        Why, for the audit log.
    """
    return act("begin:run", face, pipeline=pipeline, params=param or [], local=local, wait=wait, reason=reason)
