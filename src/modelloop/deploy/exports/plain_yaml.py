"""YAML as far as manifests need it, always written the same way. JSON is the quoting: each JSON text is a YAML text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_OTHER = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""Words that some reader takes for something else than a text."""


def to_yaml(*documents: Mapping[str, Any]) -> bytes:
    """Return the documents; mappings keep their order."""
    return "---\n".join("\n".join(_lines(document, "")) + "\n" for document in documents).encode()


def _lines(value: Mapping[str, Any] | Sequence[Any], indent: str) -> list[str]:
    found: list[str] = []
    if isinstance(value, Mapping):
        for name, inner in value.items():
            found += _entry(f"{indent}{_scalar(name)}:", inner, indent + "  ")
        return found
    for inner in value:
        if isinstance(inner, Mapping) and inner:
            first, *rest = _lines(inner, indent + "  ")
            found += [f"{indent}- {first.lstrip()}", *rest]
        else:
            found += _entry(f"{indent}-", inner, indent + "  ")
    return found


def _entry(head: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping | list | tuple):
        if not value:
            return [f"{head} {'{}' if isinstance(value, Mapping) else '[]'}"]
        return [head, *_lines(value, indent)]
    return [f"{head} {_scalar(value)}"]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _OTHER:
        return value
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
