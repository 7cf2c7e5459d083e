"""Runs in MLflow's own environment: autologging for torch by Lightning, and a plain torch model."""

import logging
import warnings

import lightning
import mlflow
import numpy as np
import torch
from mlflow import MlflowClient
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
client = MlflowClient()
torch.manual_seed(0)
torch.set_num_threads(1)


class Net(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, x):
        return self.layer(x)

    def training_step(self, batch):
        x, y = batch
        loss = torch.nn.functional.mse_loss(self(x), y)
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


x = torch.randn(64, 3)
data = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16)
mlflow.set_experiment("torch")
mlflow.pytorch.autolog(log_every_n_epoch=1)
net = Net()
trainer = lightning.Trainer(
    max_epochs=3, accelerator="cpu", enable_progress_bar=False, enable_model_summary=True, logger=False,
    enable_checkpointing=False, log_every_n_steps=1,
)  # fmt: skip
with mlflow.start_run() as run:
    trainer.fit(net, data)
found = client.get_run(run.info.run_id)
assert found.data.params["optimizer_name"] == "SGD", found.data.params
losses = [name for name in found.data.metrics if "train_loss" in name]
assert losses, found.data.metrics
assert len(client.get_metric_history(run.info.run_id, losses[0])) >= 3
assert found.outputs.model_outputs
loaded = mlflow.pytorch.load_model(f"models:/{found.outputs.model_outputs[0].model_id}")
with torch.no_grad():
    assert torch.allclose(loaded(x), net(x))

mlflow.pytorch.autolog(disable=True)
with mlflow.start_run():
    info = mlflow.pytorch.log_model(torch.nn.Linear(3, 2), name="plain", input_example=np.zeros((1, 3), np.float32))
model = mlflow.pyfunc.load_model(info.model_uri)
assert model.predict(np.zeros((1, 3), np.float32)).shape == (1, 2)
