"""The story: a year of flights, played against the real control, worker and gateway processes.

Nothing here decides anything. The player lets files arrive, asks as the desks would, reports the truth when it is
known, puts one row right, and twice plays a person with a bad idea. What comes in, when to alert, retrain, refuse,
promote and go back is decided by the processes and by what the project file promises.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from ..client import Client
from ..ground.core.errors import ModelloopError, NotReady, StoreUnavailable
from ..ground.core.later import polars as pl
from .chapters import BROKEN_FILE, Chapter, chapters
from .intake import Intake, intake
from .ledger import Ledger
from .screen import DataYear, LiveScreen, Month, PlainScreen, Screen, data_table
from .traffic import Answer, Desks, outcomes
from .up import Up, up
from .watch import Watch
from .world import WEEK, World, at, flights, planes, weather

BEGINNING = at("2013-01-01")
OPENING = at("2013-03-01")
CLOSING = at("2014-01-01")
LOG_WIDTH = 140
"""Columns of the last table where there is no terminal to ask."""
OUTCOME_DELAY = timedelta(hours=12)
ENDPOINT = "delay"


@dataclass(frozen=True, slots=True)
class Play:
    """How the demo is to be played."""

    folder: Path
    until: datetime = CLOSING
    flights_a_day: int = 270
    seed: int = 3
    patience: float = 120.0
    """Seconds to wait for the loop to settle before giving up with an error."""


@dataclass(slots=True)
class Player:
    """One performance. Single-threaded but for the desks."""

    play: Play
    screen: Screen
    client: Client
    world: World
    desks: Desks
    ledger: Ledger
    watch: Watch
    intake: Intake
    waiting: list[Answer] = field(default_factory=list)
    landed: datetime = BEGINNING

    def perform(self) -> None:
        """Play from the first model to the end of the year."""
        self._first_model()
        story = list(chapters())
        day = OPENING
        while day < self.play.until:
            self.screen.day(day, (day - OPENING) / (CLOSING - OPENING))
            self._arrive(day)
            self._one_day(day)
            day += timedelta(days=1)
            self._report(day)
            if day.toordinal() % 2 == 0 or self.watch.rolling:
                self.settle(day)
            story = self._tell(story, day)
            for month in self.ledger.months_before(day - timedelta(days=2)):
                self.screen.month(month)
        self._report(day + timedelta(days=3))
        self.settle(day)
        for month in self.ledger.months_before(day + timedelta(days=1)):
            self.screen.month(month)
        self.screen.day(day, (day - OPENING) / (CLOSING - OPENING))

    def settle(self, day: datetime) -> None:
        """Wait until the loop has seen everything and has nothing left to compute: a training takes no days here."""
        self.watch.settle(day, self.play.patience)

    def _first_model(self) -> None:
        self.screen.event(at("2013-01-01"), "January and February arrive: flights, weather, aircraft")
        self._arrive(OPENING)
        told = "a person sees that only its wind is wrong, and takes the row in without it"
        self.intake.correct("weather", "wind_speed", OPENING, told)
        body = {"pipeline": "train", "endpoint": ENDPOINT, "reason": "the first model"}
        self._post("/api/episodes", body | {"params": {"as_of": "2013-03-01T00:00:00Z"}})
        deadline = time.monotonic() + self.play.patience
        while self.watch.champion is None:
            self.watch.look(OPENING)
            if time.monotonic() > deadline or self.watch.failed():
                raise NotReady(f"The first model did not go live: {self.watch.failed() or 'it took too long'}.")
            time.sleep(0.1)
        self.ledger.first_model(self.client.get("/api/models/flight-delay/1")["digest"])

    def _arrive(self, day: datetime) -> None:
        landing = self.play.folder / "landing"
        if day - self.landed >= WEEK or self.landed < at("2013-02-01"):
            self.world.land(landing, self.landed, day)
            if day == BROKEN_FILE:
                self.screen.event(
                    day, "the week's weather file loses its second half on the way (injected fault)", "magenta"
                )
                self.world.break_file(landing, self.landed)
            self.landed = day
            self.intake.arrive(day)
        elif day == BROKEN_FILE + timedelta(days=1):
            self.world.mend_file(landing, BROKEN_FILE - WEEK, BROKEN_FILE)
            mended = ", ".join(got.version.name for got in self.intake.arrive(day))
            self.screen.event(day, f"it is sent again, whole, and taken in: {mended}")

    def _one_day(self, day: datetime) -> None:
        answers = self.desks.ask(list(self.world.boards(day)))
        self.waiting.extend(answers)
        self.ledger.add(answers)

    def _report(self, day: datetime) -> None:
        ready, self.waiting = outcomes(self.waiting, day, OUTCOME_DELAY)
        if ready:
            self._post("/api/outcomes", {"endpoint": ENDPOINT, "outcomes": ready})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        """Post, and again while control is being started anew: outcomes count once however often they come."""
        deadline = time.monotonic() + self.play.patience
        while True:
            try:
                return self.client.post(path, body)
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _tell(self, story: list[Chapter], day: datetime) -> list[Chapter]:
        """Let a person have their idea when its day has come and no other turn is under way."""
        if not story or day < story[0].day or self.watch.turning:
            return story
        chapter = story[0]
        self.screen.event(day, chapter.idea, "magenta")
        body = {"pipeline": "train", "endpoint": ENDPOINT, "reason": chapter.idea}
        try:
            self._post("/api/episodes", body | {"params": dict(chapter.arguments)})
        except ModelloopError as error:
            if error.status != 409:
                raise
            return story  # a trigger was quicker: the person waits for the next day
        self.watch.turning = True
        self.settle(day)
        return story[1:]


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a performance."""

    folder: Path
    requests: int
    rows: int
    failed: int
    """Requests that got no answer: nought, or something is wrong."""
    months: tuple[Month, ...]
    data: tuple[DataYear, ...] = ()


def demo(
    folder: Path | None = None, *, until: str = "2014-01-01", flights_a_day: int = 270, stay: bool | None = None
) -> Played:
    """Play the year against processes of its own.

    `folder` is kept and can be looked at afterwards; without it a temporary one is made and named at the end.
    `stay`: leave the processes up until Ctrl-C; by default only in a terminal.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    place = folder.resolve() if folder else Path(tempfile.mkdtemp(prefix="modelloop-demo-"))
    play = Play(place, min(at(until), CLOSING), flights_a_day)
    screen: Screen = LiveScreen(console) if console.is_terminal else PlainScreen(console)
    prepare_folder(place)
    with up(place) as running, ThreadPoolExecutor(1) as later:
        building = later.submit(build_world, place, play)
        address = running.ready(play.patience)
        screen.event(None, "control, worker and gateway are up")
        world = building.result()
        desks = Desks(address.gateway_host, address.gateway_port, ENDPOINT, model_inputs(world))
        ledger = Ledger(place)
        with Client(address.control, address.token) as client, intake(place, screen) as arriving:
            watch = Watch(client, screen, ENDPOINT, ledger)
            try:
                Player(play, screen, client, world, desks, ledger, watch, arriving).perform()
            finally:
                desks.close()
                screen.close()
            year = arriving.tidy()
        console.print()
        console.print(data_table(year))
        watch.summary(console, desks.tally)
        _goodbye(console, running, stay=console.is_terminal if stay is None else stay)
    tally = desks.tally
    return Played(place, tally.requests, tally.rows, tally.failed, tuple(ledger.months), tuple(year))


def prepare_folder(place: Path) -> None:
    """Copy the demo's project into `place`: from then on it is a project like any other."""
    if (place / ".modelloop").exists():
        raise ModelloopError(f"{place} already holds a project that has run.", hint="Choose an empty folder.")
    place.mkdir(parents=True, exist_ok=True)
    for file in sorted((Path(__file__).parent / "project").iterdir()):
        if file.is_file():
            shutil.copy(file, place / file.name)


def build_world(place: Path, play: Play) -> World:
    """Load the year and compute what the desks will ask, with the project's own code."""
    tables = flights(), weather(), planes()
    rows = _project_module(place, "features").build(*tables)
    share = min(1.0, play.flights_a_day * 365 / rows.height)
    kept = rows.sort("flight_id").sample(fraction=share, seed=play.seed).filter(pl.col("hour") >= OPENING)
    return World(*tables, rows=kept.sort("hour", "origin", "flight_id"))


def model_inputs(world: World) -> Sequence[str]:
    """Return the columns that a desk sends: all but the facts that are known only later."""
    later = {
        "flight_id",
        "departs",
        "hour",
        "tailnum",
        "built",
        "dep_delay",
        "arr_delay",
        "left_at",
        "landed_at",
        "late",
    }
    return [name for name in world.rows.columns if name not in later]


def _project_module(place: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"demo_{name}", place / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _goodbye(console: Console, running: Up, *, stay: bool) -> None:
    place = running.folder
    console.print()
    if stay:
        console.print(f"The page (opens once): {running.page()}", soft_wrap=True)
    console.print(f"The project is kept in {place}. What to try next:", soft_wrap=True)
    for command, what in (
        ("episodes list", "every turn of the loop; `episodes show ID` for the evidence of one"),
        ("models list", "every version, also those that were refused; `models card flight-delay:1`"),
        ("experiments board train", "the training runs side by side, and which differences are more than noise"),
        ("models live delay --at 2013-08-15T12:00 --event-time", "which version answered then, and since when"),
        ("data quarantine weather", "rows and files that broke the contract, with the reasons; `data readmit`"),
        ("data diff flights:1 flights --limit 3", "what came in between"),
        ("data show weather", "every version; what was checked on the newest, and how it differs from the first"),
        ("rollback delay", "let the version before answer again, at once"),
        ("audit verify", "check the chain of everything that was decided"),
        ("up", "start the processes and the page again"),
    ):
        console.print(
            f"  modelloop {command} --project {place}\n      [dim]{what}[/dim]", soft_wrap=True, highlight=False
        )
    if stay:
        console.print("Press Ctrl-C to end the processes.")
        try:
            running.process.wait()
        except KeyboardInterrupt:
            console.print("ending the processes")
