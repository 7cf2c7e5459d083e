"""Two ways to show the same story: a live picture in a terminal, plain log lines everywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

STAGES = ("data", "label", "prepare", "train", "evaluate", "register", "deploy", "monitor", "retrain")
RESULT_STYLE = {"promoted": "green", "refused": "yellow", "rolled back": "red", "failed": "red"}


@dataclass(frozen=True, slots=True)
class Month:
    """One month of answers, judged by the truth that came later."""

    name: str
    rows: int
    static: float
    """The headline metric had the first model stayed."""
    loop: float
    """The headline metric of what was really answered."""


@dataclass(frozen=True, slots=True)
class DataYear:
    """What became of one dataset in the year."""

    dataset: str
    rows: int
    versions: int
    set_aside: int
    """Rows that broke the contract, and kept their reasons."""
    readmitted: int
    refused: tuple[str, ...]
    """Files of which nothing was taken in."""
    warned: Mapping[str, int]
    """Check -> arrivals it warned of, without waking anybody."""
    trained_on: tuple[int, ...]
    """Versions that models were trained on: retention lets none of them go."""
    let_go: tuple[int, ...]


class Screen(Protocol):
    """Where the story is shown. Called from one thread."""

    def event(self, when: datetime | None, text: str, style: str = "") -> None:
        """Tell something that happened, at a time of the data's clock."""
        ...

    def day(self, when: datetime, share: float) -> None:
        """Turn the calendar: the day being played, and how much of the year is behind."""
        ...

    def month(self, month: Month) -> None:
        """Show a month whose truth is in."""
        ...

    def stages(self, lit: Mapping[str, str]) -> None:
        """Light the stages that are at work: name -> what it does."""
        ...

    def close(self) -> None:
        """Leave the live picture standing and give the terminal back."""
        ...


class PlainScreen:
    """One line an event."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def event(self, when: datetime | None, text: str, style: str = "") -> None:
        """Print the line."""
        clock = f"{when:%Y-%m-%d}  " if when else " " * 12
        self._console.print(Text(clock + text, style=style), soft_wrap=True)

    def day(self, when: datetime, share: float) -> None:
        """Say nothing: a log needs no calendar."""

    def month(self, month: Month) -> None:
        """Print the month."""
        self.event(
            None,
            f"{month.name}  {month.rows:>6,} answers judged   AUC {month.loop:.3f}   (first model: {month.static:.3f})",
        )

    def stages(self, lit: Mapping[str, str]) -> None:
        """Say nothing: events tell it."""

    def close(self) -> None:
        """Nothing to give back."""


@dataclass(slots=True)
class LiveScreen:
    """The loop as a live picture: nine stages, the year's progress, the months' quality, what happened last."""

    console: Console
    _now: datetime | None = None
    _share: float = 0.0
    _lit: Mapping[str, str] = field(default_factory=dict)
    _months: list[Month] = field(default_factory=list)
    _events: list[Text] = field(default_factory=list)
    _live: Live | None = None

    def event(self, when: datetime | None, text: str, style: str = "") -> None:
        """Add a line to the last events."""
        clock = f"{when:%d %b}  " if when else " " * 8
        self._events.append(Text(clock + text, style=style, no_wrap=True, overflow="ellipsis"))
        self._draw()

    def day(self, when: datetime, share: float) -> None:
        """Move the year's bar."""
        self._now, self._share = when, share
        self._draw()

    def month(self, month: Month) -> None:
        """Add a bar pair."""
        self._months.append(month)
        self._draw()

    def stages(self, lit: Mapping[str, str]) -> None:
        """Light the stages."""
        self._lit = lit
        self._draw()

    def close(self) -> None:
        """Leave the picture standing."""
        if self._live:
            self._lit = {}
            self._draw()
            self._live.stop()

    def _draw(self) -> None:
        if self._live is None:
            self._live = Live(console=self.console, refresh_per_second=8)
            self._live.start()
        self._live.update(self._picture())

    def _picture(self) -> RenderableType:
        calendar = Table.grid(padding=(0, 2), expand=True)
        calendar.add_column(width=12)
        calendar.add_column(ratio=1)
        calendar.add_column(width=5, justify="right")
        calendar.add_row(
            f"{self._now:%d %b %Y}" if self._now else "",
            ProgressBar(total=1.0, completed=self._share),
            f"{self._share:.0%}",
        )
        return Panel(
            Group(_ring(self._lit), Text(), calendar, Text(), _bars(self._months), Text(), *self._events[-9:]),
            title="modelloop demo: flights of 2013",
            border_style="dim",
        )


def _ring(lit: Mapping[str, str]) -> RenderableType:
    line = Text()
    for index, stage in enumerate(STAGES):
        line.append(f" {stage} ", style="bold black on bright_cyan" if stage in lit else "dim")
        line.append(" > " if index < len(STAGES) - 1 else " > data ...", style="dim")
    what = "; ".join(f"{stage}: {text}" for stage, text in lit.items() if text)
    return Group(line, Text(what or " ", style="cyan", no_wrap=True, overflow="ellipsis"))


def _bars(months: Sequence[Month]) -> RenderableType:
    if not months:
        return Text("the headline metric appears when the first month's truth is in", style="dim")
    cells = []
    for month in months:
        cell = Text(f"{month.name[:3]} ", style="bold")
        cell.append(f"{month.loop:.3f}", style="green" if month.loop >= month.static else "yellow")
        cell.append(f" / {month.static:.3f}", style="dim")
        cells.append(cell)
    return Group(
        Text("AUC of what was answered / had the first model stayed", style="dim"), Columns(cells, padding=(0, 3))
    )


def episodes_table(episodes: Sequence[Mapping[str, Any]], lines: Sequence[Sequence[str]]) -> Table:
    """Return all turns of the loop as a table; `lines` are the cells of each episode but the result."""
    table = Table(title="Every turn of the loop, with its evidence", title_justify="left", show_lines=True, expand=True)
    for name in ("#", "opened", "because", "gates", "shadow and canary", "result"):
        table.add_column(name, overflow="fold", ratio=None if name in ("#", "opened", "result") else 1)
    for episode, cells in zip(episodes, lines, strict=True):
        result = str(episode.get("result") or episode["state"])
        table.add_row(*cells, Text(result, style=RESULT_STYLE.get(result, "")))
    return table


def data_table(year: Sequence[DataYear]) -> Table:
    """Return what became of the data: what waits, what was refused, what was warned of, which versions stay."""
    table = Table(title="What came in, under contract", title_justify="left", expand=True)
    for name in ("dataset", "rows", "set aside", "refused", "warned of, nobody woken", "versions"):
        wide = name in ("warned of, nobody woken", "versions")
        table.add_column(
            name, overflow="fold", justify="right" if name == "rows" else "left", ratio=1 if wide else None
        )
    for one in year:
        back = f", {one.readmitted} put right" if one.readmitted else ""
        warned = ", ".join(f"{check} {count}x" for check, count in one.warned.items())
        kept = one.versions - len(one.let_go)
        versions = f"{kept} of {one.versions} kept, {len(one.trained_on)} trained on"
        refused = ", ".join(one.refused) or "–"
        table.add_row(one.dataset, f"{one.rows:,}", f"{one.set_aside}{back}", refused, warned or "–", versions)
    return table
