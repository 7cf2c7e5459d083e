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
    params: Mapping[str, Any] = setting("further arguments", factory=dict)
    seed: int = setting("for everything random", default=0, least=0)
    time_limit: timedelta = setting("a run that takes longer is ended", default=timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class TriggerSettings:
    """What starts an episode: an alert of a monitor, the calendar of the data, or new data."""

    on: TriggerOn = setting("alert, schedule or data")
    pipeline: str = setting("the pipeline to run")
    endpoint: str = setting("the endpoint whose model is to be renewed")
    monitor: str | None = setting("alert: the monitor whose alerts count", default=None)
    every: timedelta | None = setting("schedule: how much event time after the last training data", default=None)
    dataset: str | None = setting("data: the dataset whose new versions count", default=None)
    cool_down: timedelta = setting("event time that must pass since the last episode closed", default=timedelta(0))
    params: Mapping[str, Any] = setting("arguments for these runs, over those of the pipeline", factory=dict)
