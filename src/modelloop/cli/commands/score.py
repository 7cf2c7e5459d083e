"""`modelloop score`: batch scoring of a dataset."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from ..face import act
from ..options import PLAIN, Options

app = App(name="score", help="Score a dataset with a model, into a dataset: run, list.")


@app.command
def run(
    version: str,
    dataset: str,
    /,
    *,
    into: str,
    keep: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    chunk: int = 50_000,
    processes: int = 0,
    face: Options = PLAIN,
) -> int:
    """Score a version of a dataset with a version of a model. Killed and asked again, it goes on where it was.

    Parameters
    ----------
    version
        MODEL:NUMBER, for instance delay:3.
    dataset
        NAME (its newest version), NAME:VERSION or NAME:TAG.
    into
        The dataset that gets the scores as a version.
    keep
        Columns that stand beside the scores; the dataset's key (or all, where it has none) if left out.
    chunk
        Rows of a piece: what is lost at most when it is killed.
    processes
        Processes that score; as many as there are cores if left out.
    """
    return act(
        "score:score", face, version=version, dataset=dataset, into=into, keep=keep, chunk=chunk, processes=processes
    )


@app.default
def listing(*, face: Options = PLAIN) -> int:
    """List batch scorings, newest first."""
    return act("score:listing", face)


app.command(listing, name="list")
