"""Fill online tables from datasets, so that gateways look up what training joined."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from ...data import actions as data
from ...ground.core.errors import BlobMissing, NotFound
from ...ground.core.hashing import hash_json
from ...ground.core.records import Event
from ...ground.core.toml import plain
from ...ground.store import audit
from ...ground.store.context import Context
from ..online import OnlineDocument, decode, table_document
from ..settings import OnlineSettings

if TYPE_CHECKING:
    from ...project import Project


@dataclass(frozen=True, slots=True)
class OnlineState:
    """An online table as the project declares it, and what gateways are given."""

    name: str
    dataset: str
    newest: int | None
    """The dataset's newest version; None: there is none yet."""
    filled: OnlineDocument | None
    stale: bool
    """The dataset has a newer version, or the settings changed."""


def fill_online(ctx: Context, project: Project, only: str | None = None) -> list[str]:
    """Fill every table whose dataset has a newer version, or the one named; return the names of those that changed.

    The bytes are written before the document names them, so a process killed in between leaves the table as it was.
    """
    if only is not None and only not in project.online:
        known = ", ".join(project.online) or "none"
        raise NotFound(f"The project file declares no online table {only[:80]!r}.", hint=f"It declares: {known}.")
    wanted = project.online if only is None else {only: project.online[only]}
    return [name for name, settings in wanted.items() if _fill(ctx, name, settings, must=only is not None)]


def online_states(ctx: Context, project: Project) -> list[OnlineState]:
    """Return every declared table with what it holds."""
    return [_state(ctx, name, settings) for name, settings in project.online.items()]


def _state(ctx: Context, name: str, settings: OnlineSettings) -> OnlineState:
    try:
        newest = data.version(ctx, settings.dataset).number
    except NotFound:
        newest = None
    filled = _document(ctx, name)
    same = filled is not None and (filled.version, filled.settings) == (newest, _made_by(settings))
    return OnlineState(name, settings.dataset, newest, filled, newest is not None and not same)


def _fill(ctx: Context, name: str, settings: OnlineSettings, *, must: bool) -> bool:
    state = _state(ctx, name, settings)
    if state.newest is None and must:
        raise NotFound(f"The dataset {settings.dataset!r} has no version yet.", hint="Ingest it first.")
    if not state.stale or state.newest is None:
        return False
    rows = data.read(ctx, settings.dataset, state.newest)
    made, count, datatypes = import_module("modelloop.deploy.online_frame").to_table(name, settings, rows)
    document = OnlineDocument(
        digest=ctx.blobs.put(made),
        dataset=settings.dataset,
        version=state.newest,
        settings=_made_by(settings),
        rows=count,
        keys=len(decode(made)),
        key=settings.key,
        values=datatypes,
    )
    ctx.blobs.write_document(table_document(name), msgspec.json.encode(document, order="deterministic"))
    facts = {"dataset": settings.dataset, "version": state.newest, "rows": count, "keys": document.keys}
    with ctx.db.transaction() as connection:
        audit.append(connection, ctx, Event("online.filled", f"online:{name}", facts))
    return True


def _made_by(settings: OnlineSettings) -> str:
    return hash_json(plain(settings))


def _document(ctx: Context, name: str) -> OnlineDocument | None:
    try:
        return msgspec.json.decode(ctx.blobs.read_document(table_document(name)), type=OnlineDocument)
    except (BlobMissing, msgspec.DecodeError, ValueError):
        return None  # none yet, or of another release: it is filled anew
