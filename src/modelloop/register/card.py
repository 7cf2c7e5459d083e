"""Pure: the model card, written from facts. Nobody fills in a form, so nothing in it is older than the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluate.records import Evaluation, Score
from ..ground.core.clock import iso
from ..train.records import Candidate
from .records import Evidence
from .signature import describe

WORST_SLICES = 8
TOP_FEATURES = 10
SHOWN = ("lightgbm", "modelloop", "numpy", "onnx", "onnxruntime", "polars", "scikit-learn")
NOT_MEASURED = "Nothing was measured about other uses, nor about rows unlike those of the training span."


def card(model: str, candidate: Candidate, evidence: Evidence, environment: str) -> str:
    """Return the card as Markdown."""
    objective = evidence.objective
    parts = [
        f"# {model}",
        f"**Question.** {_plain(objective.question)}",
        _headline(evidence),
        "## Gates",
        _gates(evidence.evaluation),
        "## Slices, worst first",
        _slices(evidence.evaluation),
        "## Training",
        _training(candidate),
        "## Input and answer",
        f"Asked with: {_plain(describe(candidate.transform.inputs))}. Answers one number per row ({objective.task}).",
        "## Intended use",
        f"To answer: {_plain(objective.question)} {NOT_MEASURED}",
        "## Lineage",
        _facts(evidence.lineage),
        "## Environment",
        _environment(environment),
    ]
    return "\n\n".join(parts) + "\n"


def _headline(evidence: Evidence) -> str:
    evaluation, parity = evidence.evaluation, evidence.parity
    lines = [
        f"**Headline.** {_score(evaluation.headline)}. {_plain(evidence.objective.meaning)}",
        f"- always answering the mean: {_score(evaluation.baseline)}",
        *(f"- {_score(score)}" for score in evaluation.scores if score.metric != evaluation.headline.metric),
        f"- beside training code: {parity.beyond} of {parity.rows} answers differ by more than {parity.tolerance:.2g}",
    ]
    if (found := evaluation.comparison) is not None:
        lines.append(
            f"- against the champion on the same {found.rows} rows: {found.difference:+.4f} {found.metric} "
            f"({found.confidence:.0%} interval {found.low:+.4f} to {found.high:+.4f}, {found.method})"
        )
    else:
        lines.append("- no comparison with a champion (there is none, or it was trained on these rows)")
    return "\n".join(lines)


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
        lines.append("- weight of features: " + ", ".join(f"{_plain(name)} {share:.0%}" for name, share in top))
    return "\n".join(lines)


def _facts(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"- {_plain(str(name))}: {_code(facts[name])}" for name in sorted(facts)) or "None recorded."


def _environment(text: str) -> str:
    shown = [line for line in text.splitlines() if line.startswith("#") or line.split("==")[0].lower() in SHOWN]
    return "```\n" + "\n".join(shown) + "\n```\n\nThe full list is in `environment.txt`."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _code(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return "`" + text.replace("`", "'").replace("\n", " ") + "`"


def _plain(text: str) -> str:
    """Names and groups come from data: they must not become markup."""
    return text.replace("<", "&lt;").replace("\r", " ").replace("\n", " ")
