"""What is new against the arrival before: rows, columns, missing values, means. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..records import Change, ColumnStats, Report


def changes(before: Report | None, after: Sequence[ColumnStats], rows: int) -> tuple[Change, ...]:
    """Compare two arrivals as people read them: a difference that four digits do not show is none."""
    return () if before is None else tuple(_changes(before, after, rows))


def _changes(before: Report, after: Sequence[ColumnStats], rows: int) -> Iterator[Change]:
    if before.accepted != rows:
        yield Change("rows", "", str(before.accepted), str(rows))
    old, new = {one.name: one for one in before.columns}, {one.name: one for one in after}
    for name in sorted(old.keys() | new.keys()):
        was = old[name].type if name in old else "absent"
        now = new[name].type if name in new else "absent"
        if was != now:
            yield Change("column", name, was, now)
    for name, one in new.items():
        if name not in old:
            continue
        for what in ("null_rate", "mean"):
            was, now = _shown(getattr(old[name], what)), _shown(getattr(one, what))
            if was != now:
                yield Change(what, name, was, now)


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
