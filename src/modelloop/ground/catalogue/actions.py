"""Verbs of the catalogue: publish, list, take over into a project, check what was taken over."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import msgspec
from sqlalchemy.exc import IntegrityError

from ..core.errors import Conflict, InvalidInput, NotFound
from ..core.hashing import hash_bytes
from ..core.ids import check_name
from ..core.records import Event
from ..store import audit
from ..store.context import Context
from . import tables
from .bundle import collect, files, source_digest, to_bytes
from .records import Bundle, Component, Taken

FOLDER = "components"
"""Where a project holds what it took over; an importable package beside its steps."""
_MARK = "component.json"


@dataclass(frozen=True, slots=True)
class _Mark:
    """What lies beside a component that was taken over: what it is, and the hash of each file."""

    name: str
    version: str
    digest: str
    files: dict[str, str]


def publish(ctx: Context, project_dir: Path, reference: str, *, name: str, version: str, project: str) -> Component:
    """Publish MODULE:FUNCTION of a project with all project modules it imports, under a version.

    The same source under the same version again is the same component; other source raises Conflict.
    """
    check_name(name, "component")
    _order(version)
    bundle = collect(reference, lambda module: _source(project_dir, module))
    made = Component(
        name=name,
        version=version,
        digest=ctx.blobs.put(to_bytes(bundle)),
        function=bundle.function,
        signature=bundle.signature,
        doc=bundle.doc,
        modules=tuple(bundle.modules),
        packages=bundle.packages,
        project=project,
        at=ctx.now(),
        by=ctx.actor.name,
    )
    try:
        with ctx.db.transaction() as connection:
            tables.add(connection, made)
            facts = {"function": reference, "digest": made.digest, "modules": list(made.modules)}
            audit.append(connection, ctx, Event("component.published", f"component:{made.title}", facts))
        return made
    except IntegrityError:
        there = component(ctx, name, version)
        if source_digest(_bundle(ctx, there)) == source_digest(bundle):
            return there
    raise Conflict(
        f"{made.title} is published with other source (by {there.by}, {there.at:%Y-%m-%d}).",
        hint="A published version never changes: publish this under a higher one.",
    )


def components(ctx: Context, name: str | None = None) -> list[Component]:
    """Return published versions, by name, lowest version first."""
    with ctx.db.reading() as connection:
        found = tables.versions(connection, name)
    return sorted(found, key=lambda one: (one.name, _order(one.version)))


def component(ctx: Context, name: str, version: str | None = None) -> Component:
    """Return a version, the highest if none is given; raises NotFound."""
    found = components(ctx, name)
    chosen = [one for one in found if version in (None, one.version)]
    if chosen:
        return chosen[-1]
    if found:
        raise NotFound(
            f"The component {name!r} has no version {version}.",
            hint=f"It has {', '.join(one.version for one in found)}.",
        )
    names = sorted({one.name for one in components(ctx)})
    near = get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names) or 'none yet'}."
    raise NotFound(f"There is no component {name[:60]!r}.", hint=hint)


def source(ctx: Context, found: Component) -> Bundle:
    """Return the source of a component."""
    return _bundle(ctx, found)


def take(ctx: Context, found: Component, project_dir: Path, *, force: bool = False) -> Path:
    """Write a component into the project as the package `components.NAME`; return its folder.

    What was changed there by hand is not overwritten without `force`. Files are replaced one by one and the mark last:
    killed in between, it is simply taken again.
    """
    folder = project_dir / FOLDER / found.name.replace("-", "_")
    state = _state(folder)
    if state is not None and not force and (edited := _changed(folder, state)):
        raise Conflict(
            f"{', '.join(edited)} in {folder} was changed by hand.",
            hint="Publish the change as a new version, or take it over with --force and lose it.",
        )
    texts = files(_bundle(ctx, found), found.title, found.digest)
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "__init__.py").touch()
    for old in state.files if state else ():
        if old not in texts:
            (folder / Path(old).name).unlink(missing_ok=True)
    for name, text in texts.items():
        _write(folder / name, text)
    hashes = {name: hash_bytes(text.encode()) for name, text in texts.items()}
    mark = _Mark(found.name, found.version, found.digest, hashes)
    _write(folder / _MARK, msgspec.json.format(msgspec.json.encode(mark), indent=2).decode() + "\n")
    return folder


def taken(ctx: Context, project_dir: Path) -> list[Taken]:
    """Return what a project took over, what was changed since, and what is newer."""
    found = []
    for mark in sorted((project_dir / FOLDER).glob(f"*/{_MARK}")):
        state = _state(mark.parent)
        if state is None:
            continue
        published = components(ctx, state.name)
        newest = published[-1].version if published else None
        newer = newest if newest is not None and _order(newest) > _order(state.version) else None
        changed = tuple(_changed(mark.parent, state))
        found.append(Taken(state.name, state.version, state.digest, changed, newer))
    return found


def _bundle(ctx: Context, found: Component) -> Bundle:
    return Bundle(**json.loads(ctx.blobs.get(found.digest)))


def _source(project_dir: Path, module: str) -> str | None:
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    place = project_dir.joinpath(*parts)
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file() and file.resolve().is_relative_to(project_dir.resolve()):
            return file.read_text(encoding="utf-8")
    return None


def _order(version: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d{1,6}\.\d{1,6}\.\d{1,6}", version):
        raise InvalidInput(f"{version[:40]!r} is no version of a component.", hint="Expected one such as 1.2.0.")
    return tuple(map(int, version.split(".")))


def _state(folder: Path) -> _Mark | None:
    """Return what was taken over into a folder; None where there is nothing, or what is there cannot be read."""
    try:
        return msgspec.json.decode((folder / _MARK).read_bytes(), type=_Mark)
    except (OSError, msgspec.DecodeError):
        return None


def _changed(folder: Path, state: _Mark) -> list[str]:
    found = []
    for name, digest in state.files.items():
        path = folder / Path(name).name
        if not path.is_file() or hash_bytes(path.read_bytes()) != digest:
            found.append(name)
    return found


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
