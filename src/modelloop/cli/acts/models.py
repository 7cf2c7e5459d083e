"""The work of `modelloop models`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.text import Text

from ...ground.core.clock import iso, parse_time
from ...ground.core.errors import InvalidInput, NotFound
from ...register import actions, manifest
from ...register.records import AliasMove, ModelVersion
from ..desk import Desk
from ..face import Answer
from .tables import facts, printed, table

_MOVES = ("alias", "version", "since", "event time", "by", "endpoint", "why")
UNSAFE = "unsafe: it holds a pickle"


def listing(desk: Desk) -> Answer:
    """List versions, newest first."""
    found = [version for name in actions.models(desk.ctx) for version in actions.versions(desk.ctx, name)[::-1]]
    rows = [
        (v.name, ", ".join(v.aliases), v.verdict, v.headline, v.trained_until, v.made_at, v.made_by, _served(v))
        for v in found
    ]
    columns = ("version", "aliases", "gates", "headline", "trained until", "registered", "by", "served")
    return Answer({"versions": [_told(v) for v in found]}, printed(table(columns, rows, empty="no version yet")))


def show(desk: Desk, *, version: str) -> Answer:
    """Show one version with its gates."""
    found = actions.get_version(desk.ctx, version)
    files, evaluation = _contents(desk, found)
    pairs = [
        ("version", found.name),
        ("description", found.description or None),
        ("aliases", ", ".join(found.aliases) or None),
        ("tags", ", ".join(f"{key}={value}" for key, value in found.tags.items()) or None),
        ("gates", found.verdict),
        ("headline", found.headline),
        *(
            (one["metric"]["name"], f"{one['score']['value']} {one['unit']}".strip())
            for one in evaluation.get("own") or ()
        ),
        ("trained", _span(found)),
        ("registered", found.made_at),
        ("run", found.run),
        ("source", found.source or None),
        ("package", found.package),
        ("served", _served(found)),
        *((name, value) for name, value in found.lineage.items() if isinstance(value, str | int | float)),
    ]
    if found.unsafe:
        pairs.append(("unsafe", f"it holds a pickle; read by order of {found.opted_in}" if found.opted_in else UNSAFE))
    gates = evaluation.get("gates") or []
    rows = [(g.get("gate"), g.get("verdict"), g.get("value"), g.get("rows"), g.get("reason")) for g in gates]
    shown = printed(facts(pairs), table(("gate", "verdict", "value", "rows", "why"), rows, empty="no gate was asked"))
    return Answer({"version": _told(found), "evaluation": evaluation, "files": files}, shown)


def card(desk: Desk, *, version: str) -> Answer:
    """Print the card as Markdown."""
    text = actions.card(desk.ctx, version)
    return Answer({"version": version, "card": text}, lambda _console: print(text, file=sys.stdout))  # noqa: T201 - to be piped


def alias(desk: Desk, *, version: str, alias: str, drop: bool, reason: str) -> Answer:
    """Move or drop an alias."""
    model, _, number = version.rpartition(":")
    if drop:
        gone = actions.drop_alias(desk.ctx, model or version, alias, why=reason)
        said = f"{alias} is dropped." if gone else f"{model or version} has no alias {alias}."
        return Answer({"dropped": gone}, printed(Text(said)))
    if not model:
        raise InvalidInput(f"{version[:80]!r} names no version.", hint="A version is MODEL:NUMBER.")
    found = actions.get_version(desk.ctx, f"{model}:{number}")
    actions.set_alias(desk.ctx, found.model, alias, found.number, why=reason)
    return Answer({"alias": alias, "version": found.name}, printed(Text(f"{alias} is {found.name} now.")))


def aliases(desk: Desk, *, model: str) -> Answer:
    """List aliases."""
    found = actions.aliases_of(desk.ctx, model)
    return _moves(found.values(), "aliases")


def history(desk: Desk, *, model: str, alias: str | None) -> Answer:
    """List moves."""
    return _moves(actions.alias_history(desk.ctx, model, alias)[::-1], "moves")


def live(desk: Desk, *, name: str, at: str | None, event_time: bool) -> Answer:
    """Say what was live."""
    moment = _moment(at)
    found = actions.live_at(desk.ctx, name, moment, by_event=event_time)
    if found is not None:
        move, version = found.since, found.version
    else:
        move, version = _champion(desk, name, moment, by_event=event_time)
    clock = "by the data's clock" if event_time else "by the wall clock"
    pairs = [("at", f"{iso(moment)} {clock}"), ("answered", version), ("since", move.at), ("why", move.why)]
    pairs += [("event time", move.event_time), ("by", move.by), ("endpoint", move.endpoint)]
    return Answer({"at": moment, "event_time": event_time, "version": version, **asdict(move)}, printed(facts(pairs)))


def import_folder(desk: Desk, *, folder: Path, name: str, description: str, allow_pickle: bool) -> Answer:
    """Register a folder and convert it."""
    made = actions.import_folder(desk.ctx, folder, name, description=description)
    if not made.refusal:
        made = _convert(desk, made.name, allow_pickle=allow_pickle)
    return _converted(made)


def convert(desk: Desk, *, version: str, allow_pickle: bool) -> Answer:
    """Make a package of a foreign version."""
    return _converted(_convert(desk, version, allow_pickle=allow_pickle))


def _convert(desk: Desk, version: str, *, allow_pickle: bool) -> ModelVersion:
    """Convert by what scores: only this needs it."""
    scoring = import_module("modelloop.register.actions.converting")
    made: ModelVersion = scoring.convert_version(desk.ctx, version, allow_pickle=allow_pickle)
    return made


def export(desk: Desk, *, version: str, folder: Path, package: bool) -> Answer:
    """Write a version's files."""
    count = actions.export_version(desk.ctx, version, folder, package=package)
    return Answer({"files": count, "folder": str(folder)}, printed(Text(f"{count} files are in {folder}.")))


def verify(desk: Desk, *, version: str | None) -> Answer:
    """Hash everything again."""
    found = actions.verify(desk.ctx, version)
    rows = [(one.version, one.files, one.bytes, "; ".join(one.wrong) or "holds") for one in found]
    shown = printed(table(("version", "files", "bytes", ""), rows, empty="no version yet"))
    return Answer({"versions": found}, shown, code=1 if any(one.wrong for one in found) else 0)


def delete(desk: Desk, *, version: str, reason: str, force: bool) -> Answer:
    """Delete a version or a model."""
    if ":" not in version:
        actions.delete_model(desk.ctx, version, why=reason)
    else:
        found = actions.get_version(desk.ctx, version)
        actions.delete_version(desk.ctx, found.model, found.number, why=reason, force=force)
    said = f"{version} is deleted. `modelloop gc` frees its bytes."
    return Answer({"deleted": version}, printed(Text(said)))


def _contents(desk: Desk, found: ModelVersion) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the files of a version, and what its evaluation says, if it has one."""
    blobs = desk.ctx.blobs
    if found.package is None:
        return {path: file.size for path, file in manifest.open_snapshot(blobs, found.digest).files.items()}, {}
    package = manifest.open_package(blobs, found.package)
    evaluation = json.loads(manifest.read_file(blobs, package, "evaluation.json"))
    return dict(package.files), evaluation


def _champion(desk: Desk, name: str, moment: datetime, *, by_event: bool) -> tuple[AliasMove, str]:
    """Return what was champion of a model, where `name` is no endpoint."""
    moves = [move for move in actions.alias_history(desk.ctx, name, "champion") if _reached(move, moment, by_event)]
    if not moves or moves[-1].number is None:
        raise NotFound(f"Nothing was live at {name!r} at {iso(moment)}.", hint=f"`modelloop models history {name}`.")
    return moves[-1], f"{name}:{moves[-1].number}"


def _reached(move: AliasMove, moment: datetime, by_event: bool) -> bool:
    if by_event:
        return move.event_time is None or move.event_time <= moment
    return move.at <= moment


def _moment(at: str | None) -> datetime:
    if at is None:
        return datetime.now(UTC)
    try:
        return parse_time(at)
    except ValueError as error:
        raise InvalidInput(f"{at[:40]!r} is no time.", hint="Expected ISO 8601: 2013-05-03T12:00.") from error


def _moves(found: Iterable[AliasMove], word: str) -> Answer:
    listed = list(found)
    rows = [
        (m.alias, f"{m.model}:{m.number}" if m.number else "dropped", m.at, m.event_time, m.by, m.endpoint, m.why)
        for m in listed
    ]
    return Answer({word: listed}, printed(table(_MOVES, rows, empty="no alias yet")))


def _converted(made: ModelVersion) -> Answer:
    if made.package is not None:
        said = Text(f"{made.name} is registered and can be served: `modelloop deploy {made.name}`.", style="green")
    else:
        said = Text(f"{made.name} is registered, and cannot be served yet: {made.refusal}", style="yellow")
    notes = [Text(f"{UNSAFE}.", style="red")] if made.unsafe else []
    return Answer({"version": _told(made)}, printed(said, *notes))


def _served(version: ModelVersion) -> str:
    if version.package is not None:
        return "yes" if not version.unsafe else "yes (unsafe source)"
    return "no" if version.refusal else "not tried yet"


def _span(version: ModelVersion) -> str | None:
    if version.trained_from is None or version.trained_until is None:
        return None
    return f"{version.trained_from:%Y-%m-%d} to {version.trained_until:%Y-%m-%d}"


def _told(version: ModelVersion) -> dict[str, object]:
    return {"name": version.name, **{field: getattr(version, field) for field in version.__slots__}}
