"""Faces of the register: names and versions. The page of one version is in `web.routes`, beside its gates and card."""

from __future__ import annotations

from typing import Any

from ..ground.core.errors import NotFound
from ..ground.core.rights import Right
from ..ground.http import Call, Route
from . import actions
from .names import check_model


def models(call: Call) -> dict[str, Any]:
    """List models with their newest version."""
    found = {name: actions.versions(call.ctx, name)[-1:] for name in actions.models(call.ctx)}
    return {
        "models": [
            {"model": name, "versions": last[0].number if last else 0, "newest": last[0] if last else None}
            for name, last in found.items()
        ]
    }


def versions(call: Call) -> dict[str, Any]:
    """List the versions of a model, newest first."""
    name = check_model(call.path["model"])
    found = actions.versions(call.ctx, name)
    if not found:
        raise NotFound(
            f"There is no model {name!r}.", hint=f"There are: {', '.join(actions.models(call.ctx)) or 'none yet'}."
        )
    return {"model": name, "versions": found[::-1][: call.limit()]}


ROUTES = (Route("GET", "/models", models, Right.READ), Route("GET", "/models/{model}", versions, Right.READ))
