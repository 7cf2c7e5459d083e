"""An episode's evidence in the few words that fit a table cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STYLE = {"pass": "green", "fail": "red", "missing evidence": "yellow"}


def signal_cell(episode: Mapping[str, Any]) -> str:
    """Return what started the turn."""
    return str(episode["reason"])


def gates_cell(episode: Mapping[str, Any]) -> str:
    """Return each gate with its verdict, and the sentence of those that did not pass."""
    gates = (episode.get("evidence") or {}).get("gates") or {}
    listed = gates.get("gates", []) if isinstance(gates, Mapping) else gates
    cells = []
    for gate in listed:
        style = STYLE.get(gate["verdict"], "")
        cells.append(f"[{style}]{gate['gate']}: {gate['verdict']}[/{style}]" + _why(gate))
    return "\n".join(cells)


def rollout_cell(episode: Mapping[str, Any]) -> str:
    """Return each stage's decision with its sentence."""
    rollout = (episode.get("evidence") or {}).get("rollout") or {}
    verdicts = rollout.get("verdicts", []) if isinstance(rollout, Mapping) else rollout
    return "\n".join(f"{verdict['decision']}: {verdict['reason']}" for verdict in verdicts)


def _why(gate: Mapping[str, Any]) -> str:
    return "" if gate["verdict"] == "pass" and gate["check"] != "champion" else f" ({gate['reason']})"
