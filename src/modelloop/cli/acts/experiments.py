"""The work of `modelloop experiments`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.text import Text

from ...evaluate.experiments import actions
from ...evaluate.experiments.actions import Wanted
from ...evaluate.experiments.records import Comparison, Curve, Entry, Estimate, Gap, Headline
from ...train.tracking.actions import mirror
from ..desk import Desk
from ..face import Answer
from .tables import printed, table

_DRAWN_ROWS, _DRAWN_COLUMNS = 16, 72
_MARKS = "o+x*#@%&"


def listing(desk: Desk, *, limit: int) -> Answer:
    """List experiments."""
    mirror.catch_up(desk.ctx)
    found = actions.overview(desk.ctx, desk.project.objective, limit=limit)
    rows = [
        (one.experiment.name, one.runs, _moment(one.last_ms), one.headline.metric if one.headline else None, one.best)
        for one in found
    ]
    columns = ("experiment", "runs", "last run", "headline metric", "best")
    return Answer({"experiments": found}, printed(table(columns, rows, empty="no experiment yet")))


def board(desk: Desk, *, wanted: tuple[str, str | None, str | None, str, int], confidence: float) -> Answer:
    """Show a leaderboard."""
    mirror.catch_up(desk.ctx)
    found = actions.board(desk.ctx, desk.project.objective, Wanted(*wanted), confidence=confidence)
    rows = [
        (
            line.place,
            _named(line.entry),
            _estimate(line.entry.estimate),
            line.standing,
            _gap(line.gap),
            _params(line.entry),
        )
        for line in found.lines
    ]
    columns = ("", "run", found.headline.metric, "standing", "behind the first", "parameters")
    shown = printed(_sentence(found.headline), Text(found.verdict), table(columns, rows))
    return Answer({"board": found}, shown)


def compare(desk: Desk, *, runs: Sequence[str], metric: str | None) -> Answer:
    """Show runs side by side."""
    found = actions.compare(desk.ctx, desk.project.objective, runs, metric=metric)
    columns = ("", *(column.name or column.run for column in found.columns))
    same = sum(not row.differs for row in found.params)
    params = [(row.name, *row.values) for row in found.params if row.differs]
    shown = printed(
        _sentence(found.headline),
        table(columns, _metric_rows(found), title="metrics", empty="no metric was logged"),
        table(columns, params, title="parameters that differ", empty="no parameter differs"),
        Text(f"{same} more {'is' if same == 1 else 'are'} the same in all." if same else "", style="dim"),
    )
    return Answer({"comparison": found}, shown)


def front(
    desk: Desk,
    *,
    wanted: tuple[str, str | None, str | None, str, int],
    metrics: Sequence[str],
    lower: Sequence[str],
) -> Answer:
    """Show a Pareto front."""
    found = actions.front(desk.ctx, desk.project.objective, Wanted(*wanted), metrics, lower)
    names = [one.metric for one in found.metrics]
    rows = [(_named(entry), *(entry.metrics[name] for name in names), _params(entry)) for entry in found.entries]
    told = f"{len(found.entries)} are beaten by no other in all of these; {found.beaten} are."
    columns = ("run", *(f"{one.metric} ({one.direction} is better)" for one in found.metrics), "parameters")
    return Answer({"front": found}, printed(Text(told), table(columns, rows)))


def groups(desk: Desk, *, wanted: tuple[str, str | None, str | None, str, int], by: str) -> Answer:
    """Show the best of each group."""
    headline, found = actions.groups(desk.ctx, desk.project.objective, Wanted(*wanted), by)
    rows = [(one.value, _named(one.best), _estimate(one.best.estimate), one.entries) for one in found]
    shown = printed(_sentence(headline), table((by, "best run", headline.metric, "tried"), rows))
    return Answer({"headline": headline, "groups": found}, shown)


def curve(desk: Desk, *, metric: str, runs: Sequence[str]) -> Answer:
    """Draw a metric over steps."""
    found = actions.curves(desk.ctx, runs, metric)
    legend = "   ".join(f"{_MARKS[n % len(_MARKS)]} {one.name or one.run}" for n, one in enumerate(found))
    return Answer({"metric": metric, "curves": found}, printed(Text(metric, style="bold"), _drawn(found), Text(legend)))


def _sentence(headline: Headline) -> Text:
    assumed = ", as its name suggests" if headline.assumed else ""
    told = f"{headline.metric} ({headline.direction} is better{assumed})"
    return Text(f"{told}: {headline.meaning}" if headline.meaning else f"{told}.", style="bold")


def _metric_rows(found: Comparison) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name, estimates in found.metrics.items():
        best = found.best.get(name)
        marks = [" *" if column.run == best else "" for column in found.columns]
        rows.append((name, *(f"{_estimate(one)}{mark}" for one, mark in zip(estimates, marks, strict=True))))
    return rows


def _estimate(found: Estimate | None) -> str:
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:.5g}"
    repeats = f", {len(found.repeats)} repeats" if len(found.repeats) > 1 else ""
    return f"{found.value:.5g} ({found.low:.5g} to {found.high:.5g}{repeats})"


def _gap(found: Gap | None) -> str:
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return f"{found.difference:.4g}"
    return f"{found.difference:.4g} ({found.low:.4g} to {found.high:.4g})"


def _named(entry: Entry) -> str:
    return (entry.name or "") + (f" x{len(entry.runs)}" if len(entry.runs) > 1 else f" {entry.runs[0]}")


def _params(entry: Entry) -> str:
    return ", ".join(f"{name}={value[:40]}" for name, value in entry.params.items())[:200]


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)


def _drawn(curves: Sequence[Curve]) -> Text:
    points = [point for one in curves for point in one.points]
    if not points:
        return Text("nothing but values that are not finite")
    low, high = min(v for _, v in points), max(v for _, v in points)
    first, last = min(s for s, _ in points), max(s for s, _ in points)
    grid = [[" "] * _DRAWN_COLUMNS for _ in range(_DRAWN_ROWS)]
    for number, one in enumerate(curves):
        for step, value in one.points:
            x = round((step - first) / max(last - first, 1) * (_DRAWN_COLUMNS - 1))
            y = round((high - value) / ((high - low) or 1.0) * (_DRAWN_ROWS - 1))
            grid[y][x] = _MARKS[number % len(_MARKS)]
    labels = [f"{high:.4g}", *[""] * (_DRAWN_ROWS - 2), f"{low:.4g}"]
    lines = [f"{label:>10} |{''.join(row)}" for label, row in zip(labels, grid, strict=True)]
    return Text("\n".join([*lines, f"{'':>10} +{'-' * _DRAWN_COLUMNS}", f"{'':>12}step {first} to {last}"]))
