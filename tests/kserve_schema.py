"""What KServe's two resources may hold, as far as our exports use them: a reduced JSON schema of our own.

Written from the facts of the CRDs of KServe (charts/kserve-crd, August 2026): names of fields, types, what is required,
bounds. Every object here is closed, so a misspelt field fails; containers and volumes are checked as parts of a pod by
kubernetes-validate.
"""

from __future__ import annotations

from typing import Any


def _closed(required: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": required or [], "additionalProperties": False}


_TEXT: dict[str, Any] = {"type": "string"}
_WHOLE: dict[str, Any] = {"type": "integer"}
_META = _closed(
    ["name"], name={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}, labels={"type": "object"}
)
_FORMAT = _closed(["name"], name=_TEXT, version=_TEXT)

_PREDICTOR = _closed(
    minReplicas=_WHOLE,
    maxReplicas=_WHOLE,
    scaleMetric={"enum": ["cpu", "memory", "concurrency", "rps"]},
    scaleTarget=_WHOLE,
    timeout=_WHOLE,
    model=_closed(["modelFormat"], modelFormat=_FORMAT, protocolVersion=_TEXT, runtime=_TEXT, storageUri=_TEXT),
)
_CANARY = _closed(
    ["predictor", "trafficPercent"],
    predictor=_PREDICTOR,
    trafficPercent={"type": "integer", "minimum": 0, "maximum": 100},
)

INFERENCE_SERVICE = _closed(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "serving.kserve.io/v1beta1"},
    kind={"const": "InferenceService"},
    metadata=_META,
    spec=_closed(["predictor"], predictor=_PREDICTOR, canary={"type": "array", "items": _CANARY}),
)
SERVING_RUNTIME = _closed(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "serving.kserve.io/v1alpha1"},
    kind={"const": "ServingRuntime"},
    metadata=_META,
    spec=_closed(
        ["containers"],
        supportedModelFormats={
            "type": "array",
            "items": _closed(
                ["name"],
                name=_TEXT,
                version=_TEXT,
                autoSelect={"type": "boolean"},
                priority={"type": "integer", "minimum": 1},
            ),
        },
        protocolVersions={"type": "array", "items": _TEXT},
        multiModel={"type": "boolean"},
        containers={"type": "array", "minItems": 1, "items": {"type": "object", "required": ["name"]}},
        volumes={"type": "array"},
    ),
)
