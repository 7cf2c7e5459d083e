"""Start one peer: `python peer.py NAME KIND PORT FOLDER`. Runs until it is ended; whoever started it ends the group."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


def mlflow(kind, port, folder):
    """`mlflow models serve`, one worker."""
    import mlflow.sklearn
    from data import fitted

    target = folder / "model"
    trusted = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
    mlflow.sklearn.save_model(fitted(kind), target, pyfunc_predict_fn="predict_proba", skops_trusted_types=trusted)
    command = ["mlflow", "models", "serve", "-m", str(target), "-p", str(port), "--env-manager", "local", "-w", "1"]
    _become(command)


def bentoml(kind, port, folder):
    """A service class with an ndarray API."""
    (folder / "service.py").write_text(
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "import bentoml, numpy as np\nfrom data import fitted\n"
        "@bentoml.service(workers=1)\nclass Svc:\n"
        f"    def __init__(self): self.model = fitted({kind!r})\n"
        "    @bentoml.api\n"
        "    def predict(self, x: np.ndarray) -> np.ndarray: return self.model.predict_proba(x)[:, 1]\n"
    )
    os.chdir(folder)
    _become(["bentoml", "serve", "service:Svc", "--port", str(port), "--host", "127.0.0.1"])


def litserve(kind, port, folder):
    """A LitAPI with one worker."""
    (folder / "service.py").write_text(
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "import litserve, numpy as np\nfrom data import fitted\n"
        "class Api(litserve.LitAPI):\n"
        f"    def setup(self, device): self.model = fitted({kind!r})\n"
        "    def decode_request(self, request): return np.asarray(request['x'], dtype=np.float32)\n"
        "    def predict(self, x): return self.model.predict_proba(x)[:, 1]\n"
        "    def encode_response(self, output): return {'y': output.tolist()}\n"
        "if __name__ == '__main__':\n"
        "    server = litserve.LitServer(Api(), accelerator='cpu', workers_per_device=1)\n"
        f"    server.run(port={port}, host='127.0.0.1', generate_client_file=False, log_level='error')\n"
    )
    os.chdir(folder)
    _become(["python", "service.py"])


def mlserver(kind, port, folder):
    """The scikit-learn runtime, inference in the server's own process (its fastest way for small models)."""
    import joblib
    from data import fitted

    joblib.dump(fitted(kind), folder / "model.joblib")
    settings = {"parallel_workers": 0, "http_port": port, "grpc_port": port + 1, "host": "127.0.0.1", "debug": False}
    settings["metrics_port"] = port + 2
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./model.joblib"}}
    (folder / "model-settings.json").write_text(json.dumps(model))
    _become(["mlserver", "start", str(folder)])


def kserve(kind, port, folder):
    """The SDK's ModelServer with the v1 protocol, its fastest."""
    import kserve
    import numpy as np
    from data import fitted

    class Served(kserve.Model):
        def __init__(self):
            super().__init__("m")
            self.model = fitted(kind)
            self.ready = True

        def predict(self, payload, headers=None):
            found = self.model.predict_proba(np.asarray(payload["instances"], dtype=np.float32))[:, 1]
            return {"predictions": found.tolist()}

    kserve.ModelServer(http_port=port, workers=1, enable_grpc=False, access_log_format=None).start([Served()])


def pytriton(kind, port, folder):
    """Triton through its Python backend, the model in ONNX Runtime."""
    import numpy as np
    import onnxruntime
    from pytriton.decorators import batch
    from pytriton.model_config import ModelConfig, Tensor
    from pytriton.triton import Triton, TritonConfig

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    feed, out = session.get_inputs()[0].name, session.get_outputs()[0].name

    @batch
    def infer(x):
        return {"y": np.ascontiguousarray(session.run([out], {feed: x})[0].reshape(len(x), -1)[:, -1:])}

    here = {"http_address": "127.0.0.1", "grpc_address": "127.0.0.1", "metrics_address": "127.0.0.1"}
    config = TritonConfig(http_port=port, grpc_port=port + 1, metrics_port=port + 2, **here)
    with Triton(config=config, workspace=folder / "triton") as triton:
        inputs = [Tensor(name="x", dtype=np.float32, shape=(30,))]
        outputs = [Tensor(name="y", dtype=np.float32, shape=(1,))]
        triton.bind("m", infer, inputs=inputs, outputs=outputs, config=ModelConfig(max_batch_size=128))
        triton.serve()


def ray(kind, port, folder):
    """Ray Serve with HAProxy in throughput mode, its fastest. Everything of it listens on loopback."""
    import ray as core
    from data import fitted
    from ray import serve

    @serve.deployment(ray_actor_options={"num_cpus": 0.5}, max_ongoing_requests=64)
    class Served:
        def __init__(self):
            self.model = fitted(kind)

        async def __call__(self, request):
            import numpy as np

            x = np.asarray((await request.json())["x"], dtype=np.float32)
            return {"y": self.model.predict_proba(x)[:, 1].tolist()}

    core.init(
        include_dashboard=False,
        object_store_memory=150_000_000,
        runtime_env={"worker_process_setup_hook": _on_loopback},
        _node_ip_address="127.0.0.1",
        _temp_dir=str(folder),
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Served.bind(), blocking=True)


def _on_loopback():
    """Bind to loopback what Ray and its HAProxy bind to all interfaces, whatever they are told."""
    from ray.serve._private import haproxy_templates

    for name, text in list(vars(haproxy_templates).items()):
        if name.isupper():
            setattr(
                haproxy_templates, name, text.replace("bind :", "bind 127.0.0.1:").replace("bind *:", "bind 127.0.0.1:")
            )
    from ray.serve._private import replica

    bind = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: bind(server, address.replace("[::]", "127.0.0.1"))


def _become(command):
    found = Path(sys.executable).parent / command[0]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    sys.exit(subprocess.call([str(found), *command[1:]], env=environment))


if __name__ == "__main__":
    name, kind, port, folder = sys.argv[1:5]
    Path(folder).mkdir(parents=True, exist_ok=True)
    globals()[name](kind, int(port), Path(folder))
