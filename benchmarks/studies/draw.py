"""Regret curves as SVG, without a library: a panel for each table, lines with bands, logarithmic axes, a legend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

COLOURS = {
    "random": "#6b7280",
    "grid": "#b45309",
    "tpe": "#2563eb",
    "gp": "#7c3aed",
    "cmaes": "#059669",
    "nsga2": "#db2777",
    "hyperband": "#0891b2",
}
WIDE, HIGH, LEFT, TOP, GAP = 300, 190, 52, 34, 26
COLUMNS = 3


def picture(tables: Mapping[str, Mapping[str, Any]], names: Mapping[str, str], title: str) -> str:
    """Return one picture with a panel for each table; `names` is what the methods are called."""
    rows = math.ceil(len(tables) / COLUMNS)
    width, height = COLUMNS * (WIDE + LEFT) + GAP, TOP + rows * (HIGH + 62) + 30
    panels = "".join(
        _panel(name, found, LEFT + (index % COLUMNS) * (WIDE + LEFT), TOP + 22 + (index // COLUMNS) * (HIGH + 62))
        for index, (name, found) in enumerate(tables.items())
    )
    used = [method for method in names if any(method in found for found in tables.values())]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="11"><title>{escape(title)}</title>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="{LEFT}" y="20" font-size="14" font-weight="600" fill="#111827">{escape(title)}</text>'
        f"{panels}{_legend([(method, names[method]) for method in used], height - 14)}</svg>\n"
    )


def _panel(name: str, found: Mapping[str, Any], x: float, y: float) -> str:
    curves = {method: found[method]["curve"] for method in found}
    count = max(curve["trials"][-1] for curve in curves.values())
    reach = [v for c in curves.values() for v in c["mean"] if math.isfinite(v) and v > 0]
    low, high = _decades(min(reach), max(reach))

    def right(trial: float) -> float:
        return x + WIDE * math.log(trial) / math.log(count)

    def up(value: float) -> float:
        share = (math.log10(max(value, 10**low)) - low) / (high - low)
        return y + HIGH * (1 - min(share, 1.0))

    parts = [f'<text x="{x}" y="{y - 8}" font-weight="600" fill="#111827">{escape(name)}</text>']
    parts += [_across(x, up(tick), f"{tick:g}") for tick in _ticks(low, high)]
    parts += [_down(right(tick), y, str(tick)) for tick in (1, 3, 10, 30, 100) if tick <= count]
    for method, curve in reversed(curves.items()):  # random search, the first, lies above the others
        parts.append(_line(curve, COLOURS[method], right, up))
    parts.append(f'<text x="{x + WIDE}" y="{y + HIGH + 28}" text-anchor="end" fill="#4b5563">trials</text>')
    return "".join(parts)


def _line(curve: Mapping[str, Sequence[float]], colour: str, right: Any, up: Any) -> str:
    places = [index for index, value in enumerate(curve["mean"]) if math.isfinite(value)]
    line = " ".join(f"{right(curve['trials'][i]):.1f},{up(curve['mean'][i]):.1f}" for i in places)
    above = [f"{right(curve['trials'][i]):.1f},{up(curve['high'][i]):.1f}" for i in places]
    below = [f"{right(curve['trials'][i]):.1f},{up(curve['low'][i]):.1f}" for i in places]
    band = " ".join(above + below[::-1])
    return (
        f'<polygon points="{band}" fill="{colour}" opacity=".13"/>'
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
    )


def _across(x: float, y: float, text: str) -> str:
    return (
        f'<path d="M{x:.1f},{y:.1f} h{WIDE}" stroke="#e5e7eb"/>'
        f'<text x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end" fill="#4b5563">{text}</text>'
    )


def _down(x: float, y: float, text: str) -> str:
    return (
        f'<path d="M{x:.1f},{y + HIGH:.1f} v4" stroke="#9ca3af"/>'
        f'<text x="{x:.1f}" y="{y + HIGH + 16:.1f}" text-anchor="middle" fill="#4b5563">{text}</text>'
    )


def _legend(methods: Sequence[tuple[str, str]], y: float) -> str:
    parts, x = [], float(LEFT)
    for method, name in methods:
        parts.append(f'<path d="M{x:.0f},{y - 4} h22" stroke="{COLOURS[method]}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 28:.0f}" y="{y}" fill="#111827">{escape(name)}</text>')
        x += 52 + 6.4 * len(name)
    return "".join(parts)


def _decades(low: float, high: float) -> tuple[float, float]:
    return max(math.floor(math.log10(low) * 2) / 2, math.log10(high) - 5), math.ceil(math.log10(high) * 2) / 2


def _ticks(low: float, high: float) -> list[float]:
    powers = range(math.ceil(low), math.floor(high) + 1)
    if len(powers) >= 2:
        return [10.0**power for power in powers]
    wide = range(math.floor(low), math.ceil(high) + 1)
    return [m * 10.0**p for p in wide for m in (1, 2, 5) if low <= math.log10(m * 10.0**p) <= high]
