"""The register by MLflow's protocol: names, versions, aliases, tags, and where their files are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mlflow_face import Client, client_of
from modelloop.ground.store.context import Context

NAME = "prices of Köln"


@pytest.fixture
def client(ctx: Context) -> Iterator[Client]:
    with client_of(ctx) as made:
        yield made


@pytest.fixture
def source(client: Client) -> dict[str, str]:
    """A run with a folder in MLflow's format."""
    info = client.begin()["info"]
    place = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    for name, data in (("MLmodel", b"flavors: {python_function: {}}\n"), ("data/weights.bin", b"123")):
        assert client.put_file(f"{place}/model/{name}", data).status == 200
    return {"source": f"mlflow-artifacts:/{place}/model", "run_id": info["run_id"], "place": f"{place}/model"}


def registered(client: Client, source: dict[str, str], name: str = NAME) -> dict[str, Any]:
    client.post("registered-models/create", name=name)
    made = client.post(
        "model-versions/create", name=name, source=source["source"], run_id=source["run_id"],
        description="the first", tags=[{"key": "a", "value": "b"}],
    )  # fmt: skip
    assert made.status == 200, made.body
    return dict(made.json["model_version"])


def test_a_name_from_beginning_to_end(client: Client) -> None:
    made = client.post("registered-models/create", name=NAME, description="d", tags=[{"key": "k", "value": "v"}])
    model = made.json["registered_model"]
    assert (model["name"], model["description"], model["tags"]) == (NAME, "d", [{"key": "k", "value": "v"}])
    again = client.post("registered-models/create", name=NAME)
    assert (again.status, again.code) == (400, "RESOURCE_ALREADY_EXISTS")
    assert client.patch("registered-models/update", name=NAME, description="e").status == 200
    assert client.post("registered-models/set-tag", name=NAME, key="x", value="y").json == {}
    assert client.delete("registered-models/delete-tag", name=NAME, key="k").json == {}
    renamed = client.post("registered-models/rename", name=NAME, new_name="costs").json["registered_model"]
    assert (renamed["name"], renamed["description"], renamed["tags"]) == ("costs", "e", [{"key": "x", "value": "y"}])
    found = client.get("registered-models/search", filter="name LIKE 'co%'", order_by=["name ASC"]).json
    assert [model["name"] for model in found["registered_models"]] == ["costs"]
    assert client.delete("registered-models/delete", name="costs").json == {}
    gone = client.get("registered-models/get", name="costs")
    assert (gone.status, gone.code) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a\nb", "x" * 300, " "])
def test_names_that_are_refused(client: Client, name: str) -> None:
    reply = client.post("registered-models/create", name=name)
    assert (reply.status, reply.code) == (400, "INVALID_PARAMETER_VALUE")


def test_a_version_keeps_the_bytes_of_its_moment(client: Client, source: dict[str, str]) -> None:
    version = registered(client, source)
    assert (version["name"], version["version"], version["status"]) == (NAME, "1", "READY")
    assert (version["source"], version["run_id"]) == (source["source"], source["run_id"])
    assert (version["current_stage"], version["tags"]) == ("None", [{"key": "a", "value": "b"}])
    uri = client.get("model-versions/get-download-uri", name=NAME, version="1").json["artifact_uri"]
    place = uri.removeprefix("mlflow-artifacts:/")
    client.put_file(f"{source['place']}/data/weights.bin", b"changed")
    client.post("runs/delete", run_id=source["run_id"])
    assert {file["path"] for file in client.list_files(place)} == {"MLmodel", "data"}
    assert client.list_files(f"{place}/data") == [{"path": "weights.bin", "is_dir": False, "file_size": 3}]
    assert client.get_file(f"{place}/data/weights.bin").body == b"123"
    by_query = client.call(
        "GET", "/model-versions/get-artifact", query={"name": NAME, "version": "1", "path": "data/weights.bin"}
    )
    assert by_query.body == b"123"
    refused = client.put_file(f"{place}/data/weights.bin", b"x")
    assert (refused.status, refused.code) == (400, "INVALID_PARAMETER_VALUE")
    assert client.get_file(f"{place}/nothing").status == 404


def test_versions_are_described_tagged_found_and_deleted(client: Client, source: dict[str, str]) -> None:
    registered(client, source)
    assert registered(client, source)["version"] == "2"
    assert client.patch("model-versions/update", name=NAME, version="2", description="second").status == 200
    assert client.post("model-versions/set-tag", name=NAME, version="2", key="k", value="v").json == {}
    assert client.delete("model-versions/delete-tag", name=NAME, version="2", key="a").json == {}
    found = client.get("model-versions/get", name=NAME, version="2").json["model_version"]
    assert (found["description"], found["tags"]) == ("second", [{"key": "k", "value": "v"}])
    search = client.get("model-versions/search", filter=f"name = '{NAME}'", order_by=["version_number DESC"])
    assert [one["version"] for one in search.json["model_versions"]] == ["2", "1"]
    latest = client.post("registered-models/get-latest-versions", name=NAME).json["model_versions"]
    assert [one["version"] for one in latest] == ["2"]
    model = client.get("registered-models/get", name=NAME).json["registered_model"]
    assert [one["version"] for one in model["latest_versions"]] == ["2"]
    assert client.delete("model-versions/delete", name=NAME, version="2").json == {}
    assert client.get("model-versions/get", name=NAME, version="2").status == 404
    assert registered(client, source)["version"] == "3", "a number is not given twice"


def test_aliases_name_versions(client: Client, source: dict[str, str]) -> None:
    registered(client, source)
    registered(client, source)
    assert client.post("registered-models/alias", name=NAME, alias="best", version="1").json == {}
    assert client.get("registered-models/alias", name=NAME, alias="best").json["model_version"]["version"] == "1"
    client.post("registered-models/alias", name=NAME, alias="best", version="2")
    found = client.get("registered-models/alias", name=NAME, alias="best").json["model_version"]
    assert (found["version"], found["aliases"]) == ("2", ["best"])
    model = client.get("registered-models/get", name=NAME).json["registered_model"]
    assert model["aliases"] == [{"alias": "best", "version": "2"}]
    assert client.delete("registered-models/alias", name=NAME, alias="best").json == {}
    gone = client.get("registered-models/alias", name=NAME, alias="best")
    assert (gone.status, gone.code) in {(404, "RESOURCE_DOES_NOT_EXIST"), (400, "INVALID_PARAMETER_VALUE")}
    for alias in ("latest", "v3", "a b", ""):
        assert client.post("registered-models/alias", name=NAME, alias=alias, version="1").status == 400


@pytest.mark.parametrize("version", ["0", "-1", "one", "1.5", "", "99999999999", None])
def test_numbers_that_are_none(client: Client, version: Any) -> None:
    reply = client.call("GET", "/api/2.0/mlflow/model-versions/get", {"name": NAME, "version": version})
    assert (reply.status, reply.code) == (400, "INVALID_PARAMETER_VALUE")


def test_a_version_of_a_name_that_is_not_there(client: Client, source: dict[str, str]) -> None:
    reply = client.post("model-versions/create", name="nobody", source=source["source"])
    assert (reply.status, reply.code) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize(
    "source", ["/etc/passwd", "file:///etc", "models:/none", "runs:/", "mlflow-artifacts:/x", "a/b"]
)
def test_sources_that_name_nothing_here_are_refused(client: Client, source: str) -> None:
    client.post("registered-models/create", name=NAME)
    reply = client.post("model-versions/create", name=NAME, source=source)
    assert (reply.status, reply.code) == (400, "INVALID_PARAMETER_VALUE")


def test_a_source_in_a_bucket_is_kept_as_text(client: Client) -> None:
    client.post("registered-models/create", name=NAME)
    made = client.post("model-versions/create", name=NAME, source="s3://bucket/model").json["model_version"]
    assert made["source"] == "s3://bucket/model"
    told = client.get("model-versions/get-download-uri", name=NAME, version=made["version"])
    assert told.json["artifact_uri"] == "s3://bucket/model"


def test_stages_are_answered_by_what_to_do_instead(client: Client, source: dict[str, str]) -> None:
    registered(client, source)
    reply = client.post("model-versions/transition-stage", name=NAME, version="1", stage="Production")
    assert (reply.status, reply.code) == (501, "NOT_IMPLEMENTED")
    assert "set_registered_model_alias" in reply.message
    asked = client.post("registered-models/get-latest-versions", name=NAME, stages=["Production"])
    assert (asked.status, asked.code) == (501, "NOT_IMPLEMENTED")
