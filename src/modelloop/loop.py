"""The table of contents: the nine stages in order, and `turn()`: once around.

    data -> label -> prepare -> train -> evaluate -> register -> deploy -> monitor -> retrain -> data ...

A turn looks at what has arrived and brings everything as far as it gets without waiting: it is short, it can be killed
at any instant and be made again, and any number of workers may make turns at once. Training happens elsewhere, in runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path

from .deploy import actions as deploy
from .ground.core.errors import ExtraMissing, StaleState
from .ground.store import audit
from .ground.store.context import Context
from .monitor import actions as monitor
from .project import Project
from .register import actions as register
from .retrain import actions as retrain
from .retrain.records import Turn

STAGES = ("data", "label", "prepare", "train", "evaluate", "register", "deploy", "monitor", "retrain")

_LOG = logging.getLogger("modelloop.loop")


def turn(ctx: Context, project: Project, project_dir: Path) -> Turn:
    """Go once around: take in, measure, trigger, roll out, train, publish, tell. What goes wrong in a part is noted."""
    parts: Mapping[str, Callable[[], object]] = {
        "collect": lambda: deploy.collect(ctx),
        "forget": lambda: deploy.forget_old(ctx, project),
        "renewed": lambda: monitor.resolve_renewed(ctx, project),
        # each by itself: what one stumbles over keeps no other from measuring
        **{f"measure {name}": partial(monitor.measure, ctx, project, name) for name in project.monitors},
        "triggers": lambda: retrain.fire_triggers(ctx, project, project_dir),
        "endpoints": lambda: deploy.sync_endpoints(ctx, project),
        "rollouts": lambda: advance_rollouts(ctx),
        "episodes": lambda: retrain.advance_episodes(ctx, project, project_dir),
        "online": lambda: deploy.fill_online(ctx, project),
        "convert": lambda: convert_foreign(ctx),
        "publish": lambda: deploy.publish(ctx),
        "alerts": lambda: monitor.send_alerts(ctx, project),
        "house": lambda: retrain.keep_house(ctx, project),
        "anchor": lambda: audit.anchor(ctx),
    }
    errors = {name: wrong for name, part in parts.items() if (wrong := _guarded(name, part))}
    before = retrain.last_turn(ctx)
    predictions, outcomes = deploy.counts(ctx)
    marks = [deploy.watermark(ctx, state.name)[0] for state in deploy.endpoint_states(ctx)]
    made = Turn(
        number=before.number + 1 if before else 1,
        at=ctx.now(),
        busy=retrain.busy(ctx),
        predictions=predictions,
        outcomes=outcomes,
        watermark=max((mark for mark in marks if mark is not None), default=None),
        errors=errors,
    )
    return retrain.save_turn(ctx, made)


def advance_rollouts(ctx: Context) -> None:
    """Bring every open rollout as far as its evidence goes."""
    for rollout in deploy.open_rollouts(ctx):
        with suppress(StaleState):  # a person or another worker moved this one; the others go on
            deploy.advance(ctx, rollout.id)


def convert_foreign(ctx: Context) -> None:
    """Try what came in MLflow's format, pickles never; a worker without the converters leaves it to one with them."""
    if register.unconverted(ctx):
        with suppress(ExtraMissing, ImportError):
            import_module("modelloop.register.actions.converting").convert_waiting(ctx)


def _guarded(name: str, part: Callable[[], object]) -> str | None:
    """Do one part; return what went wrong, or None."""
    try:
        part()
    except StaleState:
        return None  # another worker did it at the same moment; the next turn looks again
    except Exception as error:  # noqa: BLE001 - the worker's edge: one part must not stop the loop
        _LOG.exception("%s went wrong in this turn", name)
        return f"{type(error).__name__}: {error}"[:500]
    return None
