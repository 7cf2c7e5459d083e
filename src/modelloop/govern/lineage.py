"""Which version answered request X, trained on what, judged how, approved by whom, and why? One call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ..deploy import actions as deploy
from ..deploy.records import Live, Outcome, Prediction, Rollout
from ..evaluate.records import Evaluation
from ..ground.core.errors import NotFound
from ..ground.flow import actions as flow
from ..ground.flow.records import Run
from ..ground.store import audit
from ..ground.store.chain import Entry
from ..ground.store.context import Context
from ..register import actions as register
from ..register.manifest import open_package, read_file
from ..register.records import ModelVersion
from ..retrain import actions as retrain
from ..retrain.records import Episode


@dataclass(frozen=True, slots=True)
class Lineage:
    """Everything behind one answer."""

    answers: tuple[Prediction, ...]
    outcomes: tuple[Outcome, ...]
    version: ModelVersion
    evaluation: Evaluation
    """With the gates' answers."""
    data: dict[str, str]
    """Argument of the pipeline -> dataset version."""
    run: Run | None
    episode: Episode | None
    rollout: Rollout | None
    """How the version came to answer there: the one under way when it answered as challenger."""
    live: Live | None
    """When and why it went live; None: it has only answered as challenger."""
    approved_by: str | None
    """A person, or None where the policy asks for none."""
    audit: tuple[Entry, ...]
    """Entries about the version, run, episode and rollout, oldest first."""


def lineage(ctx: Context, prediction_id: str) -> Lineage:
    """Return what stands behind an answer; raises UnknownPrediction."""
    answers = deploy.prediction(ctx, prediction_id)
    endpoint, name = answers[0].endpoint, answers[0].version
    version = register.get_version(ctx, name)
    package = open_package(ctx.blobs, version.package or version.digest)
    rollout = next((r for r in deploy.rollouts(ctx, endpoint, limit=1000) if r.challenger == name), None)
    episode = next((e for e in retrain.episodes(ctx, endpoint) if e.version == name), None)
    run = _run(ctx, version.run)
    known: dict[str, Any] = dict(version.lineage)
    subjects = [name, version.run, episode.id if episode else None, rollout.id if rollout else None]
    return Lineage(
        answers=tuple(answers),
        outcomes=tuple(deploy.outcomes_of(ctx, prediction_id)),
        version=version,
        evaluation=msgspec.json.decode(read_file(ctx.blobs, package, "evaluation.json"), type=Evaluation),
        data={argument: str(dataset) for argument, dataset in known.get("data", {}).items()},
        run=run,
        episode=episode,
        rollout=rollout,
        live=next((went for went in deploy.live(ctx, endpoint, limit=1000) if went.version == name), None),
        approved_by=rollout.approved_by if rollout else None,
        audit=_entries(ctx, [subject for subject in subjects if subject]),
    )


def _run(ctx: Context, run_id: str | None) -> Run | None:
    try:
        return None if run_id is None else flow.get_run(ctx, run_id)
    except NotFound:
        return None


def _entries(ctx: Context, subjects: list[str]) -> tuple[Entry, ...]:
    with ctx.db.reading() as connection:
        found = [entry for subject in subjects for entry in audit.entries(connection, subject=subject)]
    return tuple(sorted(found, key=lambda entry: entry.seq))
