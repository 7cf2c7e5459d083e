"""The API document, derived from the routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..ground.core.rights import Right
from ..ground.http import Route

_SEGMENT = re.compile(r"\{([a-z_]+)\}")
_REFUSED = {
    "description": "refused",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document of the routes, each with the right it asks for."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault("/api" + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Modelloop", "version": "1"},
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error", "code"],
                    "properties": {
                        "error": {"type": "string"},
                        "code": {"type": "string", "pattern": "ML[0-9]{3}"},
                        "detail": {"type": "object"},
                    },
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    summary = (route.action.__doc__ or route.action.__name__).strip().splitlines()[0]
    segments = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _SEGMENT.findall(route.path)
    ]
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-z]+', '_', route.path).rstrip('_')}",
        "summary": summary,
        "x-right": str(route.right),
        "parameters": segments,
        "responses": {
            "200": {"description": "done", "content": {"application/json": {"schema": {}}}},
            "default": _REFUSED,
        },
        "security": [] if route.right is Right.PUBLIC else [{"token": []}],
    }
    if route.method != "GET":
        operation["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    return operation
