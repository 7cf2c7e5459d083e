"""Pure: what the source of a version says, as MLflow clients write it. Nothing here is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RUN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_MODEL_ID = r"m-[0-9a-f]{32}"
_FORMS = (
    ("run", re.compile(rf"runs:/+(?P<id>{_RUN})(?:/(?P<path>.*))?")),
    ("model", re.compile(rf"models:/+(?P<id>{_MODEL_ID})(?:/(?P<path>.*))?")),
    ("model", re.compile(rf"mlflow-artifacts:/+(?:[^/]+/)?\d+/models/(?P<id>{_MODEL_ID})/artifacts(?:/(?P<path>.*))?")),
    ("run", re.compile(rf"mlflow-artifacts:/+(?:[^/]+/)?\d+/(?P<id>{_RUN})/artifacts(?:/(?P<path>.*))?")),
    ("hex", re.compile(r"mlflow-artifacts:/+(?:[^/]+/)?versions/(?P<id>(?:[0-9a-f]{2})+)/(?P<path>[1-9][0-9]{0,8})/?")),
    ("version", re.compile(r"models:/+(?P<id>[^/:@]+(?:/[1-9][0-9]{0,8}|@[\w-]+))")),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version's bytes are: a folder among the artifacts of a run or logged model, or another version."""

    kind: str
    """run, model, version (its id is `model:number` or `model@alias`), or elsewhere: what only the client can reach."""
    id: str
    path: str = ""


def read_source(text: str) -> Source:
    """Return what a source names. One of no known form is `elsewhere`: it is kept as text and never opened."""
    for kind, form in _FORMS:
        found = form.fullmatch(text)
        if found is None:
            continue
        if kind == "hex":
            return _by_hex(text, found["id"], found["path"])
        if kind == "version":
            return Source(kind, found["id"].replace("/", ":"))
        return Source(kind, found["id"], (found["path"] or "").strip("/"))
    return Source("elsewhere", text)


def _by_hex(text: str, name: str, number: str) -> Source:
    try:
        return Source("version", f"{bytes.fromhex(name).decode()}:{number}")
    except ValueError:
        return Source("elsewhere", text)
