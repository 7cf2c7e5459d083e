"""Where runs go, and where they wait: read from an address, the environment and the folder one works in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from ..ground.core.errors import InvalidInput, NotFound
from ..ground.core.settings import is_loopback
from .destination import Destination

PROJECT_FILE = "modelloop.toml"
URI, TOKEN = "MODELLOOP_TRACKING_URI", "MODELLOOP_TRACKING_TOKEN"
_STORE = "store:"


@dataclass(frozen=True, slots=True)
class Where:
    """Where a run goes."""

    target: str
    """`store:FOLDER` for a project's own store, else a URL."""
    roots: tuple[Path, ...]
    """Where its spool may be, the best place first."""
    token: str = ""

    def __repr__(self) -> str:
        return f"Where({self.target!r})"


def find(to: str | os.PathLike[str] | None, environ: Mapping[str, str], here: Path) -> Where:
    """Return where a run goes: `to`, else MODELLOOP_TRACKING_URI, else the project in `here` or above it.

    Raises NotFound where there is none of these, InvalidInput for an address that is none.
    """
    asked = os.fspath(to) if to is not None else environ.get(URI, "").strip()
    project = nearest(here)
    if "://" in asked and not asked.startswith("file://"):
        return Where(_checked(asked), roots(project, environ), token_for(asked, project, environ))
    if asked:
        project = nearest(Path(asked.removeprefix("file://")))
    if project is None:
        raise NotFound(
            f"There is no {PROJECT_FILE} in {asked or here} nor in any folder above it, hence no store.",
            hint=f"Set {URI} to a server's address (and {TOKEN}), or make a project with `modelloop init FOLDER`.",
        )
    return Where(_STORE + str(project), roots(project, environ))


def again(target: str, root: Path, environ: Mapping[str, str], here: Path) -> Where:
    """Return where a run that waits in a spool goes; its target is what its first record says."""
    if target.startswith(_STORE):
        return Where(target, (root,))
    return Where(_checked(target), (root,), token_for(target, nearest(here), environ))


def destination(where: Where) -> Destination:
    """Open a destination. The store's is loaded only here: whoever logs to a server needs no database."""
    local = where.target.startswith(_STORE)
    module = import_module(".store" if local else ".wire", __package__)
    made: Destination = (
        module.Store(Path(where.target[len(_STORE) :])) if local else module.Wire(where.target, where.token)
    )
    return made


def nearest(start: Path) -> Path | None:
    """Return the folder with a project file: `start`, or the nearest above."""
    start = start.expanduser().absolute()
    return next((folder for folder in (start, *start.parents) if (folder / PROJECT_FILE).is_file()), None)


def roots(project: Path | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where spools may be: with the project, in the user's cache, in the machine's folder for passing files."""
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelloop" / "spool"
    passing = Path(tempfile.gettempdir()) / f"modelloop-spool-{os.getuid()}"
    own = () if project is None else (project / (environ.get("MODELLOOP_HOME") or ".modelloop") / "spool",)
    return (*own, cache, passing)


def token_for(url: str, project: Path | None, environ: Mapping[str, str]) -> str:
    """Return the token for a server. The project's own is given to a server on this machine only."""
    if given := environ.get(TOKEN, "").strip():
        return given
    if not is_loopback(urlsplit(url).hostname or ""):
        return ""
    home = environ.get("MODELLOOP_HOME") or ".modelloop"
    file = environ.get("MODELLOOP_TOKEN_FILE") or (project / home / "secrets" / "token" if project else None)
    try:
        return Path(file).read_text().strip() if file else ""
    except OSError:
        return ""


def _checked(url: str) -> str:
    """Return an address as it is kept; raises InvalidInput where it is none, or holds a secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{url[:200]!r} is not a server's address: {error}", hint=f"Correct {URI}.") from error
    if parts.username or parts.password:
        raise InvalidInput(
            f"The address of the server {parts.hostname} holds a name or a password.",
            hint=f"Addresses are kept and shown: give the token in {TOKEN}.",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InvalidInput(
            f"{url[:200]!r} is not a server's address.", hint="Expected http://HOST:PORT, or the folder of a project."
        )
    return url.rstrip("/")
