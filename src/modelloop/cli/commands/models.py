"""Commands of the register: model versions, aliases, what was live when, folders in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ..face import act
from ..options import PLAIN, Options

app = App(
    name="models",
    help=("Model versions: list, show, card, alias, aliases, history, live, import, convert, export, verify, delete."),
)


@app.default
def listing(*, face: Options = PLAIN) -> int:
    """List model versions with their headline metric and verdict."""
    return act("models:listing", face)


app.command(listing, name="list")


@app.command
def show(version: str, /, *, face: Options = PLAIN) -> int:
    """Show one version: evaluation, gates, lineage, whether it can be served.

    Parameters
    ----------
    version
        MODEL:NUMBER, for instance delay:3, or MODEL@ALIAS.
    """
    return act("models:show", face, version=version)


@app.command
def card(version: str, /, *, face: Options = PLAIN) -> int:
    """Print the model card.

    Parameters
    ----------
    version
        MODEL:NUMBER, for instance delay:3, or MODEL@ALIAS.
    """
    return act("models:card", face, version=version)


@app.command
def alias(version: str, alias: str, /, *, drop: bool = False, reason: str = "", face: Options = PLAIN) -> int:
    """Let an alias name a version from now on, or drop it. Its history stays.

    Parameters
    ----------
    version
        MODEL:NUMBER; with --drop the model alone is enough.
    alias
        The alias; champion and challenger move with `modelloop deploy` only.
    drop
        Take the alias away.
    reason
        Why, for the history.
    """
    return act("models:alias", face, version=version, alias=alias, drop=drop, reason=reason)


@app.command
def aliases(model: str, /, *, face: Options = PLAIN) -> int:
    """List what the aliases of a model name now, since when, by whom and why."""
    return act("models:aliases", face, model=model)


@app.command
def history(model: str, alias: str | None = None, /, *, face: Options = PLAIN) -> int:
    """List every move of an alias, or of all aliases of a model, newest first."""
    return act("models:history", face, model=model, alias=alias)


@app.command
def live(name: str, /, *, at: str | None = None, event_time: bool = False, face: Options = PLAIN) -> int:
    """Say which version answered at an endpoint (or was champion of a model) at a moment.

    Parameters
    ----------
    name
        The endpoint, or a model.
    at
        ISO 8601, UTC unless it says otherwise: 2013-05-03T12:00. Left out: now.
    event_time
        `at` is a moment of the data's clock, not of the machine's.
    """
    return act("models:live", face, name=name, at=at, event_time=event_time)


@app.command(name="import")
def import_folder(
    folder: Path,
    /,
    *,
    name: str,
    description: str = "",
    allow_pickle: Annotated[bool, Parameter(negative="")] = False,
    face: Options = PLAIN,
) -> int:
    """Register a folder, .zip or .tar.gz in MLflow's format, and make a package of it that gateways load.

    Parameters
    ----------
    folder
        Where the file MLmodel is.
    name
        The model under which it becomes the next version.
    description
        What it is.
    allow_pickle
        Read its pickle, in a process of its own: it runs whatever was written into it. The audit log says who said so.
    """
    return act(
        "models:import_folder", face, folder=folder, name=name, description=description, allow_pickle=allow_pickle
    )


@app.command
def convert(
    version: str, /, *, allow_pickle: Annotated[bool, Parameter(negative="")] = False, face: Options = PLAIN
) -> int:
    """Make a package of a version in MLflow's format: ONNX that answers as the model itself does.

    Parameters
    ----------
    version
        MODEL:NUMBER.
    allow_pickle
        Read its pickle, in a process of its own: it runs whatever was written into it. The audit log says who said so.
    """
    return act("models:convert", face, version=version, allow_pickle=allow_pickle)


@app.command
def export(version: str, folder: Path, /, *, package: bool = False, face: Options = PLAIN) -> int:
    """Write the files of a version into a new folder.

    Parameters
    ----------
    version
        MODEL:NUMBER.
    folder
        A folder that is not there yet, or is empty.
    package
        Of a version in MLflow's format: what gateways load, instead of what came in.
    """
    return act("models:export", face, version=version, folder=folder, package=package)


@app.command
def verify(version: str | None = None, /, *, face: Options = PLAIN) -> int:
    """Read and hash every byte of a version, or of all."""
    return act("models:verify", face, version=version)


@app.command
def delete(version: str, /, *, reason: str = "", force: bool = False, face: Options = PLAIN) -> int:
    """Delete a version, or a model with all of them. What ever answered at an endpoint stays.

    Parameters
    ----------
    version
        MODEL:NUMBER, or MODEL for all.
    reason
        Why, for the audit log.
    force
        Also where an alias names it; the alias is dropped.
    """
    return act("models:delete", face, version=version, reason=reason, force=force)
