"""`modelloop online`: datasets of which gateways look up rows by key."""

from __future__ import annotations

from cyclopts import App

from ..face import act
from ..options import PLAIN, Options

app = App(name="online", help="Datasets of which gateways look up rows by key: list, fill.")


@app.default
def listing(*, face: Options = PLAIN) -> int:
    """List online tables: which version of their dataset gateways look up, and which is the newest."""
    return act("online:listing", face)


app.command(listing, name="list")


@app.command
def fill(name: str | None = None, /, *, face: Options = PLAIN) -> int:
    """Fill online tables from the newest versions of their datasets; the loop does so by itself each turn.

    Parameters
    ----------
    name
        An [online.NAME] of the project file; all of them if left out.
    """
    return act("online:fill", face, name=name)
