"""Runs in MLflow's own environment: autologging for scikit-learn, log_model, load_model, the logged model's metrics."""

import mlflow
import numpy as np
import sklearn.metrics
from mlflow import MlflowClient
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

client = MlflowClient()
x, y = make_classification(200, 5, random_state=0)
mlflow.set_experiment("sklearn")
mlflow.sklearn.autolog()

with mlflow.start_run() as run:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(x, y)
    sklearn.metrics.f1_score(y, model.predict(x))
    model.score(x, y)
found = client.get_run(run.info.run_id)
assert found.data.params["logisticregression__C"] == "0.5"
assert {"training_accuracy_score", "training_roc_auc"} <= set(found.data.metrics), found.data.metrics
assert found.data.tags["estimator_name"] == "Pipeline"
assert any(name.startswith("f1_score") for name in found.data.metrics), found.data.metrics
assert [i.dataset.name for i in found.inputs.dataset_inputs]
assert found.outputs.model_outputs, "log_model makes a logged model, which is the run's output"
logged = mlflow.get_logged_model(found.outputs.model_outputs[0].model_id)
assert str(logged.status) == "LoggedModelStatus.READY" or logged.status.name == "READY"
assert logged.source_run_id == run.info.run_id
assert logged.params["logisticregression__C"] == "0.5"
assert {m.key for m in logged.metrics} >= {"training_accuracy_score"}
loaded = mlflow.pyfunc.load_model(logged.model_uri)
assert np.array_equal(loaded.predict(x), model.predict(x))
by_run = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
assert np.array_equal(by_run.predict(x), model.predict(x))
searched = mlflow.search_logged_models(
    experiment_ids=[found.info.experiment_id],
    filter_string="metrics.training_accuracy_score > 0.5",
    order_by=[{"field_name": "metrics.training_accuracy_score", "ascending": False}],
    output_format="list",
)
assert [m.model_id for m in searched] == [logged.model_id]

with mlflow.start_run() as search:
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(x, y)
children = client.search_runs(
    [found.info.experiment_id], f"tags.`mlflow.parentRunId` = '{search.info.run_id}'", order_by=["params.C ASC"]
)
assert [r.data.params["C"] for r in children] == ["0.1", "1.0"]
assert "cv_results.csv" in [f.path for f in client.list_artifacts(search.info.run_id)]

mlflow.sklearn.autolog(disable=True)
plain = LogisticRegression().fit(x, y)
with mlflow.start_run() as run:
    info = mlflow.sklearn.log_model(
        plain, name="plain", input_example=x[:3], registered_model_name="registered", params={"a": "b"}, tags={"t": "u"}
    )
    mlflow.log_metric("acc", 0.75, model_id=info.model_id, dataset=mlflow.data.from_numpy(x, name="held out"))
assert int(info.registered_model_version) == 1
logged = client.get_logged_model(info.model_id)
assert logged.tags["t"] == "u"
assert logged.params["a"] == "b"
assert [(m.key, m.value, m.dataset_name) for m in logged.metrics] == [("acc", 0.75, "held out")]
version = client.get_model_version("registered", 1)
assert version.status == "READY"
assert version.run_id == run.info.run_id
loaded = mlflow.pyfunc.load_model("models:/registered/1")
assert np.array_equal(loaded.predict(x), plain.predict(x))
assert mlflow.models.get_model_info("models:/registered/1").signature is not None
again = mlflow.register_model(info.model_uri, "registered", tags={"k": "v"})
assert int(again.version) == 2
assert again.tags == {"k": "v"}
client.set_registered_model_alias("registered", "best", 2)
assert np.array_equal(mlflow.sklearn.load_model("models:/registered@best").predict(x), plain.predict(x))
assert np.array_equal(mlflow.sklearn.load_model("models:/registered/latest").predict(x), plain.predict(x))

# the bytes of a version are its own: the run and the logged model may go
client.delete_run(run.info.run_id)
client.delete_logged_model(info.model_id)
assert np.array_equal(mlflow.pyfunc.load_model("models:/registered/1").predict(x), plain.predict(x))
