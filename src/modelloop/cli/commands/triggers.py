"""`modelloop triggers`: what starts pipelines by itself."""

from __future__ import annotations

from cyclopts import App

from ..face import act
from ..options import PLAIN, Options

app = App(name="triggers", help="What starts pipelines by itself: list, show.")


@app.default
def listing(*, face: Options = PLAIN) -> int:
    """List triggers with the next instant of their calendar and what they did last."""
    return act("triggers:listing", face)


app.command(listing, name="list")


@app.command
def show(name: str, /, *, face: Options = PLAIN) -> int:
    """Show what became of each cause that a trigger met: fired, skipped (and why), failed.

    Parameters
    ----------
    name
        A [triggers.NAME] of the project file.
    """
    return act("triggers:show", face, name=name)
