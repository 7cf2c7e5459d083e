"""What the loop does, seen from outside through control's API, told to the screen as it changes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from ..client import Client
from ..ground.core.clock import parse_time
from ..ground.core.errors import NotReady, StoreUnavailable
from .evidence import gates_cell, rollout_cell, signal_cell
from .ledger import Ledger
from .screen import RESULT_STYLE, Screen, episodes_table
from .traffic import Tally


class Watch:
    """Polls control and tells what is new. Survives control being away for a while."""

    def __init__(self, client: Client, screen: Screen, endpoint: str, ledger: Ledger) -> None:
        self._client, self._screen, self._endpoint, self._ledger = client, screen, endpoint, ledger
        self._told: dict[str, str] = {}
        self.episodes: list[Mapping[str, Any]] = []
        self.alerts: list[Mapping[str, Any]] = []
        self.turning = False
        """Whether an episode is open."""
        self.rolling = False
        """Whether a rollout waits for traffic."""
        self.champion: str | None = None

    def settle(self, day: datetime, patience: float) -> None:
        """Wait until the loop went round twice since now and has nothing left to compute."""
        deadline = time.monotonic() + patience
        start: int | None = None
        while True:
            loop = self.look(day)
            if loop is not None:
                start = loop["number"] if start is None else start
                if loop["number"] >= start + 2 and not loop["busy"]:
                    return
            if time.monotonic() > deadline:
                raise NotReady(f"The loop did not settle in {patience:.0f} s: {loop}", hint="Read .modelloop/logs.")
            time.sleep(0.03)

    def look(self, day: datetime) -> Mapping[str, Any] | None:
        """Ask once and tell what is new; None while control is being started again."""
        try:
            loop: Mapping[str, Any] = self._client.get("/api/loop")
            self.episodes = sorted(self._client.get("/api/episodes")["episodes"], key=lambda e: e["number"])
            self.alerts = self._client.get("/api/alerts")["alerts"]
            rollouts = self._client.get("/api/rollouts")["rollouts"]
        except StoreUnavailable:
            return None
        for alert in reversed(self.alerts):
            loud = alert["severity"] == "alert"
            text = f"{'ALERT' if loud else 'note: '} {alert['message']}"
            self._tell(alert["id"], "raised", parse_time(alert["event_time"]), text, "bold red" if loud else "dim")
        for rollout in reversed(rollouts):
            self._rollout(rollout, day)
        for episode in self.episodes:
            self._episode(episode, day)
        self.turning = any(e["result"] is None for e in self.episodes)
        self.rolling = any(r["stage"] in ("check", "shadow", "canary", "approval") for r in rollouts)
        self._screen.stages(lit(self.episodes, rollouts, self.alerts))
        return loop

    def failed(self) -> str:
        """Return why an episode failed, if the last one did."""
        last = self.episodes[-1] if self.episodes else None
        return str((last.get("evidence") or {}).get("result") or last) if last and last["result"] == "failed" else ""

    def summary(self, console: Console, tally: Tally) -> None:
        """Print every turn of the loop with its evidence, and what it was all worth."""
        lines = [
            (str(e["number"]), f"{parse_time(e['event_time']):%d %b}", signal_cell(e), gates_cell(e), rollout_cell(e))
            for e in self.episodes
        ]
        console.print()
        console.print(episodes_table(self.episodes, lines))
        if means := self._ledger.means():
            static, loop = means
            console.print(
                f"Mean AUC over {len(self._ledger.months)} months: [bold]{loop:.3f}[/bold] with the loop turning, "
                f"{static:.3f} had the first model stayed."
            )
        style = "green" if tally.failed == 0 else "bold red"
        asked = f"{tally.requests:,} requests ({tally.rows:,} flights)"
        console.print(f"{asked} were answered; [{style}]{tally.failed} failed[/{style}].")
        if tally.failed:
            console.print(f"The last failure: {tally.last_failure}")

    def _tell(self, key: str, state: str, when: datetime, text: str, style: str = "") -> None:
        if self._told.get(key) != state:
            self._told[key] = state
            self._screen.event(when, text, style)

    def _rollout(self, rollout: Mapping[str, Any], day: datetime) -> None:
        stage, step = rollout["stage"], rollout["step"]
        what = {
            "shadow": "shadow: scores every request beside the champion, answers none",
            "canary": f"canary, step {step + 1}: answers a share of the requests",
            "live": "LIVE",
            "back": f"BACK: {(rollout['verdicts'] or [rollout])[-1]['reason']}",
        }.get(stage)
        style = {"live": "bold green", "back": "bold red"}.get(stage, "cyan")
        if what:
            self._tell(rollout["id"], f"{stage}{step}", day, f"{rollout['challenger']} {what}", style)
        if stage == "live":
            self.champion = rollout["challenger"]

    def _episode(self, episode: Mapping[str, Any], day: datetime) -> None:
        key, number = episode["id"], episode["number"]
        if key not in self._told:
            self._tell(key, "open", day, f"episode {number} opens: {signal_cell(episode)}", "bold")
        result = episode["result"]
        if result:
            why = Text.from_markup(gates_cell(episode)).plain.splitlines() if result == "refused" else []
            text = f"episode {number}: {result}" + (f" ({why[-1]})" if why else "")
            self._tell(key, result, day, text, "bold " + RESULT_STYLE.get(result, ""))


Listed = list[Mapping[str, Any]]


def lit(episodes: Listed, rollouts: Listed, alerts: Listed) -> dict[str, str]:
    """Return the stages that are at work and what each does."""
    stages: dict[str, str] = {}
    open_episodes = [e for e in episodes if e["result"] is None]
    if open_episodes and open_episodes[-1]["state"] == "running":
        stages |= {"data": "", "prepare": "", "train": f"episode {open_episodes[-1]['number']} trains", "evaluate": ""}
    for rollout in rollouts:
        if rollout["stage"] in ("check", "shadow", "canary", "approval"):
            stages["deploy"] = f"{rollout['challenger']} in {rollout['stage']}"
    firing = [alert for alert in alerts if alert["resolved_at"] is None]
    if firing:
        stages["monitor"] = f"{firing[0]['monitor']} {firing[0]['severity']}"
    return stages
