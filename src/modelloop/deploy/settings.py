"""What the project file says about answering: endpoints and how a new version comes to answer there."""

from __future__ import annotations

from dataclasses import dataclass

from ..ground.core.toml import setting


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """The staged change of what answers: shadow, canary steps, live, or back. Counts are of the stage."""

    shadow_fraction: float = setting(
        "share of answered requests that the challenger also scores", default=1.0, least=0, most=1
    )
    shadow_rows: int = setting(
        "labelled rows scored by both before the shadow may pass; 0 leaves the stage out", default=300, least=0
    )
    canary: tuple[float, ...] = setting("shares of traffic the challenger answers, step by step", default=(0.1, 0.5))
    canary_rows: int = setting("rows the challenger must have been asked in each canary step", default=50, least=1)
    max_rows: int = setting("rows in a stage after which `not yet` becomes back", default=20000, least=1)
    margin: float = setting(
        "how much larger the challenger's mean loss may be (Brier score, or absolute error in units of the label's "
        "spread)",
        default=0.002,
        least=0,
    )
    alpha: float = setting(
        "chance of a wrong verdict in a stage, however often one looks", default=0.05, least=1e-6, most=0.5
    )
    max_error_rate: float = setting("share of requests the challenger may fail", default=0.01, least=0, most=1)
    max_latency_ratio: float = setting("median latency of the challenger against the champion's", default=5.0, least=1)
    approval: bool = setting("must a person approve before live", default=False)


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """A served address: POST /v2/models/NAME/infer on the gateway."""

    model: str = setting("the model whose versions answer here", pattern="[^/:\\s](?:[^/:]{0,254}[^/:\\s])?")
    registered: bool = setting(
        "versions come from the register (an MLflow client, `modelloop models import`), not from a pipeline here",
        default=False,
    )
    key: str | None = setting(
        "the input column that keeps a caller on one arm; the prediction id if left out", default=None
    )
    max_body: int = setting("largest request body, bytes", default=1_000_000, least=1000)
    max_rows: int = setting("most rows in one request", default=1000, least=1)
    rollout: RolloutSettings = setting("how a new version comes to answer", factory=RolloutSettings)
