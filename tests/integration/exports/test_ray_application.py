"""The exported Ray Serve application, run where Ray Serve is installed; its answering part in any case."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from deployed import publish, route
from gateway_process import request
from modelloop.cli.acts.deployments import write
from modelloop.deploy.actions.exporting import export_deployment
from modelloop.deploy.exports.records import Platform, Wish
from modelloop.deploy.exports.replica import Replica
from modelloop.ground.core.errors import NotReady
from modelloop.ground.store.context import Context

INFER = "/v2/models/late_flights/infer"


@pytest.fixture
def exported(ctx: Context, tmp_path: Path) -> Path:
    publish(ctx.blobs, route(ctx.blobs))
    folder = tmp_path / "out"
    write(export_deployment(ctx, "late_flights", Platform.RAY_SERVE, Wish(least=1, most=1)), folder)
    return folder


def test_a_replica_answers_as_a_gateway_does(exported: Path, tmp_path: Path) -> None:
    async def ask() -> list[tuple[int, bytes]]:
        replica = Replica((exported / "deployment").as_uri(), tmp_path / "log", "Replica#1")
        replica.check()
        body = json.dumps(request()).encode()
        asked = [
            ("POST", INFER, body),
            ("GET", "/v2/health/ready", b""),
            ("POST", INFER, b"{"),
            ("GET", "/nowhere", b""),
        ]
        answers = [await replica.answer(method, path, [], data) for method, path, data in asked]
        replica.stop()
        return [(status, data) for status, _, data in answers]

    answers = asyncio.run(ask())
    assert [status for status, _ in answers] == [200, 200, 400, 404]
    assert json.loads(answers[0][1])["outputs"][0]["shape"] == [1]
    assert list((tmp_path / "log" / "rreplica1").glob("*.log")), "the prediction log is written here too"


def test_a_replica_without_a_table_says_that_it_is_not_well(tmp_path: Path) -> None:
    async def check() -> None:
        replica = Replica((tmp_path / "empty").as_uri(), tmp_path / "log", "one")
        try:
            replica.check()
        finally:
            replica.stop()

    with pytest.raises(NotReady):
        asyncio.run(check())


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("ray", "aiohttp", "fastapi")),
    reason="ray[serve] is not part of the locked environment: pip install 'ray[serve]' to run this",
)
def test_ray_serve_runs_it(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve = importlib.import_module("ray.serve")
    monkeypatch.syspath_prepend(str(exported))
    module = importlib.import_module("late_flights_app")
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": 18543})
        serve.run(module.app)
        answer = httpx.post(f"http://127.0.0.1:18543{INFER}", json=request(), timeout=30)
        assert answer.status_code == 200
        assert answer.headers["modelloop-prediction-id"].startswith("pred_")
    finally:
        serve.shutdown()
        sys.modules.pop("late_flights_app", None)
