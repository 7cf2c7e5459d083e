"""What a cluster would refuse of resources that are not Kubernetes' own, by the schemas in tests/crds.

An API server prunes fields that a schema does not know. Here they fail: a field that is pruned is a field misspelt.
"""

from __future__ import annotations

import functools
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema

CRDS = Path(__file__).parent / "crds"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_KEEPS = "x-kubernetes-preserve-unknown-fields"
_META = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["name"],
    "additionalProperties": False,
}
"""A CRD says nothing of `metadata`: this much of it is ours."""


@functools.cache
def schema(kind: str, api: str) -> dict[str, Any]:
    """Return the JSON schema of a kind at an `apiVersion`; raises FileNotFoundError where there is none."""
    told = json.loads(lzma.decompress((CRDS / f"{kind}.{api.rpartition('/')[2]}.json.xz").read_bytes()))
    assert (told["kind"], told["apiVersion"]) == (kind, api)
    found = _strict(told["schema"])
    found["properties"] |= {"metadata": _META, "apiVersion": {"const": api}, "kind": {"const": kind}}
    found["required"] = ["apiVersion", "kind", "metadata", "spec"]
    jsonschema.Draft202012Validator.check_schema(found)
    return found  # type: ignore[no-any-return]


def _strict(node: Any) -> Any:
    """Return a schema of OpenAPI 3 as JSON schema, each object closed that does not say otherwise."""
    if isinstance(node, list):
        return [_strict(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    named = {key: _strict(inner) for key, inner in node.get("properties", {}).items()}
    found = {key: _strict(inner) for key, inner in node.items() if key not in {"properties", "default"}}
    if "properties" in node:
        found["properties"] = named
    if found.get(_INT_OR_STRING):
        found.pop("type", None)
        found.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    if found.get("type") == "object" and "properties" in found and not found.get(_KEEPS):
        found.setdefault("additionalProperties", False)
    return {"anyOf": [{"type": "null"}, found]} if found.pop("nullable", False) else found


def mistakes(manifest: dict[str, Any]) -> list[str]:
    """Return what the schema of its kind refuses, each with its place."""
    made = jsonschema.Draft202012Validator(schema(manifest["kind"], manifest["apiVersion"]))
    found = sorted(made.iter_errors(manifest), key=lambda error: error.json_path)
    return [f"{error.json_path}: {error.message}" for error in found]


@functools.cache
def _scalers() -> dict[str, dict[str, Any]]:
    told = json.loads((CRDS / "keda-scalers.json").read_text())
    return {scaler["type"]: {one["name"]: one for one in scaler["parameters"]} for scaler in told["scalers"]}


def scaler_mistakes(trigger: dict[str, Any]) -> Iterator[str]:
    """Yield what KEDA's scaler of this type would refuse of a trigger's metadata, which its CRD leaves open."""
    known = _scalers()[trigger["type"]]
    yield from (f"{name} is unknown" for name in trigger["metadata"].keys() - known.keys())
    for name, one in known.items():
        if name not in trigger["metadata"] and not one.get("optional") and "default" not in one:
            yield f"{name} is missing"
