"""An episode told with its evidence: what a reader of the page, of the API and of the terminal sees. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..deploy.records import Rollout
from ..ground.flow.records import Run
from ..ground.replies import plain
from ..retrain.records import Episode, Result
from .pages import figure

_ENDINGS = {
    Result.PROMOTED: "The new version answers now.",
    Result.REFUSED: "It was refused before any caller met it.",
    Result.ROLLED_BACK: "It was taken back; the version before goes on answering.",
    Result.FAILED: "The turn came to no version.",
}
_UNTOLD = frozenset({"seen", "stage", "step", "generation", "at", "paused", "remaining", "budget"})
_SHORT = {"mean_loss": "loss", "median_ms": "ms"}


def tell(episode: Episode, run: Run | None = None, rollout: Rollout | None = None) -> dict[str, Any]:
    """Return the episode, JSON-ready, with its evidence in the order in which it came about."""
    evidence: Mapping[str, Any] = plain(episode.evidence or {})
    judged = _part(evidence, "judgement")
    rolled = evidence.get("rollout") or (plain(rollout.verdicts) if rollout else [])
    return {
        **plain(episode),
        "headline": title(episode),
        "signal": _signal(_part(evidence, "signal")),
        "signal_id": episode.signal,
        "gates": [_gate(gate) for gate in judged.get("gates") or ()],
        "quality": _quality(_part(judged, "headline")),
        "own": [_own(own) for own in judged.get("own") or ()],
        "stages": stages(rolled if isinstance(rolled, list) else rolled.get("verdicts") or []),
        "run_state": str(run.state) if run else None,
        "run_numbers": _run_numbers(run),
        "result_text": _result(episode, evidence),
    }


def title(episode: Episode) -> str:
    """Return one line: who or what began it, and what it made."""
    began = "a person" if episode.trigger == "person" else episode.trigger
    return f"{began} → {episode.version}" if episode.version else f"{began} → {episode.pipeline}"


def stages(verdicts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a rollout's verdicts with the numbers that a person can read."""
    return [
        {
            "stage": _stage_name(verdict),
            "decision": verdict.get("decision", ""),
            "reason": verdict.get("reason", ""),
            "numbers": _numbers(verdict.get("numbers") or {}),
        }
        for verdict in verdicts
    ]


def _stage_name(verdict: Mapping[str, Any]) -> str:
    numbers = verdict.get("numbers") or {}
    stage = str(verdict.get("stage") or numbers.get("stage") or "")
    return f"{stage} {int(numbers.get('step') or 0) + 1}" if stage == "canary" else stage


def _numbers(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return numbers and texts with their names; an arm's numbers are told in one line."""
    told: list[tuple[str, str]] = []
    for name, value in values.items():
        if name in _UNTOLD or value is None or isinstance(value, list):
            continue
        shown = _arm(value) if isinstance(value, Mapping) else figure(value)
        told.append((name.replace("_", " "), shown))
    return told


def _arm(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{_SHORT.get(name, name)} {figure(value)}" for name, value in values.items() if value is not None)


def _signal(signal: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = ("monitor", "version", "value", "low", "high", "bound", "rows")
    return [(name, figure(signal[name])) for name in names if signal.get(name) is not None]


def _gate(gate: Mapping[str, Any]) -> dict[str, Any]:
    names = ("gate", "check", "verdict", "reason", "value", "low", "high", "bound", "rows")
    return {name: gate.get(name) for name in names}


def _quality(score: Mapping[str, Any]) -> str:
    if score.get("value") is None:
        return ""
    reach = "" if score.get("low") is None else f" ({figure(score['low'])} to {figure(score['high'])})"
    return f"{score.get('metric', '')} {figure(score['value'])}{reach} on {score.get('rows', 0):,} unseen rows"


def _own(own: Mapping[str, Any]) -> dict[str, str]:
    """Return one of the project's own metrics: what it came to, and what it means."""
    metric, unit = own.get("metric") or {}, own.get("unit") or ""
    told = _quality(own.get("score") or {}) or str(own.get("note") or "")
    said = str((own.get("comparison") or {}).get("said") or "")
    return {"text": told, "unit": unit, "meaning": str(metric.get("meaning", "")), "beside_champion": said}


def _run_numbers(run: Run | None) -> list[tuple[str, str]]:
    if run is None:
        return []
    took = [("seconds", figure(run.usage.wall_seconds)), ("peak MB", figure(run.usage.peak_bytes // 1_000_000))]
    inputs = [(ref.dataset, f"v{ref.version}") for ref in run.inputs.values()]
    return (
        inputs
        + (took if run.usage.wall_seconds else [])
        + [(name, figure(value)) for name, value in run.metrics.items()]
    )


def _result(episode: Episode, evidence: Mapping[str, Any]) -> str:
    if episode.result is None:
        return ""
    return str(_part(evidence, "result").get("reason") or _ENDINGS[episode.result])


def _part(evidence: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = evidence.get(name)
    return part if isinstance(part, Mapping) else {}
