"""The work of `modelloop models`."""

from __future__ import annotations

import json
import sys

from ...register import actions, manifest
from ...register.records import ModelVersion
from ..desk import Desk
from ..face import Answer
from .tables import facts, printed, table


def listing(desk: Desk) -> Answer:
    """List versions, newest first."""
    found = [version for name in actions.models(desk.ctx) for version in actions.versions(desk.ctx, name)[::-1]]
    rows = [(v.name, v.verdict, v.headline, v.trained_until, v.made_at, v.made_by, v.digest[:12]) for v in found]
    columns = ("version", "gates", "headline", "trained until", "registered", "by", "package")
    return Answer({"versions": [_told(v) for v in found]}, printed(table(columns, rows, empty="no version yet")))


def show(desk: Desk, *, version: str) -> Answer:
    """Show one version with its gates."""
    found = actions.get_version(desk.ctx, version)
    package = manifest.open_package(desk.ctx.blobs, found.digest)
    evaluation = json.loads(manifest.read_file(desk.ctx.blobs, package, "evaluation.json"))
    pairs = [
        ("version", found.name),
        ("gates", found.verdict),
        ("headline", found.headline),
        (
            "trained",
            f"{found.trained_from:%Y-%m-%d} to {found.trained_until:%Y-%m-%d}"
            if found.trained_from and found.trained_until
            else None,
        ),
        ("registered", found.made_at),
        ("run", found.run),
        ("package", found.digest),
        *((name, value) for name, value in found.lineage.items() if isinstance(value, str | int | float)),
    ]
    gates = evaluation.get("gates") or []
    rows = [(g.get("gate"), g.get("verdict"), g.get("value"), g.get("rows"), g.get("reason")) for g in gates]
    shown = printed(facts(pairs), table(("gate", "verdict", "value", "rows", "why"), rows, empty="no gate was asked"))
    return Answer({"version": _told(found), "evaluation": evaluation, "files": package.files}, shown)


def card(desk: Desk, *, version: str) -> Answer:
    """Print the card as Markdown."""
    text = actions.card(desk.ctx, version)
    return Answer({"version": version, "card": text}, lambda _console: print(text, file=sys.stdout))  # noqa: T201 - to be piped


def _told(version: ModelVersion) -> dict[str, object]:
    return {"name": version.name, **{field: getattr(version, field) for field in version.__slots__}}
