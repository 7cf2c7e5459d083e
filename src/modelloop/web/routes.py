"""All routes of control: each stage's own, and what only the whole can tell, the loop and its episodes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..data import routes as data
from ..deploy import actions as deploying
from ..deploy import routes as deploy
from ..evaluate import routes as evaluate
from ..govern import routes as govern
from ..ground.core.rights import Right
from ..ground.flow import actions as flow
from ..ground.http import Call, Page, Route, number
from ..ground.replies import plain
from ..monitor import routes as monitor
from ..register import actions as register
from ..register import manifest
from ..register import routes as models
from ..register.names import check_model
from ..register.records import ModelVersion
from ..retrain import actions as retrain
from ..retrain import routes as episodes
from ..train import routes as runs
from . import datasets, endpoints, experiments, gateways, spending, tracked, wall, working
from .facts import gather, rollout_or_none
from .forms import Form
from .pages import figure
from .picture import picture
from .telling import tell


def turn(call: Call) -> dict[str, Any]:
    """Show how often the loop has turned, whether it is busy, and what each endpoint does: cheap, made to be polled."""
    last = retrain.last_turn(call.ctx)
    told = plain(last) if last else {"number": 0, "busy": False, "errors": {}}
    return {**told, "endpoints": deploying.endpoint_states(call.ctx)}


def whole(call: Call) -> dict[str, Any]:
    """Show the loop: stages, headline metric, endpoints, alerts, episodes with their evidence."""
    return picture(gather(call.ctx, call.project, call.trouble))


def episode(call: Call) -> dict[str, Any]:
    """Show one episode with its evidence."""
    found = retrain.get_episode(call.ctx, call.path["id"])
    run = flow.get_run(call.ctx, found.run) if found.run else None
    return tell(found, run, rollout_or_none(call.ctx, found.rollout))


def model(call: Call) -> dict[str, Any]:
    """Show one version: facts, gates, model card."""
    name = f"{check_model(call.path['model'])}:{number(call.path['number'], 'version')}"
    version = register.get_version(call.ctx, name)
    evaluation: dict[str, Any] = {}
    if version.package is not None:
        package = manifest.open_package(call.ctx.blobs, version.package)
        evaluation = json.loads(manifest.read_file(call.ctx.blobs, package, "evaluation.json"))
    trained = [str(moment)[:10] for moment in (version.trained_from, version.trained_until) if moment]
    facts = {
        "headline metric": figure(version.headline),
        "trained on": " to ".join(trained) or "–",
        "registered": str(version.made_at)[:16],
        "by": version.made_by,
        "run": version.run or "–",
        "content": version.digest[:12],
        "aliases": ", ".join(version.aliases) or "–",
        "format": str(version.kind),
        "safe": _safety(version),
        "served": "can be" if version.package else version.refusal or "nobody has tried to convert it yet",
    }
    return {
        **{field: getattr(version, field) for field in version.__slots__},
        "name": version.name,
        "facts": list(facts.items()),
        "gates": evaluation.get("gates") or [],
        "evaluation": evaluation,
        "card": register.card(call.ctx, name),
    }


def _safety(version: ModelVersion) -> str:
    if not version.unsafe:
        return "yes: nothing in it can run code"
    allowed = f"{version.opted_in} allowed it to be read, in a process of its own" if version.opted_in else "never read"
    return f"no: it holds a pickle, which can run anything; {allowed}"


_FORMS = {
    "/runs/{id}/answers": Form("/runs/{id}/answers", "refused.html", back="/runs/{id}"),
    "/runs/{id}/cancel": Form("/runs/{id}/cancel", "refused.html", back="/runs/{id}"),
    **endpoints.FORMS,
}
"""What pages have forms for; programs send the same as JSON."""


def _with_forms(routes: Iterable[Route]) -> Iterable[Route]:
    return (
        replace(route, page=_FORMS[route.path]) if route.method == "POST" and route.path in _FORMS else route
        for route in routes
    )


PAGES: tuple[Route, ...] = (
    Route("GET", "/pages/data", datasets.datasets, Right.READ, Page("/data", "data.html")),
    Route("GET", "/pages/data/{name}", datasets.dataset, Right.READ, Page("/data/{name}", "dataset.html")),
    Route(
        "GET", "/pages/data/{name}/diff/{before}/{after}", datasets.diff, Right.READ,
        Page("/data/{name}/diff/{before}/{after}", "diff.html"),
    ),
    Route("GET", "/pages/runs", working.runs, Right.READ, Page("/runs", "runs.html")),
    Route("GET", "/pages/runs/{id}", working.run, Right.READ, Page("/runs/{id}", "run.html")),
    Route("GET", "/runs/{id}/artifact", working.artifact, Right.READ),
    Route("GET", "/pages/experiments", experiments.listing, Right.READ, Page("/experiments", "experiments.html")),
    Route("GET", "/pages/experiments/{name}", experiments.board, Right.READ, Page("/experiments/{name}", "board.html")),
    Route("GET", "/pages/compare", experiments.compare, Right.READ, Page("/compare", "compare.html")),
    Route("GET", "/pages/tracked/{id}", tracked.run, Right.READ, Page("/tracked/{id}", "tracked.html")),
    Route("GET", "/tracked/{id}/file", tracked.file, Right.READ),
    *endpoints.ROUTES,
    Route("GET", "/pages/triggers", wall.triggers, Right.READ, Page("/triggers", "triggers.html")),
    Route("GET", "/pages/cost", wall.costs, Right.READ, Page("/cost", "cost.html")),
)  # fmt: skip
"""What pages below the first one tell, each with its JSON twin."""

ROUTES: tuple[Route, ...] = (
    Route("GET", "/loop", turn, Right.READ),
    Route("GET", "/picture", whole, Right.READ, Page("/", "loop.html")),
    *data.ROUTES,
    *_with_forms(runs.ROUTES),
    *evaluate.ROUTES,
    *models.ROUTES,
    Route("GET", "/models/{model}/{number}", model, Right.READ, Page("/models/{model}/{number}", "model.html")),
    *_with_forms(deploy.ROUTES),
    *monitor.ROUTES,
    *episodes.ROUTES,
    Route("GET", "/episodes/{id}", episode, Right.READ, Page("/episodes/{id}", "episode.html")),
    Route("GET", "/cost", spending.cost, Right.READ),
    *gateways.ROUTES,
    *PAGES,
    *govern.ROUTES,
)
