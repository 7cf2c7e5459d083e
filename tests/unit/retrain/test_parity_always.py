"""A version whose served answers differ from those of the training code is refused, declared or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from modelloop.evaluate.settings import Check
from modelloop.ground.store.context import Context
from modelloop.retrain import actions as retrain
from modelloop.retrain.policy import Cause
from modelloop.retrain.records import Result
from served import ENDPOINT
from turning import STEPS, World

LIES = STEPS.replace(
    "    return fit(arrivals, bad, as_of)\n",
    "    import dataclasses\n"
    "    made = fit(arrivals, bad, as_of)\n"
    "    return dataclasses.replace(made, expected=made.expected + OFF)\n",
)


@pytest.mark.parametrize(("off", "result"), [("0.0", Result.PROMOTED), ("0.01", Result.REFUSED)])
def test_other_answers_than_in_training_are_refused_without_a_declared_gate(
    ctx: Context, tmp_path: Path, off: str, result: Result
) -> None:
    world = World(ctx, tmp_path)
    gates = {name: gate for name, gate in world.project.gates.items() if gate.check is not Check.PARITY}
    world.project = replace(world.project, gates=gates)
    (tmp_path / "steps.py").write_text(LIES.replace("OFF", off))
    world.land(15)
    retrain.open_episode(ctx, world.project, endpoint=ENDPOINT, pipeline="train", why=Cause("a first model"))
    world.turns(4)
    (episode,) = retrain.episodes(ctx)
    assert episode.result is result
    verdicts = {gate["gate"]: gate["verdict"] for gate in (episode.evidence or {})["gates"]}
    assert verdicts["served-as-trained"] == ("pass" if result is Result.PROMOTED else "fail")
