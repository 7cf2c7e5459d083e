"""`modelloop data`: what was brought in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ..face import act
from ..options import PLAIN, Limit, Options

app = App(name="data", help="Datasets: list, show, ingest, quarantine, infer.")


@app.default
def listing(*, face: Options = PLAIN) -> int:
    """List datasets with their newest version."""
    return act("data:listing", face)


app.command(listing, name="list")


@app.command
def show(
    name: str,
    /,
    *,
    version: Annotated[int | None, Parameter(validator=Number(gte=1, lte=10**9))] = None,
    face: Options = PLAIN,
) -> int:
    """Show a dataset: its versions, and the report of one of them.

    Parameters
    ----------
    name
        The dataset.
    version
        The version whose report is shown; the newest if left out.
    """
    return act("data:show", face, name=name, version=version)


@app.command
def ingest(source: str | None = None, /, *, face: Options = PLAIN) -> int:
    """Take in what is new at one source, or at all of them.

    Parameters
    ----------
    source
        A [sources.NAME] of the project file; all if left out.
    """
    return act("data:ingest", face, source=source)


@app.command
def quarantine(name: str, /, *, limit: Limit = 20, face: Options = PLAIN) -> int:
    """List rows that broke the contract of a dataset, and files that were refused as a whole.

    Parameters
    ----------
    name
        The dataset.
    """
    return act("data:quarantine", face, name=name, limit=limit)


@app.command
def infer(
    file: Path, /, *, name: Annotated[str, Parameter(help="The contract's name.")] = "rows", face: Options = PLAIN
) -> int:
    """Propose a contract for a file, ready to be read and pasted into modelloop.toml.

    Parameters
    ----------
    file
        A Parquet, CSV or JSON-lines file.
    """
    return act("data:infer", face, file=file, name=name)
