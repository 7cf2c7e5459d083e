"""Artifacts through the server: streamed, whole or not at all, and never anybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from mlflow_face import Client, client_of
from modelloop.ground.core.errors import StoreUnavailable
from modelloop.ground.store.blobs import Blobs
from modelloop.ground.store.context import Context
from modelloop.mlflow import files as room

MEBI = 1 << 20


@pytest.fixture
def client(ctx: Context) -> Iterator[Client]:
    with client_of(ctx) as made:
        yield made


@pytest.fixture
def root(client: Client) -> str:
    """The root of a fresh run's artifacts."""
    return str(client.begin()["info"]["artifact_uri"]).removeprefix("mlflow-artifacts:/")


def put(client: Client, place: str, parts: list[bytes | None]) -> int:
    path = f"/api/2.0/mlflow-artifacts/artifacts/{place}"
    return asyncio.run(client.send("PUT", path, parts)).status


def test_a_file_goes_there_and_back(client: Client, root: str) -> None:
    assert client.put_file(f"{root}/plots/roc%20curve.txt", b"hello").json == {}
    assert client.put_file(f"{root}/Gr%C3%BC%C3%9Fe.txt", b"").status == 200
    back = client.get_file(f"{root}/plots/roc%20curve.txt")
    assert (back.status, back.body, back.headers["content-length"]) == (200, b"hello", "5")
    assert back.headers["content-type"] == "application/octet-stream"
    assert back.headers["content-disposition"] == "attachment; filename*=UTF-8''roc%20curve.txt"
    assert back.headers["x-content-type-options"] == "nosniff"
    assert client.get_file(f"{root}/Gr%C3%BC%C3%9Fe.txt").body == b""
    assert client.list_files(root) == [
        {"path": "Grüße.txt", "is_dir": False, "file_size": 0},
        {"path": "plots", "is_dir": True},
    ]
    assert client.list_files(f"{root}/plots") == [{"path": "roc curve.txt", "is_dir": False, "file_size": 5}]
    assert client.list_files(f"{root}/plots/roc curve.txt") == []
    run_id = root.split("/")[1]
    told = client.get("artifacts/list", run_id=run_id, path="plots").json
    assert told["root_uri"] == f"mlflow-artifacts:/{root}"
    assert told["files"] == [{"path": "plots/roc curve.txt", "is_dir": False, "file_size": 5}]
    one = client.call("GET", "/get-artifact", query={"run_uuid": run_id, "path": "plots/roc curve.txt"})
    assert one.body == b"hello"


def test_a_large_file_comes_back_as_it_was(client: Client, root: str) -> None:
    block = bytes(range(256)) * 256
    parts: list[bytes | None] = [block] * 600
    assert put(client, f"{root}/large.bin", parts) == 200
    back = client.get_file(f"{root}/large.bin")
    assert back.headers["content-length"] == str(len(block) * 600)
    assert back.body == block * 600


def test_a_file_is_replaced_whole(client: Client, root: str) -> None:
    client.put_file(f"{root}/a.txt", b"first")
    client.put_file(f"{root}/a.txt", b"second")
    assert client.get_file(f"{root}/a.txt").body == b"second"


@pytest.mark.parametrize("after", [0, 1, 40])
def test_a_client_that_dies_in_mid_upload_leaves_nothing(client: Client, root: str, after: int) -> None:
    client.put_file(f"{root}/a.bin", b"before")
    assert put(client, f"{root}/a.bin", [*([b"x" * MEBI] * after), None]) == 0
    assert put(client, f"{root}/b.bin", [*([b"x" * MEBI] * after), None]) == 0
    assert client.get_file(f"{root}/a.bin").body == b"before"
    assert [file["path"] for file in client.list_files(root)] == ["a.bin"]
    assert client.get_file(f"{root}/b.bin").status == 404


def test_a_full_disk_is_told_at_once_and_leaves_nothing(
    client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> str:
        raise StoreUnavailable("Could not write 5 bytes in /x: No space left on device (os error 28).")

    monkeypatch.setattr(Blobs, "put", full)
    reply = client.put_file(f"{root}/a.txt", b"hello")
    assert (reply.status, reply.code) == (507, "RESOURCE_EXHAUSTED")
    assert "No space left" in reply.message
    monkeypatch.undo()
    assert client.list_files(root) == []
    assert client.put_file(f"{root}/a.txt", b"hello").status == 200


HOSTILE = [
    "../../../../etc/passwd",
    "a/../../x",
    "%2e%2e/x",
    "%2E%2E%2F%2E%2E%2Fx",
    "%252e%252e/x",
    "%25252e%25252e%25252fx",
    "a%5cb",
    "..%5c..%5cx",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "C:%5cx",
    "c:/x",
    "a%00b",
    "a%0ab",
    "a%1fb",
    ".",
    "a/./b",
    "a//b",
    "x" * 1001,
    "%ff%fe",
    "a%e2%80%a8b",
]


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_names_that_lead_elsewhere_are_refused(client: Client, root: str, method: str) -> None:
    for name in HOSTILE:
        reply = client.call(method, f"/api/2.0/mlflow-artifacts/artifacts/{root}/{name}", b"x")
        assert (reply.status, reply.code) == (400, "INVALID_PARAMETER_VALUE"), (name, reply.body)
    assert client.list_files(root) == []


def test_folders_that_lead_elsewhere_are_refused(client: Client, root: str) -> None:
    run_id = root.split("/")[1]
    for name in ("../x", "a\\b", "/etc", "%2e%2e", "a\x00b"):
        reply = client.call("GET", "/api/2.0/mlflow-artifacts/artifacts", query={"path": f"{root}/{name}"})
        assert (reply.status, reply.code) == (400, "INVALID_PARAMETER_VALUE"), name
        assert client.get("artifacts/list", run_id=run_id, path=name).status == 400, name
        assert client.call("GET", "/get-artifact", query={"run_id": run_id, "path": name}).status == 400, name


@pytest.mark.parametrize("place", ["x", "0/run_nobody/artifacts/a", "0/models/m-nobody/artifacts/a", "versions/61/1/a"])
def test_what_nobody_has_is_not_found(client: Client, place: str) -> None:
    assert client.get_file(place).status == 404
    assert client.put_file(place, b"x").status in {400, 404}


def test_files_are_deleted_one_by_one_and_by_folder(client: Client, root: str) -> None:
    for name in ("a.txt", "d/b.txt", "d/e/c.txt"):
        client.put_file(f"{root}/{name}", b"x")
    assert client.call("DELETE", f"/api/2.0/mlflow-artifacts/artifacts/{root}/d").status == 200
    assert [file["path"] for file in client.list_files(root)] == ["a.txt"]
    again = client.call("DELETE", f"/api/2.0/mlflow-artifacts/artifacts/{root}/d")
    assert (again.status, again.code) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_download_ends_when_its_client_goes_away(client: Client, root: str, ctx: Context) -> None:
    put(client, f"{root}/large.bin", [b"x" * MEBI] * 48)
    reply = asyncio.run(client.send("GET", f"/api/2.0/mlflow-artifacts/artifacts/{root}/large.bin", [None]))
    assert len(reply.body) < 48 * MEBI


def test_damage_breaks_a_download_off_instead_of_ending_it_well(
    client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, f"{root}/large.bin", [b"x" * MEBI] * 40)
    read, count = Blobs.get, iter(range(100))

    def damaged(blobs: Blobs, digest: str) -> bytes:
        if next(count) == 1:
            raise StoreUnavailable("The bytes are damaged.")
        return read(blobs, digest)

    monkeypatch.setattr(Blobs, "get", damaged)
    with pytest.raises(Exception, match="damaged"):
        client.get_file(f"{root}/large.bin")


def test_a_logged_model_has_files_of_its_own(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    made = client.post(
        "logged-models", experiment_id="0", name="tree", model_type="sklearn", source_run_id=run_id,
        params=[{"key": "depth", "value": "3"}], tags=[{"key": "a", "value": "b"}],
    ).json["model"]  # fmt: skip
    info = made["info"]
    place = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    assert place == f"0/models/{info['model_id']}/artifacts"
    assert info["status"] == "LOGGED_MODEL_PENDING"
    assert client.put_file(f"{place}/MLmodel", b"flavors: {}").status == 200
    path = f"logged-models/{info['model_id']}"
    assert client.get(f"{path}/artifacts/directories").json["files"] == [
        {"path": "MLmodel", "is_dir": False, "file_size": 11}
    ]
    assert client.get(f"{path}/artifacts/files", artifact_file_path="MLmodel").body == b"flavors: {}"
    ready = client.patch(path, model_id=info["model_id"], status="LOGGED_MODEL_READY").json["model"]
    assert ready["info"]["status"] == "LOGGED_MODEL_READY"
    assert client.patch(f"{path}/tags", tags=[{"key": "c", "value": "d"}]).status == 200
    assert client.delete(f"{path}/tags/a").status == 200
    assert client.post(f"{path}/params", params=[{"key": "leaves", "value": "9"}]).json == {}
    metric = {"run_id": run_id, "key": "acc", "value": 0.5, "timestamp": 1, "model_id": info["model_id"]}
    assert client.post("runs/log-metric", **metric, dataset_name="d", dataset_digest="1").status == 200
    outputs = client.post("runs/outputs", run_id=run_id, models=[{"model_id": info["model_id"], "step": "0"}])
    assert outputs.json == {}
    found = client.get(path).json["model"]
    assert found["info"]["tags"] == [{"key": "c", "value": "d"}]
    assert {pair["key"] for pair in found["data"]["params"]} == {"depth", "leaves"}
    assert [(m["key"], m["dataset_name"]) for m in found["data"]["metrics"]] == [("acc", "d")]
    assert client.run_of(run_id)["outputs"]["model_outputs"] == [{"model_id": info["model_id"], "step": 0}]
    search = {"experiment_ids": ["0"], "filter": "metrics.acc > 0.4", "order_by": [{"field_name": "metrics.acc"}]}
    assert [m["info"]["model_id"] for m in client.post("logged-models/search", **search).json["models"]] == [
        info["model_id"]
    ]
    assert client.delete(path).status == 200
    assert client.get(path).status == 404
    assert client.get(path, allow_deleted="true").status == 200


def test_blocks_are_worth_a_threads_while() -> None:
    assert room.BLOCK >= MEBI
