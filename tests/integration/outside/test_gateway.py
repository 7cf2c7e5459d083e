"""Through a real gateway: a challenger outside that dies or hangs is taken out, and the champion answers everybody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest

import gateway_with_lanes
import mlflow_folders as folders
import odd_models as models
from gateway_process import Place, wait_for, wait_ready
from modelloop.deploy.records import Arm, Route, Stage
from modelloop.ground.core.clock import SystemClock
from modelloop.ground.store.context import Context
from modelloop.register import actions
from modelloop.register.actions.converting import convert_version
from modelloop.testing.executors import gone
from modelloop.testing.fakes import make_context


def odd_folder(path: Path) -> Path:
    """Write the odd model in MLflow's format, with an example that it answers."""
    models.write_odd(path)
    signature = json.dumps(folders.columns_signature(("x", "do"))["inputs"])
    example = {"columns": ["x", "do"], "data": [[1.0, 0.0], [2.0, 0.0]]}
    (path / "example.json").write_text(json.dumps(example))
    text = "flavors: {python_function: {loader_module: odd_model}}\n"
    text += f"signature: {{inputs: {signature}}}\nsaved_input_example_info: {{artifact_path: example.json}}\n"
    (path / "MLmodel").write_text(text)
    return path


@pytest.fixture
def place(tmp_path: Path) -> tuple[Place, Arm, Arm]:
    """A place with two versions of the odd model."""
    ctx: Context = make_context(tmp_path, clock=SystemClock())
    arms = []
    for number in (1, 2):
        folder = odd_folder(tmp_path / f"m{number}")
        (folder / "number").write_text(str(number))
        made = convert_version(ctx, actions.import_folder(ctx, folder, "odd").name, allow_pickle=True)
        assert made.package is not None, made.refusal
        arms.append(Arm(made.name, made.package))
    return Place(tmp_path, ctx.blobs.url), arms[0], arms[1]


def body(do: int, rows: int = 1) -> bytes:
    tensors = [
        {"name": name, "datatype": "FP64", "shape": [rows], "data": [value] * rows}
        for name, value in (("x", 3.0), ("do", float(do)))
    ]
    return msgspec.json.encode({"inputs": tensors})


def test_it_dies_and_comes_back_and_nobody_sees_an_error(place: tuple[Place, Arm, Arm]) -> None:
    where, one, two = place
    where.publish(1, Route("late", one, two, Stage.CANARY, share=1.0))
    command = [sys.executable, gateway_with_lanes.__file__, "--blobs", where.blobs_url, "--port", "0", "--id", "g1"]
    command += ["--predictions", str(where.folder / "predictions")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        with httpx.Client(base_url=said["address"], timeout=30) as client:
            wait_ready(client)

            def ask(do: int) -> tuple[int, str, Any]:
                answer = client.post("/v2/models/late/infer", content=body(do))
                told = answer.json()
                return answer.status_code, told.get("model_version", ""), told

            def pinned(number: str) -> int:
                return client.post(f"/v2/models/late/versions/{number}/infer", content=body(models.FINE)).status_code

            def children() -> list[psutil.Process]:
                return psutil.Process(process.pid).children(recursive=True)

            wait_for(lambda: len(children()) == 2)
            assert ask(models.FINE)[:2] == (200, "2")
            before = {child.pid for child in children()}
            for pid in before:  # one of them is the challenger's: the champion answers; the other's is not asked
                os.kill(pid, signal.SIGKILL)
                told = [ask(models.FINE) for _ in range(20)]
                assert {status for status, *_ in told} == {200}, told
                wait_for(lambda: all(pinned(number) == 200 for number in "12"))
            assert not before & {child.pid for child in children()}
            for do in (models.NOT_A_NUMBER, models.SHORT, models.RAISES, models.MISSING):
                status, _, told = ask(do)  # the champion is the same model: both fail, with a reason
                assert status == 500, told
                assert "error" in told
            assert ask(models.FINE)[0] == 200
            left = [child.pid for child in children()]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert gone(left, within=5.0), "a killed gateway takes its models' processes along"
