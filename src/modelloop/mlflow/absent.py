"""Parts of MLflow that are not here: each is answered by 501 and a sentence, in the shape that clients read."""

from __future__ import annotations

from ..ground.core.rights import Right
from .routing import FILES, PLACES, PLACES_3, ROOT, Route

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HERE = "not part of Modelloop's MLflow-compatible API"
_PARTS = (
    ("traces", f"Traces are {_HERE}. Metrics, parameters, tags, artifacts and models are."),
    ("unified-traces", f"Traces are {_HERE}."),
    ("get-online-trace-details", f"Traces are {_HERE}."),
    ("get-trace-artifact", f"Traces are {_HERE}."),
    ("webhooks", f"Webhooks are {_HERE}. Alerts are set in modelloop.toml."),
    ("gateway-proxy", f"The gateway to language models is {_HERE}."),
    ("upload-artifact", f"This address of MLflow's page is {_HERE}: upload through mlflow-artifacts."),
    ("runs/create-promptlab-run", f"Prompts are {_HERE}."),
    ("artifacts/presigned-upload-url", f"Presigned uploads are {_HERE}: files go through the server."),
    ("artifacts/presigned-download-url", f"Presigned downloads are {_HERE}: files come through the server."),
)
_PARTS_3 = (
    ("traces", f"Traces are {_HERE}. Metrics, parameters, tags, artifacts and models are."),
    ("get-trace-artifact", f"Traces are {_HERE}."),
    ("scorers", f"Scorers are {_HERE}. Modelloop evaluates by the gates of modelloop.toml."),
    ("datasets", f"Evaluation datasets are {_HERE}. Datasets that runs log are."),
    ("gateway", f"The gateway to language models is {_HERE}."),
    ("issues", f"Issues are {_HERE}."),
    ("label-schemas", f"Labels are {_HERE}."),
    ("review-queues", f"Labels are {_HERE}."),
    ("prompt-optimization", f"Prompts are {_HERE}."),
    ("workspaces", f"Workspaces are {_HERE}: a control process serves one project."),
    ("jobs", f"Jobs are {_HERE}."),
    ("ui-telemetry", f"Telemetry is {_HERE}."),
)
MULTIPART = "Multipart upload is not supported for the current artifact repository"
"""The client goes on with a plain upload where an answer begins with just these words."""
_MULTIPART = f"{MULTIPART}: files are streamed through the server, in one request each."


def _both(path: str, sentence: str, places: tuple[str, ...]) -> list[Route]:
    """Return the routes of an address and of all below it, for each method."""
    below = (path, f"{path}/{{*}}")
    return [Route(method, at, Right.READ, places=places, absent=sentence) for at in below for method in METHODS]


ROUTES = (
    *(route for path, sentence in _PARTS for route in _both(path, sentence, PLACES)),
    *(route for path, sentence in _PARTS_3 for route in _both(path, sentence, PLACES_3)),
    *_both("v1/traces", f"Traces are {_HERE}.", ROOT),
    *(
        Route("POST", f"mpu/{step}/{{*}}", Right.RUN, places=FILES, absent=_MULTIPART)
        for step in ("create", "complete", "abort")
    ),
    *(
        Route("POST", f"mpu/{step}", Right.RUN, places=FILES, absent=_MULTIPART)
        for step in ("create", "complete", "abort")
    ),
    Route("GET", "presigned/{*}", Right.READ, places=FILES, absent=f"Presigned downloads are {_HERE}."),
)
