"""An episode's evidence in the few words that fit a table cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STYLE = {"pass": "green", "fail": "red", "missing evidence": "yellow"}


def signal_cell(episode: Mapping[str, Any]) -> str:
    """Return what started the turn."""
    return str(episode["reason"])


def gates_cell(episode: Mapping[str, Any]) -> str:
    """Return the gates that passed, those that did not with their sentence, and the comparison in figures."""
    gates = (episode.get("evidence") or {}).get("gates") or []
    passed = [gate["gate"] for gate in gates if gate["verdict"] == "pass"]
    cells = [f"[green]pass[/green]: {', '.join(passed)}"] if passed else []
    for gate in gates:
        if gate["verdict"] != "pass":
            cells.append(f"[{STYLE[gate['verdict']]}]{gate['verdict']}[/]: {gate['gate']}. {gate['reason']}")
        elif gate["check"] == "champion" and gate["value"] is not None:
            cells.append(f"against the champion {gate['value']:+.4f} ({gate['low']:+.4f} to {gate['high']:+.4f})")
    return "\n".join(cells)


def rollout_cell(episode: Mapping[str, Any]) -> str:
    """Return each stage's decision with its sentence."""
    verdicts = (episode.get("evidence") or {}).get("rollout") or []
    return "\n".join(_stage(verdict) for verdict in verdicts if verdict["numbers"].get("stage") != "check")


def _stage(verdict: Mapping[str, Any]) -> str:
    numbers = verdict["numbers"]
    step = f" {numbers['step'] + 1}" if numbers.get("stage") == "canary" else ""
    style = {"better": "green", "worse": "red"}.get(verdict["decision"], "yellow")
    return f"[{style}]{numbers.get('stage')}{step}: {verdict['decision']}[/]. {verdict['reason']}"
