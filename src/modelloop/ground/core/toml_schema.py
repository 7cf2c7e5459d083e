"""The JSON Schema of a record, for editors: the same words, bounds and patterns as the parser."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import timedelta
from typing import Any

from .toml_types import DURATION, bare, element, is_enum, plain


def json_schema(into: type) -> dict[str, Any]:
    """Return the schema (draft 2020-12) of a TOML file that `parse` reads into the record `into`."""
    known: dict[str, dict[str, Any]] = {}
    root = _record(into, known)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": into.__name__}
    return {**head, **root, "$defs": dict(sorted(known.items()))}


def _record(into: Any, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    hints = typing.get_type_hints(into)
    parts: tuple[Field[Any], ...] = fields(into)
    required = [part.name for part in parts if part.default is MISSING and part.default_factory is MISSING]
    schema = {
        "type": "object",
        "description": " ".join((into.__doc__ or into.__name__).split()),
        "properties": {part.name: _setting(hints[part.name], part, known) for part in parts},
        "additionalProperties": False,
    }
    return {**schema, "required": required} if required else schema


def _setting(hint: Any, part: Field[Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    schema = {**_value(bare(hint), part.metadata, known), "description": part.metadata.get("doc", "")}
    if part.default is not MISSING and part.default is not None:
        schema["default"] = plain(part.default)
    return schema


def _value(hint: Any, limits: Mapping[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if is_dataclass(hint):
        name = typing.cast("type", hint).__name__
        if name not in known:
            known[name] = {}  # holds the place, should a record contain itself
            known[name] = _record(hint, known)
        return {"$ref": f"#/$defs/{name}"}
    if is_enum(hint):
        return {"enum": [str(member) for member in hint]}
    if hint in (int, float):
        bounds = {"minimum": limits.get("least"), "maximum": limits.get("most")}
        kind = "integer" if hint is int else "number"
        return {"type": kind, **{name: bound for name, bound in bounds.items() if bound is not None}}
    if hint is str:
        return {"type": "string", **_pattern(limits)}
    if hint is timedelta:
        return {"type": "string", "pattern": f"^(?:{DURATION})$"}
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _value(element(hint), limits, known)}
    if typing.get_origin(hint) is Mapping:
        names = _pattern(limits) or {"minLength": 1}
        inside = element(hint)
        entries = {} if inside is Any else {"additionalProperties": _value(inside, {}, known)}
        return {"type": "object", "propertyNames": names, **entries}
    return {"type": "boolean"}


def _pattern(limits: Mapping[str, Any]) -> dict[str, Any]:
    return {"pattern": f"^(?:{limits['pattern']})$"} if limits.get("pattern") else {}
