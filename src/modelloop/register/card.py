"""Pure: the model card, written from facts. Nobody fills in a form, so nothing in it is older than the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluate.records import Evaluation, OwnScore, Score
from ..ground.core.clock import iso
from ..prepare.tensors import Tensors
from ..train.records import Candidate
from .records import Evidence, ModelVersion, Snapshot
from .signature import describe

WORST_SLICES = 8
TOP_FEATURES = 10
NAMED = 20
SHOWN = ("lightgbm", "modelloop", "numpy", "onnx", "onnxruntime", "polars", "scikit-learn")
UNSAFE = (
    "**Unsafe.** This version holds a pickle: whoever reads it runs whatever was written into it. Modelloop reads it "
    "only in a process of its own, and only after a person allowed it for this version."
)
NOT_MEASURED = "Nothing was measured about other uses, nor about rows unlike those of the training span."


def card(model: str, candidate: Candidate, evidence: Evidence, environment: str) -> str:
    """Return the card as Markdown."""
    objective = evidence.objective
    parts = [
        f"# {model}",
        f"**Question.** {plain(objective.question)}",
        _headline(evidence),
        "## Gates",
        _gates(evidence.evaluation),
        "## Slices, worst first",
        _slices(evidence.evaluation),
        "## Training",
        _training(candidate),
        "## Input and answer",
        f"Asked with: {plain(_asked(candidate))}. {plain(_answers(candidate, str(objective.task)))}",
        "## Intended use",
        f"To answer: {plain(objective.question)} {NOT_MEASURED}",
        "## Lineage",
        facts_of(evidence.lineage),
        "## Environment",
        _environment(environment),
    ]
    return "\n\n".join(parts) + "\n"


def foreign_card(version: ModelVersion, snapshot: Snapshot) -> str:
    """Return the card of a version that was registered as a folder, and of which no package was made."""
    refusal = version.refusal or "nobody has tried yet: `modelloop models convert` does"
    rows = [(path, str(file.size)) for path, file in sorted(snapshot.files.items())]
    parts = [
        f"# {plain(version.name)}",
        f"**Not served.** {plain(refusal)}",
        *([UNSAFE] if version.unsafe else []),
        "## Lineage",
        facts_of({"source": version.source, "run": version.run, **version.lineage}),
        "## Files",
        _table(("path", "bytes"), rows) if rows else "None are held.",
    ]
    return "\n\n".join(parts) + "\n"


def _asked(candidate: Candidate) -> str:
    transform = candidate.transform
    if isinstance(transform, Tensors):
        return ", ".join(f"{one.name} {one.datatype} {list(one.shape)}" for one in transform.given)
    return describe(transform.inputs)


def _answers(candidate: Candidate, task: str) -> str:
    labels = candidate.labels
    if not labels:
        return f"Answers one number per row ({task})."
    named = ", ".join(map(str, labels[:NAMED])) + (", ..." if len(labels) > NAMED else "")
    return f"Answers the probability of each of {len(labels)} classes, and the likeliest of them: {named}."


def _headline(evidence: Evidence) -> str:
    evaluation, parity = evidence.evaluation, evidence.parity
    lines = [
        f"**Headline.** {_score(evaluation.headline)}. {plain(evidence.objective.meaning)}",
        *(_own(own) for own in evaluation.own),
        f"- always answering the mean: {_score(evaluation.baseline)}",
        *(f"- {_score(score)}" for score in evaluation.scores if score.metric != evaluation.headline.metric),
        f"- beside training code: {parity.beyond} of {parity.rows} answers differ by more than {parity.tolerance:.2g}",
    ]
    if (found := evaluation.comparison) is not None:
        lines.append(
            f"- against the champion on the same {found.rows} rows: {found.difference:+.4f} {found.metric} "
            f"({found.confidence:.0%} interval {found.low:+.4f} to {found.high:+.4f}, {found.method}; {found.said})"
        )
    else:
        lines.append("- no comparison with a champion (there is none, or it was trained on these rows)")
    return "\n".join(lines)


def _own(own: OwnScore) -> str:
    unit = f" {own.unit}" if own.unit else ""
    beside = ""
    if (gap := own.comparison) is not None:
        beside = f" Beside the champion: {gap.said} ({gap.difference:+.4f}, {gap.low:+.4f} to {gap.high:+.4f})."
    note = f" {own.note}" if own.note else ""
    return plain(f"**Own metric.** {_score(own.score)}{unit}. {own.metric.meaning}{beside}{note}") + "\n"


def _score(score: Score) -> str:
    interval = (
        "no interval"
        if score.low is None or score.high is None
        else f"{score.confidence:.0%} interval {score.low:.4f} to {score.high:.4f}"
    )
    value = "unknown" if score.value is None else f"{score.value:.4f}"
    return f"{score.metric} {value} ({interval}, {score.rows} rows)"


def _gates(evaluation: Evaluation) -> str:
    if not evaluation.gates:
        return "None declared: the verdict is `missing evidence`."
    rows = [(gate.gate, gate.check, str(gate.verdict), gate.reason) for gate in evaluation.gates]
    return _table(("gate", "looks at", "verdict", "why"), rows) + f"\n\nVerdict: **{evaluation.verdict}**."


def _slices(evaluation: Evaluation) -> str:
    columns = dict.fromkeys(entry.column for entry in evaluation.slices)
    if not columns:
        return "None declared."
    rows = []
    for column in columns:
        groups = [entry for entry in evaluation.slices if entry.column == column][:WORST_SLICES]
        rows += [(column, entry.group, _score(entry.score)) for entry in groups]
    return _table(("column", "group", "score"), rows)


def _training(candidate: Candidate) -> str:
    lines = [
        f"- rows: {candidate.rows}, from {iso(candidate.trained_from)} until {iso(candidate.trained_until)}",
        f"- format: ONNX{', ' + candidate.native_format if candidate.native_format else ''}",
        f"- parameters: {_code(candidate.params)}",
    ]
    if (study := candidate.study) is not None:
        lines.append(f"- search: {study.method}, {len(study.trials)} trials by {study.metric}")
    if candidate.importance:
        top = sorted(candidate.importance.items(), key=lambda item: (-item[1], item[0]))[:TOP_FEATURES]
        lines.append("- weight of features: " + ", ".join(f"{plain(name)} {share:.0%}" for name, share in top))
    return "\n".join(lines)


def facts_of(facts: Mapping[str, Any]) -> str:
    """Return facts as a list."""
    return "\n".join(f"- {plain(str(name))}: {_code(facts[name])}" for name in sorted(facts)) or "None recorded."


def _environment(text: str) -> str:
    shown = [line for line in text.splitlines() if line.startswith("#") or line.split("==")[0].lower() in SHOWN]
    return "```\n" + "\n".join(shown) + "\n```\n\nThe full list is in `environment.txt`."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(plain(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _code(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return "`" + text.replace("`", "'").replace("\n", " ") + "`"


def plain(text: str) -> str:
    """Return text for Markdown. Names and groups come from data: they must not become markup."""
    return text.replace("<", "&lt;").replace("\r", " ").replace("\n", " ")
