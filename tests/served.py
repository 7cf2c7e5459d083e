"""An endpoint without processes: versions put into the register, and a gateway that is a loop in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from modelloop.deploy.actions import advance, record_outcomes, start_rollout
from modelloop.deploy.log import LogWriter, frame
from modelloop.deploy.records import GatewayReport, Outcome
from modelloop.deploy.route import ArmName, choose, shadowed
from modelloop.deploy.settings import EndpointSettings, RolloutSettings
from modelloop.deploy.table import TABLE_DOCUMENT, decode_table, encode_report, report_document
from modelloop.evaluate.settings import ObjectiveSettings
from modelloop.ground.core.records import Verdict
from modelloop.ground.store.context import Context
from modelloop.project import Project, ProjectSettings
from modelloop.register import tables as register_tables
from modelloop.register.records import ModelVersion
from packages import OBJECTIVE

T0 = datetime(2013, 3, 1, tzinfo=UTC)
ENDPOINT = "delay"
POLICY = RolloutSettings(shadow_rows=50, canary=(0.2, 0.5), canary_rows=20, margin=0.05, max_rows=5000)


def make_project(policy: RolloutSettings = POLICY, objective: ObjectiveSettings = OBJECTIVE, **parts: Any) -> Project:
    """Return a project with one endpoint `delay` of the model `delay`."""
    endpoints = {ENDPOINT: EndpointSettings("delay", rollout=policy)}
    return Project(ProjectSettings("flights", "us"), objective, endpoints=endpoints, **parts)


def put_version(ctx: Context, number: int, **values: Any) -> ModelVersion:
    """Put a version into the register without a package."""
    made = ModelVersion(
        model="delay",
        number=number,
        digest=f"{number:064x}",
        verdict=Verdict.PASS,
        run=None,
        headline=0.75,
        made_at=ctx.now(),
        made_by="tester",
        trained_from=T0 - timedelta(days=60),
        trained_until=T0,
        lineage={},
    )
    with ctx.db.transaction() as connection:
        register_tables.insert(connection, replace(made, **values))
    return made


Scores = Callable[[float], float]
"""From the one input `x` to an answer; may raise."""


def fair(x: float) -> float:
    """Answer the true chance."""
    return x


def blind(x: float) -> float:
    """Answer the opposite."""
    return 1 - x


def dull(x: float) -> float:
    """Answer the same to everybody."""
    return 0.5


def broken(x: float) -> float:
    """Answer nothing."""
    raise ValueError("feature 'x' is broken")


@dataclass
class Gateway:
    """Follows the published table and logs as the real one does."""

    ctx: Context
    answers: Mapping[str, Scores]
    """Version -> how it answers; a version that is not there cannot be loaded."""
    name: str = "g1"
    seed: int = 0
    truth: Scores = fair
    """The chance that `x` comes true."""
    asked: int = 0
    log: LogWriter = field(init=False)
    xs: list[float] = field(default_factory=list)
    """Everything that was asked, in order."""

    def __post_init__(self) -> None:
        self.log = LogWriter(self.ctx.home / "predictions", self.name, 1)
        self.rng = np.random.default_rng(self.seed)

    def report(self) -> None:
        """Load what the table says and tell."""
        table = decode_table(self.ctx.blobs.read_document(TABLE_DOCUMENT))
        arms = [a.version for route in table.routes for a in (route.champion, route.challenger, *route.standby) if a]
        loaded = tuple(version for version in arms if version in self.answers)
        failed = {version: "its graph is damaged" for version in arms if version not in self.answers}
        generation = table.generation if not failed else table.generation - 1
        said = GatewayReport(self.name, generation, self.ctx.now(), "here", 1, loaded, failed, 0, 0, 0, 0)
        self.ctx.blobs.write_document(report_document(self.name), encode_report(said))

    def ask(self, count: int, at: datetime = T0, *, step: timedelta = timedelta(minutes=1)) -> list[tuple[str, float]]:
        """Answer requests with x from 0 to 1; return ids and what comes true with the chance x."""
        table = decode_table(self.ctx.blobs.read_document(TABLE_DOCUMENT))
        (route,) = table.routes
        told = []
        for number in range(count):
            self.asked += 1
            name = f"{self.name}-{self.asked:06d}"
            x = float(self.rng.uniform())
            self.xs.append(x)
            told.append((name, float(self.rng.uniform() < self.truth(x))))
            arm, error = choose(route, name), None
            version = route.champion.version
            if arm is ArmName.CHALLENGER and route.challenger is not None:
                try:
                    score = self.answers[route.challenger.version](x)
                    version = route.challenger.version
                except ValueError as failure:
                    arm, error = ArmName.CHAMPION, str(failure)
            if version == route.champion.version:
                score = self.answers[version](x)
            record: dict[str, Any] = {"k": "a", "id": name, "ep": route.endpoint, "gen": table.generation}
            record |= {"at": micro(self.ctx.now()), "et": micro(at + step * number), "arm": str(arm), "v": version}
            record |= {"x": {"x": [x]}, "s": [score], "ms": 0.1} | ({"err": error} if error else {})
            frames = [frame(record)]
            if route.challenger is not None and shadowed(route, name):
                frames.append(frame(self.shadow(name, route.challenger.version, x)))
            self.log.write(frames)
        return told

    def shadow(self, name: str, version: str, x: float) -> dict[str, Any]:
        try:
            return {"k": "s", "id": name, "v": version, "s": [self.answers[version](x)]}
        except ValueError as failure:
            return {"k": "s", "id": name, "v": version, "s": None, "err": str(failure)}

    def tell(self, told: list[tuple[str, float]], at: datetime = T0) -> None:
        """Report what came true."""
        record_outcomes(self.ctx, ENDPOINT, [Outcome(name, label, at) for name, label in told])


def serve_first(ctx: Context) -> Gateway:
    """Put a first version into the register and bring it live; return the gateway that serves it."""
    put_version(ctx, 1)
    rollout = start_rollout(ctx, make_project(), ENDPOINT, "delay:1", reason="first")
    made = Gateway(ctx, {"delay:1": fair})
    made.report()
    assert advance(ctx, rollout.id).stage == "live"
    return made


def micro(moment: datetime) -> int:
    """Return microseconds since 1970."""
    return round(moment.timestamp() * 1_000_000)
