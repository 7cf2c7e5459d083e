"""What the project file says about turning the loop: pipelines and what starts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from ..ground.core.toml import setting


class TriggerOn(StrEnum):
    """What starts a pipeline by itself."""

    ALERT = "alert"
    SCHEDULE = "schedule"
    DATA = "data"
    CRON = "cron"


class Missed(StrEnum):
    """What becomes of instants of a calendar that passed while no worker was there."""

    SKIP = "skip"
    LATEST = "latest"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """A function of the project that makes candidates for a model."""

    function: str = setting("MODULE:FUNCTION beside the project file", pattern=r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
    inputs: Mapping[str, str] = setting(
        "argument = dataset: the newest version is handed over as a Polars frame", factory=dict
    )
    model: str | None = setting(
        "the model that gets a version from the candidate that the function returns; left out: an ordinary pipeline",
        default=None,
        pattern="[a-z][a-z0-9_-]*",
    )
    fills: str | None = setting(
        "the [sources.NAME] (a folder of Parquet files) that gets the frame which the function returns, under its "
        "contract; for pipelines that prepare data, not models",
        default=None,
    )
    params: Mapping[str, Any] = setting("further arguments", factory=dict)
    seed: int = setting("for everything random", default=0, least=0)
    time_limit: timedelta = setting("a run that takes longer is ended", default=timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class TriggerSettings:
    """What starts a pipeline: an alert of a monitor, the calendar of the data, new data, or the wall clock.

    With an endpoint it opens an episode, which renews the endpoint's model; without one it starts a plain run.
    """

    on: TriggerOn = setting("alert, schedule, data or cron")
    pipeline: str = setting("the pipeline to run")
    endpoint: str | None = setting(
        "the endpoint whose model is to be renewed; left out (data, cron): a plain run of the pipeline", default=None
    )
    monitor: str | None = setting("alert: the monitor whose alerts count", default=None)
    every: timedelta | None = setting("schedule: how much event time after the last training data", default=None)
    dataset: str | None = setting("data: the dataset whose new versions count", default=None)
    cron: str | None = setting('cron: minute, hour, day, month, weekday, e.g. "30 6 * * 1"', default=None)
    time_zone: str = setting("cron: whose clock, e.g. Europe/Berlin", default="UTC")
    missed: Missed = setting(
        "cron: instants that passed while no worker was there: skip them, run once for the latest, or run all",
        default=Missed.LATEST,
    )
    overlap: bool = setting("a plain run may begin while the one before still goes on", default=False)
    cool_down: timedelta = setting("event time that must pass since the last episode closed", default=timedelta(0))
    params: Mapping[str, Any] = setting("arguments for these runs, over those of the pipeline", factory=dict)
