"""What a finished run came to: its candidate is scored, judged and registered. Heavy: the run's process does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from polars.exceptions import PolarsError
from sqlalchemy.exc import IntegrityError

from ...deploy import actions as deploy
from ...deploy.evidence import spread
from ...evaluate.judge import Answers, columns_needed, evaluate
from ...evaluate.profile import profile
from ...evaluate.records import Evaluation
from ...evaluate.settings import Check, GateSettings, Task
from ...ground.core.clock import utc
from ...ground.core.errors import EvidenceMissing, InvalidInput, ModelloopError, StaleState, StoreUnavailable
from ...ground.core.later import numpy as np
from ...ground.core.records import Event
from ...ground.flow import actions as flow
from ...ground.flow.records import Run, RunState
from ...ground.store import audit
from ...ground.store.context import Context
from ...prepare.columns import from_frame
from ...register import actions as register
from ...register.package import load
from ...register.parity import Runtime, headline, parity
from ...register.records import Evidence, ModelVersion, Parity, Signature
from ...register.runtimes import candidate_scorer
from ...train.records import Candidate
from ...train.tracking.actions import mirror
from ...train.tracking.actions.logging import log_batch
from ...train.tracking.records import Metric
from .. import tables
from ..records import FAILED, Settled

if TYPE_CHECKING:
    import polars as pl

    from ...project import Project

TOLERANCE = 1e-4
"""Of the parity check, where no gate gives one."""
BROKEN = (ArithmeticError, AttributeError, LookupError, PolarsError, RuntimeError, TypeError, ValueError)
"""What a candidate that is not what it says may bring down."""


@dataclass(frozen=True, slots=True)
class _Champion:
    version: ModelVersion
    scores: Any
    overlap: bool


def settle_run(ctx: Context, project: Project, project_dir: Path, run_id: str) -> Settled | None:  # noqa: ARG001
    """Judge and register what a finished run returned; the same run again gives the same answer.

    Returns None where there is nothing to judge: the run is not done, or its pipeline makes no model. What the user's
    candidate brings down is recorded as `failed`, not raised.
    """
    with ctx.db.reading() as connection:
        known = tables.settled_of(connection, run_id)
    if known is not None:
        return known
    run = flow.get_run(ctx, run_id)
    settings = project.pipelines.get(run.pipeline)
    if run.state is not RunState.DONE or settings is None or settings.model is None:
        return None
    try:
        made = _settle(ctx, project, settings.model, run)
    except (StoreUnavailable, StaleState):
        raise
    except ModelloopError as error:
        made = Settled(run_id, None, FAILED, str(error), {"error": error.as_json()})
    except BROKEN as error:
        made = Settled(run_id, None, FAILED, f"{type(error).__name__}: {error}", {})
    return _write(ctx, made)


def _settle(ctx: Context, project: Project, model: str, run: Run) -> Settled:
    candidate = flow.result(ctx, run.id)
    if not isinstance(candidate, Candidate):
        raise InvalidInput(
            f"The pipeline {run.pipeline!r} returned {type(candidate).__name__}, not a Candidate.",
            hint="End it with `return candidate(model, transform, train=..., holdout=...)`.",
        )
    _check_task(project, candidate)
    scorer = candidate_scorer(candidate)
    columns = from_frame(candidate.holdout, _asked(candidate))
    scores = headline(scorer, columns)
    champion = _champion(ctx, project, model, run, candidate)
    found = _parity(project, scorer, candidate)
    labels = candidate.truth
    groups, others = columns_needed(project.objective, project.gates, project.metrics)
    answers = Answers(
        y=labels,
        score=scores,
        champion_score=None if champion is None else champion.scores,
        overlap=champion is not None and champion.overlap,
        baseline_value=candidate.baseline,
        slices=_columns(candidate.holdout, groups),
        parity=found,
        columns=_columns(candidate.holdout, others),
    )
    evaluation = evaluate(project.objective, _gates(project), answers, project.metrics)
    lineage = _lineage(run, candidate, champion, spread(labels.tolist()))
    lasting = {name: column for name, column in columns.items() if name not in candidate.transform.moments}
    evidence = Evidence(evaluation, found, profile(lasting, _one_each(scores)), lineage, project.objective)
    version = register.register(ctx, model, candidate, evidence)
    _note_scores(ctx, run, evaluation)
    shown = _shown(evaluation, found, champion, candidate)
    return Settled(run.id, version.name, str(evaluation.verdict), _reason(evaluation), shown)


def _note_scores(ctx: Context, run: Run, evaluation: Evaluation) -> None:
    """Log what the judge found to the tracked run, with its intervals, so that runs can be compared by it."""
    mirror.project(ctx, run.id)
    now = int(ctx.now().timestamp() * 1000)
    found = {
        f"holdout.{score.metric}{end}": value
        for score in evaluation.scores
        for end, value in (("", score.value), (".low", score.low), (".high", score.high))
        if value is not None
    }
    log_batch(ctx, run.id, [Metric(name, value, 0, now) for name, value in found.items()])


def _gates(project: Project) -> dict[str, GateSettings]:
    """Return the declared gates, and the one that needs no declaration: served answers are those of training."""
    declared = dict(project.gates)
    if not any(gate.check is Check.PARITY for gate in declared.values()):
        declared.setdefault("served-as-trained", GateSettings(Check.PARITY, tolerance=TOLERANCE))
    return declared


def _check_task(project: Project, candidate: Candidate) -> None:
    """Raise InvalidInput where the project and the model disagree on whether there are several classes."""
    wanted, task = project.objective.task is Task.MULTICLASS, project.objective.task
    if wanted is not bool(candidate.labels):
        found = f"{len(candidate.labels)} classes" if candidate.labels else "one number a row"
        raise InvalidInput(
            f"The model answers {found}; the objective's task is {task}.",
            hint='Several classes are task = "multiclass" in [objective], one number a row is any other task.',
        )


def _asked(candidate: Candidate) -> list[str]:
    return [column.name for column in candidate.transform.inputs] or list(candidate.transform.tensors)


def _one_each(scores: Any) -> Any:
    """Return one number a row: of several classes the place of the most probable one, as facts hold it."""
    return scores if scores.ndim == 1 else scores.argmax(axis=1).astype(np.float64)


def _columns(holdout: pl.DataFrame, wanted: tuple[str, ...]) -> dict[str, list[object]]:
    return {name: holdout.get_column(name).to_list() for name in wanted if name in holdout.columns}


def _champion(ctx: Context, project: Project, model: str, run: Run, candidate: Candidate) -> _Champion | None:
    """Return what the version that answers now says of the same rows, or None where nothing answers yet."""
    with ctx.db.reading() as connection:
        of = tables.episodes(connection, where={"id": run.episode}, limit=1) if run.episode else []
    names = [of[0].endpoint] if of else [name for name, place in project.endpoints.items() if place.model == model]
    states = {state.name: state for state in deploy.endpoint_states(ctx)}
    name = next((states[n].champion for n in names if n in states and states[n].champion), None)
    if name is None:
        return None
    version = register.get_version(ctx, name)
    loaded = load(ctx.blobs, version.package or version.digest)
    signature = loaded.signature
    _check_classes(name, signature, candidate)
    try:
        names = [column.name for column in signature.inputs] or [one.name for one in signature.tensors]
        scores = headline(loaded.scorer, from_frame(candidate.holdout, names))
    except InvalidInput as error:
        raise EvidenceMissing(
            f"{name}, which answers now, cannot answer the candidate's holdout rows: {error}",
            hint="Keep the raw inputs of the old version in the holdout, so that both answer the same rows.",
        ) from error
    first = candidate.holdout.get_column(candidate.time).min()
    until = version.trained_until
    return _Champion(version, scores, overlap=until is not None and until > utc(first))  # type: ignore[arg-type]


def _check_classes(name: str, signature: Signature, candidate: Candidate) -> None:
    """Raise EvidenceMissing where the champion knows other classes: facts hold a class by its place among them."""
    ours, theirs = tuple(map(str, candidate.labels)), signature.labels
    if ours == theirs:
        return
    known = ", ".join(theirs) or "none"
    raise EvidenceMissing(
        f"{name}, which answers now, knows the classes {known}; the candidate {', '.join(ours) or 'none'}.",
        hint=f"Keep them and their order: labels=({known}). Other classes are another model, at its own endpoint.",
    )


def _parity(project: Project, scorer: Runtime, candidate: Candidate) -> Parity:
    asked = [gate.tolerance for gate in project.gates.values() if gate.check is Check.PARITY]
    sample = from_frame(candidate.sample, _asked(candidate))
    return parity(scorer, sample, candidate.expected, min(asked, default=TOLERANCE))


def _lineage(run: Run, candidate: Candidate, champion: _Champion | None, label_spread: float) -> dict[str, Any]:
    return {
        "run": run.id,
        "pipeline": run.pipeline,
        "function": run.function,
        "episode": run.episode,
        "code": msgspec.to_builtins(run.code),
        "environment": run.environment,
        "data": {name: f"{ref.dataset}:{ref.version}" for name, ref in run.inputs.items()},
        "data_digests": {name: ref.digest for name, ref in run.inputs.items()},
        "params": msgspec.to_builtins(dict(run.params)),
        "choices": msgspec.to_builtins(dict(candidate.params)),
        "seed": run.seed,
        "parent": champion.version.name if champion else None,
        "label_spread": label_spread,
    }


def _reason(evaluation: Evaluation) -> str:
    wrong = [f"{gate.gate}: {gate.reason}" for gate in evaluation.gates if gate.verdict != "pass"]
    if not evaluation.gates:
        return "The project file declares no gate, so nothing speaks for the version."
    return "; ".join(wrong) or "All gates pass."


def _shown(evaluation: Evaluation, found: Parity, champion: _Champion | None, candidate: Candidate) -> dict[str, Any]:
    """Return what the episode shows of the judgement; the package has all of it."""
    parts = {
        "headline": evaluation.headline,
        "own": evaluation.own,
        "baseline": evaluation.baseline,
        "comparison": evaluation.comparison,
        "gates": evaluation.gates,
        "parity": found,
        "champion": champion.version.name if champion else None,
        "overlap": champion.overlap if champion else False,
        "rows": candidate.rows,
        "trained_from": candidate.trained_from,
        "trained_until": candidate.trained_until,
        "choices": dict(candidate.params),
    }
    return dict(msgspec.to_builtins(parts))


def _write(ctx: Context, made: Settled) -> Settled:
    try:
        with ctx.db.transaction() as connection:
            tables.add_settled(connection, made, ctx.now())
            facts = {"version": made.version, "verdict": made.verdict, "reason": made.reason}
            audit.append(connection, ctx, Event("run.settled", made.run, facts))
    except IntegrityError:  # another process settled it in the meantime: its answer counts
        with ctx.db.reading() as connection:
            return tables.settled_of(connection, made.run) or made
    return made
