"""The work of `modelloop edge`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...deploy.edge.actions.building import build as build_bundle
from ...deploy.edge.records import PUBLIC, Bundle, Wish
from ...deploy.edge.signing import verify as verify_bundle
from ...ground.core.errors import NotFound
from ..desk import Desk
from ..face import Answer
from .tables import printed


def build(desk: Desk, *, version: str, to: Path, int8: bool, measure: str, web: Path | None) -> Answer:
    """Build, and say what was found out."""
    objective = desk.project.objective if measure else None
    made = build_bundle(desk.ctx, Wish(version, to, int8, measure, web), objective)
    return Answer(made, printed("\n".join([_said(made), *_found(made.manifest), _key(desk)])))


def verify(_desk: Desk, *, folder: Path, key: Path | None) -> Answer:
    """Verify; no project is needed."""
    if not folder.is_dir():
        hint = "`modelloop edge build VERSION --to FOLDER` makes one."
        raise NotFound(f"There is no bundle at {folder}: that is no folder.", hint=hint)
    if key is not None and not key.is_file():
        raise NotFound(f"There is no key at {key}.", hint="Name the file with the public key that the device has.")
    found = verify_bundle(folder, key)
    text = _said(found)
    if not found.trusted:
        text += (
            "\nWhole, as far as its own key says. That key came with the bundle and proves nothing about who made it:"
            "\ngive the key that the device already has: --key FILE."
        )
    return Answer(found, printed(text))


def _said(made: Bundle) -> str:
    return f"{made.folder}: {made.version}, {made.files} files, {made.size:,} bytes, signed by {made.key[:16]}..."


def _found(manifest: Any) -> list[str]:
    parity, small, quality = manifest["parity"], manifest["quantisation"], manifest.get("quality")
    lines = [f"answers as the gateway on {parity['rows']} rows (largest difference {parity['largest']:.2g})"]
    if small is not None:
        lines.append(
            f"int8: {small['bytes']['int8']:,} bytes instead of {small['bytes']['float32']:,}; answers differ by "
            f"{small['loss']['mean']:.2g} on average, {small['loss']['largest']:.2g} at most"
            if "loss" in small
            else f"int8 changes nothing here: {small['why']}"
        )
    if quality is not None:
        values = ", ".join(f"{side} {value:.5g}" for side, value in quality["values"].items() if value is not None)
        lines.append(f"{quality['metric']} on {quality['dataset']} ({quality['rows']:,} rows): {values or 'not known'}")
    return lines


def _key(desk: Desk) -> str:
    return f"devices need the public key {desk.ctx.home / 'secrets' / PUBLIC}, another way than the bundle"
