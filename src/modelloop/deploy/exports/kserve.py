"""KServe: a ServingRuntime that is our gateway, and an InferenceService with the versions of the route.

A canary is told as `spec.canary` (KServe 0.20 and later). KServe has no shadow and no stickiness, and nobody there
compares the two: its README says what is lost.
"""

from __future__ import annotations

from typing import Any

from ...ground.core.errors import InvalidInput
from ..records import Arm, Route, Stage
from .layout import below, folder_of
from .plain_yaml import to_yaml
from .pod import container, gateway_args, volumes
from .records import Carried, Files, Wish

RUNTIME = "modelloop-gateway"
FORMAT = "modelloop"

_README = """\
# {endpoint} on KServe

Written by `modelloop deployment export {endpoint} --as kserve`: generation {generation} of the routing table.

1. Push an image of the gateway, and write it into manifests/servingruntime.yaml: the `oci` export builds one.
2. Upload each folder of `models/` to {storage}.
3. `kubectl apply -f manifests`

Ask at /v2/models/{endpoint}/infer: the Open Inference Protocol v2, which is what `protocolVersion: v2` says.

{traffic}

What stays behind: callers do not stick to one version, the versions are not compared, and nothing is rolled back by
itself. Where that matters, run the gateways with `--as kubernetes --store ...`: they are steered by control.
"""


def kserve(carried: Carried, wish: Wish) -> Files:
    """Return the manifests, and one folder a version to upload."""
    if wish.store is None:
        raise InvalidInput(
            "KServe fetches models from a storage of yours.", hint="Say where: --store s3://BUCKET/PREFIX."
        )
    (route,) = carried.table.routes
    arms = [route.champion, *((route.challenger,) if _canary(route) and route.challenger else ())]
    files: dict[str, bytes] = {}
    for arm in arms:
        files |= below(f"models/{_number(arm)}", folder_of(carried, arm))
    return {
        "README.md": _readme(carried, wish, route),
        "manifests/servingruntime.yaml": to_yaml(_runtime(carried, wish)),
        "manifests/inferenceservice.yaml": to_yaml(_service(carried, wish, route)),
        **files,
    }


def _runtime(carried: Carried, wish: Wish) -> dict[str, Any]:
    args = gateway_args("file:///mnt/models", own_state=False)
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": RUNTIME},
        "spec": {
            "supportedModelFormats": [{"name": FORMAT, "version": "1", "autoSelect": True}],
            "protocolVersions": ["v2"],
            "multiModel": False,
            "containers": [container("kserve-container", carried.image(wish), args)],
            "volumes": volumes(wish),
        },
    }


def _service(carried: Carried, wish: Wish, route: Route) -> dict[str, Any]:
    spec: dict[str, Any] = {"predictor": _predictor(wish, route.champion)}
    if _canary(route) and route.challenger is not None:
        canary = {"predictor": _predictor(wish, route.challenger), "trafficPercent": round(100 * route.share)}
        spec["canary"] = [canary]
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": carried.name},
        "spec": spec,
    }


def _predictor(wish: Wish, arm: Arm) -> dict[str, Any]:
    return {
        "minReplicas": wish.least,
        "maxReplicas": wish.most,
        "scaleMetric": "cpu",
        "scaleTarget": 70,
        "timeout": 30,
        "model": {
            "modelFormat": {"name": FORMAT, "version": "1"},
            "protocolVersion": "v2",
            "runtime": RUNTIME,
            "storageUri": f"{(wish.store or '').rstrip('/')}/{_number(arm)}",
        },
    }


def _canary(route: Route) -> bool:
    return route.challenger is not None and route.stage in (Stage.CANARY, Stage.TEST)


def _number(arm: Arm) -> str:
    return arm.version.rpartition(":")[2]


def _readme(carried: Carried, wish: Wish, route: Route) -> bytes:
    if _canary(route) and route.challenger is not None:
        share = round(100 * route.share)
        traffic = f"{route.challenger.version} gets {share} % of the requests, {route.champion.version} the others."
    elif route.challenger is not None:
        traffic = f"{route.champion.version} answers. {route.challenger.version} is in its {route.stage}: left out."
    else:
        traffic = f"{route.champion.version} answers."
    told = {"endpoint": carried.endpoint, "generation": carried.table.generation, "storage": wish.store}
    return _README.format(**told, traffic=traffic).encode()
