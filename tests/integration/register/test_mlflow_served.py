"""A folder in MLflow's format becomes a version, a package, and answers through a real gateway what pyfunc would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import xgboost

import mlflow_folders as folders
from gateway_process import Place, gateway, wait_for, wait_ready
from modelloop.deploy import actions as deploy
from modelloop.deploy.records import Stage
from modelloop.ground.core.clock import SystemClock
from modelloop.ground.core.records import Actor, Role
from modelloop.ground.store.context import Context
from modelloop.register import actions
from modelloop.register.actions.converting import convert_version, convert_waiting
from modelloop.register.package import load
from modelloop.testing.fakes import make_context
from served import ENDPOINT, make_project


@pytest.fixture
def now(tmp_path: Path) -> Context:
    """A Context whose clock goes on: gateways report in real time."""
    return make_context(tmp_path, clock=SystemClock())


def bring_live(ctx: Context, version: str) -> None:
    """Start a rollout, approve it as a person, and wait until it is live."""
    project = make_project()
    started = deploy.start_rollout(ctx, project, ENDPOINT, version, reason="a test")
    assert started.stage is Stage.APPROVAL, "no gate was asked: a person must agree"
    person = Context(ctx.db, ctx.blobs, ctx.clock, Actor("anna", Role.ENGINEER), ctx.home)
    deploy.approve(person, ENDPOINT, reason="looked at it")
    wait_for(lambda: deploy.advance(ctx, started.id).stage is Stage.LIVE)


def ask(client: httpx.Client, inputs: tuple[str, ...], rows: Any) -> list[float]:
    """Ask the gateway for rows."""
    tensors = [
        {"name": name, "datatype": "FP64", "shape": [len(rows)], "data": rows[:, at].tolist()}
        for at, name in enumerate(inputs)
    ]
    answer = client.post(f"/v2/models/{ENDPOINT}/infer", json={"inputs": tensors})
    assert answer.status_code == 200, answer.text
    found: list[float] = answer.json()["outputs"][0]["data"]
    return found


@pytest.mark.parametrize(
    ("write", "rows", "expected", "tolerance"),
    [
        (folders.sklearn_skops, folders.IRIS[0], lambda x: folders.iris_model().predict(x), 0),
        (folders.sklearn_pickle, folders.IRIS[0], lambda x: folders.iris_model().predict(x), 0),
        (folders.lightgbm_booster, folders.CANCER[0], lambda x: folders.booster().predict(x), 1e-5),
        (folders.onnx_classifier, folders.IRIS[0], lambda x: folders.iris_model().predict(x), 0),
    ],
    ids=["skops", "pickle", "lightgbm", "onnx"],
)
def test_it_answers_what_pyfunc_would(
    now: Context,
    tmp_path: Path,
    write: Callable[[Path], Path],
    rows: Any,
    expected: Callable[[Any], Any],
    tolerance: float,
) -> None:
    version = actions.import_folder(now, write(tmp_path / "model"), "delay")
    version = convert_version(now, version.name, allow_pickle=version.unsafe)
    assert version.package is not None, version.refusal
    inputs = tuple(column.name for column in load(now.blobs, version.package).signature.inputs)
    place = Place(tmp_path, now.blobs.url)
    deploy.publish(now)
    with gateway(place) as process, httpx.Client(base_url=process.address) as client:
        bring_live(now, version.name)
        wait_ready(client)
        np.testing.assert_allclose(ask(client, inputs, rows), expected(rows), atol=tolerance)
    found = actions.live_at(now, ENDPOINT, now.now())
    assert found is not None
    assert (found.version, found.since.by) == ("delay:1", now.actor.name)
    assert actions.by_alias(now, "delay", "champion").number == 1


def test_waiting_versions_are_converted_and_pickles_are_not(now: Context, tmp_path: Path) -> None:
    actions.import_folder(now, folders.lightgbm_booster(tmp_path / "a"), "trees")
    actions.import_folder(now, folders.sklearn_pickle(tmp_path / "b"), "trees")
    assert convert_waiting(now) == 2
    assert convert_waiting(now) == 0
    trees, pickled = actions.versions(now, "trees")
    assert trees.package is not None
    assert pickled.package is None
    assert "is a pickle" in pickled.refusal
    assert pickled.opted_in is None


def test_torch_and_xgboost_are_converted_too(now: Context, tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    made = folders.folder(tmp_path / "net", "pytorch", {"model_data": "data"}, signature=folders.tensor_signature(4))
    (made / "data").mkdir()
    rows = ({0: torch.export.Dim("rows")},)
    torch.export.save(torch.export.export(net, (torch.zeros(3, 4),), dynamic_shapes=rows), made / "data" / "model.pt2")
    boosted = folders.folder(
        tmp_path / "xgb", "xgboost", {"data": "model.ubj", "model_class": "xgboost.sklearn.XGBClassifier"}
    )
    classifier = xgboost.XGBClassifier(n_estimators=5).fit(*folders.IRIS)
    classifier.save_model(boosted / "model.ubj")
    wanted = (net(torch.tensor(folders.IRIS[0], dtype=torch.float32)).detach().numpy()[:, 0],)
    wanted += (classifier.predict(folders.IRIS[0]),)
    for folder, expected in zip((made, boosted), wanted, strict=True):
        version = convert_version(now, actions.import_folder(now, folder, "other").name)
        assert version.package is not None, version.refusal
        assert not version.unsafe
        loaded = load(now.blobs, version.package)
        names = [column.name for column in loaded.signature.inputs]
        columns = {name: folders.IRIS[0][:, at] for at, name in enumerate(names)}
        np.testing.assert_allclose(loaded.scorer.score(columns), expected, atol=1e-5)
