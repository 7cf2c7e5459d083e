"""Wrong verdicts by requests as SVG, without a library: a panel for each scenario, a dashed line at what is allowed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

COLOURS = {"verdict": "#2563eb", "asymptotic": "#b45309", "fixed": "#db2777"}
WIDE, HIGH, LEFT, TOP, GAP, COLUMNS = 290, 150, 54, 36, 26, 3
PANELS = (
    "worse by the margin",
    "worse by rare large losses",
    "worse by very rare, total losses",
    "worse on average, seasons",
    "at the margin, rare large gains",
    "at the margin, two arms 2 : 3, a season",
)
TITLE = "Wrong verdicts by number of requests, looking at every one (dashed: what the policy allows)"
_TOP = 0.5
"""Share at the upper edge of a panel, on a scale by roots."""


def picture(result: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return one picture with a panel for each of six scenarios."""
    rows = math.ceil(len(PANELS) / COLUMNS)
    width, height = COLUMNS * (WIDE + LEFT) + GAP, TOP + rows * (HIGH + 66) + 30
    panels = "".join(
        _panel(result, name, LEFT + (i % COLUMNS) * (WIDE + LEFT), TOP + 24 + (i // COLUMNS) * (HIGH + 66))
        for i, name in enumerate(PANELS)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="11"><title>{escape(TITLE)}</title>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="{LEFT}" y="20" font-size="14" font-weight="600" fill="#111827">{escape(TITLE)}</text>'
        f"{panels}{_legend(names, height - 14)}</svg>\n"
    )


def _panel(result: Mapping[str, Any], name: str, x: float, y: float) -> str:
    each = result["scenarios"][name]
    wrong = each["wrong"]
    allowed = result["false promotion allowed" if wrong == "promoted" else "false rollback allowed"]
    at = each["methods"]["verdict"]["at"]

    def right(count: float) -> float:
        return x + WIDE * math.log(count / at[0]) / math.log(at[-1] / at[0])

    def up(share: float) -> float:
        return y + HIGH * (1 - math.sqrt(min(share, _TOP) / _TOP))

    parts = [f'<text x="{x}" y="{y - 8}" font-weight="600" fill="#111827">{escape(name)}: {wrong}</text>']
    parts += [_across(x, up(tick), f"{100 * tick:g} %") for tick in (0, 0.01, 0.05, 0.1, 0.2, 0.5)]
    parts += [_down(right(count), y + HIGH, str(count)) for count in (10, 30, 100, 300, 1000)]
    for method in reversed(COLOURS):
        shares = each["methods"][method]["ever"][wrong]
        line = " ".join(f"{right(count):.1f},{up(share):.1f}" for count, share in zip(at, shares, strict=True))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[method]}" stroke-width="1.6"/>')
    dashes = f'<path d="M{x},{up(allowed):.1f} h{WIDE}" stroke="#111827" stroke-dasharray="4 3"/>'
    parts.append(f'{dashes}<text x="{x + WIDE}" y="{y + HIGH + 30}" text-anchor="end" fill="#4b5563">requests</text>')
    return "".join(parts)


def _across(x: float, y: float, text: str) -> str:
    return (
        f'<path d="M{x},{y:.1f} h{WIDE}" stroke="#e5e7eb"/>'
        f'<text x="{x - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#4b5563">{text}</text>'
    )


def _down(x: float, y: float, text: str) -> str:
    return (
        f'<path d="M{x:.1f},{y} v4" stroke="#9ca3af"/>'
        f'<text x="{x:.1f}" y="{y + 16}" text-anchor="middle" fill="#4b5563">{text}</text>'
    )


def _legend(names: Mapping[str, str], y: float) -> str:
    parts, x = [], float(LEFT)
    for method, name in names.items():
        parts.append(f'<path d="M{x:.0f},{y - 4} h22" stroke="{COLOURS[method]}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 28:.0f}" y="{y}" fill="#111827">{escape(name)}</text>')
        x += 52 + 6.4 * len(name)
    return "".join(parts)
