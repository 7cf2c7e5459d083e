"""Ray Serve: a module with an application, and its configuration. The replica answers with the gateway's own code."""

from __future__ import annotations

from .layout import below, folder
from .plain_yaml import to_yaml
from .records import Carried, Files, Wish

_APP = '''\
"""{endpoint} on Ray Serve: the Open Inference Protocol v2, answered by Modelloop's gateway code in each replica.

serve run serve_config.yaml            # from this folder; or: serve run {module}:app
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ray import serve
from starlette.requests import Request as Asked
from starlette.responses import Response as Told

from modelloop.deploy.exports.replica import Replica

HERE = Path(__file__).resolve().parent


@serve.deployment
class {kind}:
    """One replica: routing table, packages, checks and prediction log as in a gateway."""

    def __init__(self) -> None:
        log = os.environ.get("PREDICTION_LOG") or tempfile.mkdtemp(prefix="predictions-")
        name = serve.get_replica_context().replica_id.unique_id
        self.replica = Replica((HERE / "deployment").as_uri(), Path(log), name)

    async def __call__(self, asked: Asked) -> Told:
        """Answer one request."""
        path = asked.scope.get("root_path", "") and asked.scope["path"].removeprefix(asked.scope["root_path"])
        status, headers, body = await self.replica.answer(
            asked.method, path or asked.scope["path"], asked.scope["headers"], await asked.body()
        )
        told = Told(body, status_code=status)
        told.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
        return told

    def check_health(self) -> None:
        """Raise unless there is something to answer with."""
        self.replica.check()


app = {kind}.bind()
'''

_README = """\
# {endpoint} on Ray Serve

Written by `modelloop deployment export {endpoint} --as ray-serve`: generation {generation} of the routing table.

    pip install 'ray[serve]' 'modelloop[serve]=={release}'
    serve run serve_config.yaml

Ask at /v2/models/{endpoint}/infer, as at a gateway: the same checks, arms, answers and headers. Each replica keeps its
prediction log below PREDICTION_LOG (default: a folder of its own that goes with it). Replicas carry the table
in deployment/: a new generation is a new export and `serve deploy`. Of all ways to serve small models this costs the
most for a request; it is for models that need Ray's machines.

Each replica binds one port to all interfaces for pickled calls of other replicas; only the cluster's token keeps
others out (Ray 2.60): leave RAY_AUTH_MODE at `token`, and keep the cluster in a network of its own.
"""


def ray_serve(carried: Carried, wish: Wish) -> Files:
    """Return the application, its configuration and what it answers with."""
    module = f"{carried.endpoint.replace('-', '_')}_app"
    kind = "".join(part.title() for part in carried.name.split("-"))
    told = {
        "endpoint": carried.endpoint,
        "module": module,
        "kind": kind,
        "generation": carried.table.generation,
        "release": carried.release,
    }
    scaling = {"min_replicas": wish.least, "max_replicas": wish.most, "target_ongoing_requests": 8}
    deployment = {
        "name": kind,
        "max_ongoing_requests": 64,
        "autoscaling_config": scaling,
        "ray_actor_options": {"num_cpus": 1},
    }
    application = {
        "name": carried.name,
        "route_prefix": "/",
        "import_path": f"{module}:app",
        "deployments": [deployment],
    }
    config = {"http_options": {"host": "127.0.0.1", "port": 8000}, "applications": [application]}
    return {
        "README.md": _README.format(**told).encode(),
        f"{module}.py": _APP.format(**told).encode(),
        "serve_config.yaml": to_yaml(config),
        **below("deployment", folder(carried)),
    }
