"""Runs in MLflow's own environment: autologging for LightGBM."""

import lightgbm
import mlflow
import numpy as np
from mlflow import MlflowClient

client = MlflowClient()
random = np.random.default_rng(0)
x = random.normal(size=(300, 4))
y = (x[:, 0] + random.normal(size=300) > 0).astype(int)
mlflow.set_experiment("lightgbm")
mlflow.lightgbm.autolog()
train = lightgbm.Dataset(x[:200], y[:200])
held_out = lightgbm.Dataset(x[200:], y[200:], reference=train)
options = {"objective": "binary", "metric": "auc", "verbose": -1, "num_threads": 1}
with mlflow.start_run() as run:
    booster = lightgbm.train(options, train, 12, valid_sets=[train, held_out], valid_names=["train", "held out"])
found = client.get_run(run.info.run_id)
assert found.data.params["num_boost_round"] == "12"
assert found.data.params["objective"] == "binary"
names = [name for name in found.data.metrics if "auc" in name]
assert len(names) == 2, found.data.metrics
assert all(len(client.get_metric_history(run.info.run_id, name)) == 12 for name in names)
files = [f.path for f in client.list_artifacts(run.info.run_id)]
assert any("feature_importance" in name for name in files), files
assert found.outputs.model_outputs
model = mlflow.pyfunc.load_model(f"models:/{found.outputs.model_outputs[0].model_id}")
assert np.allclose(model.predict(x), booster.predict(x))
