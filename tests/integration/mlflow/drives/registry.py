"""Runs in MLflow's own environment: every registry call of MlflowClient."""

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel

client = MlflowClient()


def refused(code, call, *args, **more):
    try:
        call(*args, **more)
    except MlflowException as error:
        found = error
    else:
        raise AssertionError(f"{call} was not refused")
    assert found.error_code == code, (found.error_code, found.message)
    return found.message


class Adder(PythonModel):
    def predict(self, model_input: list[float]) -> list[float]:
        return [value + 1 for value in model_input]


mlflow.set_experiment("registry")
with mlflow.start_run() as run:
    info = mlflow.pyfunc.log_model(name="adder", python_model=Adder())

name = "prices of Köln"
model = client.create_registered_model(name, tags={"a": "b"}, description="first")
assert (model.name, model.description, model.tags) == (name, "first", {"a": "b"})
refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, name)
refused("INVALID_PARAMETER_VALUE", client.create_registered_model, "a/b")
refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, "nobody")
client.update_registered_model(name, "second")
client.set_registered_model_tag(name, "c", "d")
client.delete_registered_model_tag(name, "a")
model = client.get_registered_model(name)
assert (model.description, model.tags) == ("second", {"c": "d"})

one = client.create_model_version(name, info.model_uri, run.info.run_id, tags={"x": "y"}, description="one")
assert (one.version, one.status, one.description, one.tags) in (
    (1, "READY", "one", {"x": "y"}),
    ("1", "READY", "one", {"x": "y"}),
)
two = mlflow.register_model(info.model_uri, name)
assert int(two.version) == 2
client.update_model_version(name, "2", "two")
client.set_model_version_tag(name, "2", "k", "v")
client.set_model_version_tag(name, "2", "l", "w")
client.delete_model_version_tag(name, "2", "l")
found = client.get_model_version(name, "2")
assert (found.description, found.tags, found.source) == ("two", {"k": "v"}, info.model_uri)
assert [int(v.version) for v in client.search_model_versions(f"name = '{name}'", order_by=["version_number ASC"])] == [
    1,
    2,
]
assert [int(v.version) for v in client.search_model_versions("tags.k = 'v'")] == [2]
pages = client.search_model_versions(f"name = '{name}'", max_results=1)
assert len(pages) == 1
assert len(client.search_model_versions(f"name = '{name}'", max_results=1, page_token=pages.token)) == 1
assert int(client.get_latest_versions(name)[0].version) == 2

client.set_registered_model_alias(name, "best", "1")
assert int(client.get_model_version_by_alias(name, "best").version) == 1
client.set_registered_model_alias(name, "best", "2")
assert client.get_registered_model(name).aliases in ({"best": "2"}, {"best": 2})
assert client.get_model_version(name, "2").aliases == ["best"]
refused("INVALID_PARAMETER_VALUE", client.set_registered_model_alias, name, "latest", "1")
assert mlflow.pyfunc.load_model(f"models:/{name}@best").predict([1.0]) == [2.0]
assert mlflow.pyfunc.load_model(f"models:/{name}/1").predict([1.0]) == [2.0]
client.delete_registered_model_alias(name, "best")
refused("INVALID_PARAMETER_VALUE", client.get_model_version_by_alias, name, "best")

copied = client.copy_model_version(f"models:/{name}/1", "copy")
assert int(copied.version) == 1
assert copied.name == "copy"
assert mlflow.pyfunc.load_model("models:/copy/1").predict([1.0]) == [2.0]
assert "alias" in refused("NOT_IMPLEMENTED", client.transition_model_version_stage, name, "1", "Production")
refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, name, "9")
client.rename_registered_model(name, "costs")
assert [m.name for m in client.search_registered_models(order_by=["name ASC"])] == ["copy", "costs"]
assert [m.name for m in client.search_registered_models("name ILIKE 'COST%'")] == ["costs"]
assert "character" in refused("INVALID_PARAMETER_VALUE", client.search_registered_models, "name = ")
client.delete_model_version("costs", "1")
refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, "costs", "1")
client.delete_registered_model("costs")
assert [m.name for m in client.search_registered_models()] == ["copy"]
assert "Prompts" in refused("NOT_IMPLEMENTED", mlflow.genai.register_prompt, "p", "Hello {{name}}")
