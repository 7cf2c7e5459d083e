"""The reference page of a record: every setting with its form, its default and its meaning, in Markdown."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import timedelta
from typing import Any

from .toml_types import bare, describe, element, plain


def reference(into: type) -> str:
    """Return a section for each table that the record may have, in the order of its settings."""
    hints = typing.get_type_hints(into)
    sections = []
    for part in fields(into):
        sections += list(_sections(bare(hints[part.name]), part.name))
    return "\n".join(sections)


def _sections(hint: Any, path: str) -> Iterator[str]:
    record = hint if is_dataclass(hint) else element(hint)
    if not is_dataclass(record):
        return
    place = path if record is hint else f"{path}.NAME"
    hints = typing.get_type_hints(record)
    yield f"## `[{place}]`\n"
    yield f"{' '.join((record.__doc__ or '').split())}\n"
    yield "| setting | what it may be | default | meaning |"
    yield "|---|---|---|---|"
    for inner in fields(record):
        yield _row(hints[inner.name], inner)
    yield ""
    for inner in fields(record):
        yield from _sections(bare(hints[inner.name]), f"{place}.{inner.name}")


def _row(hint: Any, part: Field[Any]) -> str:
    hint = bare(hint)
    cells = (f"`{part.name}`", _form(hint, part.metadata), _default(hint, part), part.metadata.get("doc", ""))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _form(hint: Any, limits: Mapping[str, Any]) -> str:
    inside = element(hint) if typing.get_origin(hint) is Mapping else None
    if is_dataclass(hint):
        return "a table, see below"
    if hint is timedelta:
        return "a duration"
    if hint is str and limits.get("pattern"):
        return f"a string that matches `{limits['pattern']}`"
    if inside is None:
        return describe(hint, limits)
    if is_dataclass(inside):
        return "tables by name, see below"
    return "names and any values" if inside is Any else f"names, each with {describe(inside, {})}"


def _default(hint: Any, part: Field[Any]) -> str:
    if part.default is not MISSING:
        return "none" if part.default is None else f"`{json.dumps(plain(part.default))}`"
    if part.default_factory is MISSING:
        return "**must be given**"
    return "its own defaults" if is_dataclass(hint) else "empty"
