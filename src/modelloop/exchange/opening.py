"""From what is typed as SOURCE to a store that is read."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..ground.core.errors import InvalidInput
from .adapters.database import open_postgres, open_sqlite
from .adapters.server import Server
from .records import ForeignStore

_FORMS = "A SQLite file or sqlite:///FILE, postgresql://..., or the http(s) address of a server."


def open_store(source: str, artifacts: Path | None = None) -> ForeignStore:
    """Open a store of MLflow; raises InvalidInput, NotFound or NotReady."""
    if artifacts is not None and not artifacts.is_dir():
        raise InvalidInput(f"{artifacts} is no folder.", hint="--artifacts names the folder of the experiments.")
    scheme = urlsplit(source).scheme if "://" in source else ""
    if scheme in ("http", "https"):
        return Server(source)
    if scheme == "sqlite":
        return open_sqlite(_sqlite_path(source), artifacts)
    if scheme.partition("+")[0] in ("postgresql", "postgres"):
        return open_postgres(source, artifacts)
    if scheme == "file" or (not scheme and Path(source).is_dir()):
        raise InvalidInput(
            f"{source[:200]} is a folder: a store of MLflow's old file format.",
            hint="Bring it into a database with MLflow: `mlflow migrate-filestore --source FOLDER --target sqlite:///FILE`,"
            " or serve it with `mlflow server --backend-store-uri FOLDER` and give its address.",
        )
    if scheme:
        raise InvalidInput(f"Stores at {scheme}:// are not read.", hint=_FORMS)
    return open_sqlite(Path(source), artifacts)


def _sqlite_path(source: str) -> Path:
    """Return the file of sqlite:///relative or sqlite:////absolute."""
    rest = source.removeprefix("sqlite://").partition("?")[0]
    if not rest.startswith("/") or len(rest) < 2:
        raise InvalidInput(f"{source[:200]!r} names no file.", hint="sqlite:///FILE, or four slashes before /root.")
    return Path(unquote(rest[1:]))
