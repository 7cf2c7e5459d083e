"""What the project file says about watching: monitors and who hears of an alert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from ..ground.core.toml import setting


class SignalKind(StrEnum):
    """What is measured on a window."""

    QUALITY = "quality"
    INPUT_DRIFT = "input-drift"
    SCORE_DRIFT = "score-drift"


class Severity(StrEnum):
    """How loud an alert is: `note` is shown, `alert` is sent and may start work."""

    NOTE = "note"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """One thing measured on windows of an endpoint's predictions. Windows are cut by event time."""

    endpoint: str = setting("the endpoint that is watched")
    signal: SignalKind = setting(
        "quality: the headline metric on labelled answers against the value at registration; input-drift: the largest "
        "PSI of any input against the training sample; score-drift: PSI of the scores against those at registration"
    )
    every: timedelta = setting("length of a window", default=timedelta(days=7))
    label_delay: timedelta = setting(
        "quality: how long after its end a window waits for outcomes", default=timedelta(days=1)
    )
    min_rows: int = setting("fewest rows in a window; below it the answer is missing evidence", default=200, least=1)
    tolerance: float = setting(
        "quality: a loss up to this size is no alert, in units of the metric", default=0.02, least=0
    )
    ignore: tuple[str, ...] = setting("input-drift: columns that are expected to move, such as a date", default=())
    threshold: float = setting("drift: the PSI above which it is an alert", default=0.25, least=0)
    alpha: float = setting(
        "quality: chance of any false alert over a version's whole life", default=0.05, least=1e-6, most=0.5
    )
    severity: Severity = setting("note: shown only; alert: sent, and may start work", default=Severity.ALERT)


class Channel(StrEnum):
    """Where an alert goes."""

    LOG = "log"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Somebody who hears of alerts."""

    channel: Channel = setting("log: a line in the worker's log; webhook: a POST with the alert as JSON")
    url_from: str | None = setting(
        "webhook: the environment variable that holds the address (it may hold a secret)", default=None
    )
    minimum: Severity = setting("the quietest severity that is sent", default=Severity.ALERT)
