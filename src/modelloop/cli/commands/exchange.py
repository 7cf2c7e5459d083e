"""Commands that bring in what another tool kept, and take everything out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ..face import act
from ..options import PLAIN, Options

app = App(name="import", help="Bring in what another tool kept: mlflow.")


@app.command
def mlflow(
    source: str,
    /,
    *,
    artifacts: Path | None = None,
    strict: Annotated[bool, Parameter(negative="")] = False,
    face: Options = PLAIN,
) -> int:
    """Bring in a store of MLflow (experiments, runs, models, files, register) and prove that both sides are equal.

    What is here already stays; run it again after an interruption. Exit code 1 where anything differs.

    Parameters
    ----------
    source
        A SQLite file or sqlite:///FILE, a postgresql:// URL, or the http(s) address of a server.
    artifacts
        The folder of the artifacts, where it is not (or no longer) at the place that the store names.
    strict
        Exit code 1 also where files that the store speaks of are missing.
    """
    return act("exchange:import_mlflow", face, source=source, artifacts=artifacts, strict=strict)


def export(folder: Path, /, *, experiment: str | None = None, face: Options = PLAIN) -> int:
    """Write everything to open formats: JSON lines, and artifacts as files, with a manifest of hashes.

    Parameters
    ----------
    folder
        A folder that is not there yet, or is empty.
    experiment
        Only this one, by name.
    """
    return act("exchange:export", face, folder=folder, experiment=experiment)
