"""Registered models of another store come into the register: names, versions with their numbers, aliases, tags."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from ..ground.core.errors import Conflict, InvalidInput, NotFound
from ..ground.store.context import Context
from ..register import actions as register
from ..register.records import ModelVersion, Snapshot
from ..register.source import Source, read_source
from . import proof
from .records import ForeignRegistered, ForeignStore, ForeignVersion, Imported

_MODEL = re.compile(r".*/models/(?P<id>m-[0-9a-f]{32})/artifacts(?:/(?P<path>.*))?", re.DOTALL)
_RUN = re.compile(r".*/(?P<id>[A-Za-z0-9][A-Za-z0-9_-]{0,63})/artifacts(?:/(?P<path>.*))?", re.DOTALL)
Count = Callable[[str, proof.Seen, proof.Seen | None], list[str]]
REFUSED = (InvalidInput, Conflict, NotFound)


def take_registered(ctx: Context, store: ForeignStore, report: Imported, count: Count) -> None:
    """Bring all registered models in, and compare."""
    for found in store.registered():
        try:
            _model(ctx, found, report)
        except REFUSED as error:
            report.differs.append(f"model {found.name!r}: {error}")
            count("registered models", proof.registered_there(found), None)
            continue
        for version in found.versions:
            _compared_version(ctx, version, report, count)
        _aliases(ctx, found, report)
        here = proof.registered_here(register.get_model(ctx, found.name), found)
        differs = count("registered models", proof.registered_there(found), here)
        report.differs += [f"model {found.name!r}: {part}" for part in differs]


def _model(ctx: Context, found: ForeignRegistered, report: Imported) -> None:
    try:
        register.create_model(ctx, found.name, description=found.description, tags=found.tags, at_ms=found.made_ms)
        report.wrote("registered models")
        return
    except Conflict:
        here = register.get_model(ctx, found.name)
    if here.description != found.description and not here.description:
        register.update_model(ctx, found.name, description=found.description)
    for key, value in found.tags.items():
        if here.tags.get(key) != value:
            register.set_model_tag(ctx, found.name, key, value)


def _compared_version(ctx: Context, found: ForeignVersion, report: Imported, count: Count) -> None:
    name = f"version {found.model}:{found.number}"
    try:
        snapshot = _snapshot(ctx, found)
        here = _version(ctx, found, snapshot, report)
    except REFUSED as error:
        report.differs.append(f"{name}: {error}")
        count("model versions", proof.version_there(found, ""), None)
        return
    if not snapshot.files and found.source and here.digest == snapshot.digest:
        report.missing.append(f"{name}: no file of {found.place or found.source} came in")
    differs = count("model versions", proof.version_there(found, snapshot.digest), proof.version_here(here))
    report.differs += [f"{name}: {part}" for part in differs]


def _version(ctx: Context, found: ForeignVersion, snapshot: Snapshot, report: Imported) -> ModelVersion:
    """Return the version under its number; made where there is none, else only noted upon."""
    try:
        here = register.of_number(ctx, found.model, found.number)
    except NotFound:
        report.wrote("model versions")
        meant = source_of(found)
        model_id = found.model_id or (meant.id if meant.kind == "model" else None)
        return register.put_snapshot(
            ctx,
            found.model,
            snapshot,
            facts={"source": found.source, "run": found.run_id, "model_id": model_id},
            description=found.description,
            tags=found.tags,
            number=found.number,
            at_ms=found.made_ms,
        )
    if here.digest != snapshot.digest or here.source != found.source:
        return here  # another version has this number: it is named as a difference, and stays
    for key, value in found.tags.items():
        if here.tags.get(key) != value:
            register.set_version_tag(ctx, found.model, found.number, key, value)
    if here.description != found.description:
        register.update_version(ctx, found.model, found.number, description=found.description)
    return register.of_number(ctx, found.model, found.number)


def _snapshot(ctx: Context, found: ForeignVersion) -> Snapshot:
    try:
        return register.snapshot_of(ctx, source_of(found))
    except NotFound:
        return register.snapshot_of(ctx, Source("elsewhere", found.source))


def source_of(found: ForeignVersion) -> Source:
    """Return whose files a version was made of, in whatever form the other store says it."""
    for text in (found.source, found.place):
        meant = read_source(text)
        if meant.kind != "elsewhere":
            return meant
        path = unquote(urlsplit(text).path) if "://" in text else text
        for kind, form in (("model", _MODEL), ("run", _RUN)):
            match = form.fullmatch(path)
            if match is not None:
                return Source(kind, match["id"], (match["path"] or "").strip("/"))
    return Source("elsewhere", found.source)


def _aliases(ctx: Context, found: ForeignRegistered, report: Imported) -> None:
    here = register.get_model(ctx, found.name).aliases
    for alias, number in found.aliases.items():
        if here.get(alias) == number:
            continue
        try:
            register.set_alias(ctx, found.name, alias, number, why=f"imported from {report.source}")
            report.wrote("aliases")
        except REFUSED as error:
            report.differs.append(f"alias {found.name}@{alias}: {error}")
