"""`modelloop components`: steps that projects share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ..face import act
from ..options import PLAIN, Options

app = App(name="components", help="Steps that projects share: list, show, publish, take, check.")

From = Annotated[
    Path | None,
    Parameter(name="--from", help="Folder of the project whose catalogue is meant; this one's if left out."),
]


@app.default
def listing(*, from_: From = None, face: Options = PLAIN) -> int:
    """List published components with their newest version."""
    return act("components:listing", face, place=from_)


app.command(listing, name="list")


@app.command
def show(name: str, /, *, from_: From = None, face: Options = PLAIN) -> int:
    """Show a component: versions, signature, what it needs, its source.

    Parameters
    ----------
    name
        NAME or NAME:VERSION.
    """
    return act("components:show", face, name=name, place=from_)


@app.command
def publish(function: str, /, *, name: str, version: str, face: Options = PLAIN) -> int:
    """Publish a function of this project with every project module that it imports.

    Parameters
    ----------
    function
        MODULE:FUNCTION beside the project file.
    name
        What others call it.
    version
        Three numbers, e.g. 1.2.0; a published version never changes.
    """
    return act("components:publish", face, function=function, name=name, version=version)


@app.command
def take(name: str, /, *, from_: From = None, force: bool = False, face: Options = PLAIN) -> int:
    """Take a component over: its source comes to components/NAME in this project, to be read and committed.

    Parameters
    ----------
    name
        NAME (the highest version) or NAME:VERSION.
    force
        Overwrite what was changed there by hand.
    """
    return act("components:take", face, name=name, place=from_, force=force)


@app.command
def check(*, from_: From = None, face: Options = PLAIN) -> int:
    """Say of each component taken over whether it was changed by hand, and whether there is a newer version."""
    return act("components:check", face, place=from_)
