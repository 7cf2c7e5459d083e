"""`/docs`: the generated description as a page without anything from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

import orjson

from ..answer import Response
from .openapi import describe
from .visit import HTML, Visit

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}"
    "code,pre{font:13px/1.4 ui-monospace,monospace}pre{background:#f4f4f2;padding:.7rem;overflow:auto}"
    "details{border-top:1px solid #ddd;padding:.4rem 0}summary{cursor:pointer}b{display:inline-block;width:3.5rem}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#e6e6e6}pre{background:#232323}"
    "details{border-color:#333}}"
)


def docs(visit: Visit) -> Response:
    """Answer GET /docs."""
    described = describe(visit.live)
    parts = [
        _operation(path, method, item[method])
        for path, item in described["paths"].items()
        for method in ("get", "post")
        if method in item
    ]
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>Modelloop gateway</title><style>{_STYLE}</style>"
    intro = "<h1>Modelloop gateway</h1><p>All of it as OpenAPI 3.1: <a href=/openapi.json>openapi.json</a>.</p>"
    return Response(200, (head + intro + "".join(parts) + "</html>").encode(), (HTML,))


def _operation(path: str, method: str, found: dict[str, Any]) -> str:
    body = found.get("requestBody", {}).get("content", {}).get("application/json", {})
    shown = body.get("example")
    example = "" if shown is None else f"<p>Send</p><pre>{escape(_written(shown))}</pre>"
    answers = ", ".join(found["responses"])
    return (
        f"<details><summary><b>{escape(method.upper())}</b> <code>{escape(path)}</code> {escape(found['summary'])}"
        f"</summary>{example}<p>Answers {escape(answers)}.</p></details>"
    )


def _written(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
