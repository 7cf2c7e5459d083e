"""The work of `modelloop gc`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

from rich.console import RenderableType
from rich.text import Text

from ...govern.collecting import Collected, Heap, collect
from ...govern.collecting import why as reasons
from ..desk import Desk
from ..face import Answer
from .tables import printed, table


def gc(desk: Desk, *, dry_run: bool, why: str | None, grace_hours: float) -> Answer:
    """Free bytes, or say why some stay."""
    if why is not None:
        told = reasons(desk.ctx, why)
        return Answer({"digest": why, "why": told}, printed(*(Text(line) for line in told)))
    found = collect(desk.ctx, dry_run=dry_run, grace=timedelta(hours=grace_hours))
    return Answer(asdict(found), printed(_did(found), _stays(found)))


def _did(found: Collected) -> RenderableType:
    would = "would be " if found.dry_run else ""
    rows = [
        (f"{would}deleted for good", *_said(found.deleted), "lay aside for the grace period; nothing needed it"),
        (f"{would}put aside", *_said(found.aside), "nothing needs it"),
        (f"{would}brought back", *_said(found.back), "lay aside, and is needed"),
        ("lies aside", *_said(found.waiting), "its grace period is not over"),
        ("too young", *_said(found.young), "nothing needs it yet"),
    ]
    return table(("", "files", "bytes", "why"), rows)


def _stays(found: Collected) -> RenderableType:
    rows = [(name, *_said(heap)) for name, heap in found.kept.items()]
    return table(("needed by", "files", "bytes"), rows, empty="nothing is needed")


def _said(heap: Heap) -> tuple[str, str]:
    return f"{heap.count:,}", f"{heap.bytes:,}"
