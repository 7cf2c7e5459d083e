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
        What is predicted: binary, multiclass or regression.
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
    entry_point: Annotated[str | None, Parameter(name=["--entry-point", "-e"])] = None,
    env: str | None = None,
    face: Options = PLAIN,
) -> int:
    """Run a pipeline; one that makes a model opens an episode. Waits for the end and shows progress.

    Parameters
    ----------
    pipeline
        A [pipelines.NAME] of the project file, or the folder of an MLflow project (with a file MLproject).
    param
        An argument of the pipeline: NAME=VALUE, the value as JSON or plain text. May be repeated.
    local
        Do the work here instead of leaving it to a worker. So it is where no worker is up.
    wait
        Wait for the end, or return once the work is queued.
    reason
        Why, for the audit log.
    entry_point
        Of an MLflow project: what to run; main if left out. A script of the folder may be named too.
    env
        Of an MLflow project: own (what its python_env or conda_env describes) or local (this one).
    """
    if entry_point is not None or env is not None:
        asked = {"folder": pipeline, "entry": entry_point or "main", "env": env or "", "params": param or []}
        return act("mlproject:run", face, **asked)
    return act("begin:run", face, pipeline=pipeline, params=param or [], local=local, wait=wait, reason=reason)
