"""KServe: a ServingRuntime that is our gateway, and an InferenceService with the versions of the route.

A canary is told as `spec.canary`, which KServe takes in its Standard mode only. KServe has no shadow and no stickiness,
and nobody there compares the two: the export's README says what is lost.
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
CONTAINER = "kserve-container"
"""The one of a runtime that KServe lets a predictor change."""

_README = """\
# {endpoint} on KServe

Written by `modelloop deployment export {endpoint} --as kserve`: generation {generation} of the routing table.

1. Push an image of the gateway, and write it into manifests/servingruntime.yaml: the `oci` export builds one.
2. Upload each folder of `models/` to {storage}.
3. `kubectl apply -f manifests`

Ask at /v2/models/{endpoint}/infer: the Open Inference Protocol v2, which is what `protocolVersion: v2` says.
The service runs in KServe's Standard mode: Deployments and an autoscaler by CPU, no Knative.

{traffic}

What stays behind: callers do not stick to one version, the versions are not compared, and nothing is rolled back by
itself. Where that matters, run the gateways with `--as kubernetes --store ...`: they are steered by control.
"""

_SPLIT = """\
{new} gets {share} % of the requests, {old} the others, by weights of an HTTPRoute: KServe needs its
Gateway API ingress (`enableGatewayApi`) and a release after 0.20.0, which starts the canary but sends it nothing. Once
it is promoted, export again: `spec.canary` goes, and `predictor.name` becomes the canary's, so that its pods go on."""


def kserve(carried: Carried, wish: Wish) -> Files:
    """Return the manifests, and one folder a version to upload."""
    if wish.store is None:
        raise InvalidInput(
            "KServe fetches models from a storage of yours.", hint="Say where: --store s3://BUCKET/PREFIX."
        )
    if "?" in wish.store:
        raise InvalidInput(
            "KServe knows where a storage is and how to get in from secrets of its own, not from options of the URL.",
            hint=f"Say --store {wish.store.partition('?')[0]}.",
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
            "containers": [container(CONTAINER, carried.image(wish), args)],
            "volumes": volumes(wish),
        },
    }


def _service(carried: Carried, wish: Wish, route: Route) -> dict[str, Any]:
    scaled = {"minReplicas": wish.least, "maxReplicas": wish.most, "scaleMetric": "cpu", "scaleTarget": 70}
    spec: dict[str, Any] = {"predictor": _predictor(wish, route.champion) | scaled}
    if _canary(route) and route.challenger is not None:
        # its replicas are KServe's to choose: fixed, by its share of the other's
        predictor = _predictor(wish, route.challenger)
        predictor["model"]["name"] = CONTAINER  # the CRD wants it here, and a webhook refuses it in the other predictor
        spec["canary"] = [{"predictor": predictor, "trafficPercent": round(100 * route.share)}]
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": carried.name, "annotations": {"serving.kserve.io/deploymentMode": "Standard"}},
        "spec": spec,
    }


def _predictor(wish: Wish, arm: Arm) -> dict[str, Any]:
    return {
        # a name a version: what was a canary's is the predictor's once promoted, and nothing is started again
        "name": f"v{_number(arm)}",
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
        names = {"new": route.challenger.version, "old": route.champion.version, "share": share}
        traffic = _SPLIT.format(**names)
    elif route.challenger is not None:
        traffic = f"{route.champion.version} answers. {route.challenger.version} is in its {route.stage}: left out."
    else:
        traffic = f"{route.champion.version} answers."
    told = {"endpoint": carried.endpoint, "generation": carried.table.generation, "storage": wish.store}
    return _README.format(**told, traffic=traffic).encode()
