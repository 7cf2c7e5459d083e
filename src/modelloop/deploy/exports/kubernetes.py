"""Plain Kubernetes: what a cluster needs to run an endpoint's gateways, and to let their number follow the work."""

from __future__ import annotations

from typing import Any

from .plain_yaml import to_yaml
from .pod import PORT, USER, container, gateway_args, store_port, volumes
from .records import Carried, Files, Wish

BUSY = 0.7
"""Share of a core that an event loop may take before another gateway is started."""
CARRIED = "file:///deployment"
"""Where the image of the `oci` export has its table and packages."""

_README = """\
# {endpoint} on Kubernetes

Written by `modelloop deployment export {endpoint} --as kubernetes`: generation {generation} of the routing table.

    kubectl apply -f manifests

{routing}

{log}

The number of gateways follows the CPU ({least} to {most}). Better is the gateways' own measure, the share of a core
that the event loop takes (`modelloop_gateway_capacity_used_ratio` at /metrics): a gateway at 1 answers as much as it
ever will, whatever its CPU limit. `alternatives/` has it for the Prometheus adapter (hpa-by-capacity.yaml) and for KEDA
(keda.yaml): apply one of them in place of manifests/horizontalpodautoscaler.yaml, never both.

Gateways do not ask callers who they are: network-policy.yaml lets in pods of the same namespace that carry the label
`modelloop.dev/may-ask: {name}`, and whatever scrapes /metrics in a namespace labelled
`modelloop.dev/monitoring: "yes"`. Where your ingress stands elsewhere, add it there, with authentication.
"""
_FOLLOWS = """\
The gateways follow the routing table in the object store (config-map.yaml), so rollouts go on being steered by control.
Keys of the store come from the Secret `{name}-store` (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...), which you make:

    kubectl create secret generic {name}-store --from-env-file=keys-of-the-store.env"""
_CARRIES = """\
The image carries routing table and packages: build it from `modelloop deployment export {endpoint} --as oci`, push it,
and write its digest into manifests/deployment.yaml. A new version is a new image; a canary within the table is answered
as it is here. With `--store s3://...` the gateways follow control instead."""
_LOG_GOES = """\
The prediction log lies in each pod's own volume and goes with the pod. `--claim NAME` mounts a ReadWriteMany volume
instead: mount it for the worker too, as the folder `predictions` of its MODELLOOP_HOME."""
_LOG_STAYS = "The prediction log is written to the claim `{claim}` (ReadWriteMany): mount it for the worker too."


def kubernetes(carried: Carried, wish: Wish) -> Files:
    """Return the manifests, one kind a file."""
    made = {
        "config-map": _config_map(carried, wish),
        "deployment": _deployment(carried, wish),
        "horizontalpodautoscaler": _autoscaler(carried, wish, _cpu()),
        "network-policy": _network_policy(carried, wish),
        "pod-disruption-budget": _budget(carried),
        "service": _service(carried),
    }
    files = {f"manifests/{name}.yaml": to_yaml(manifest) for name, manifest in made.items() if manifest}
    return {
        "README.md": _readme(carried, wish),
        **files,
        "alternatives/hpa-by-capacity.yaml": to_yaml(_autoscaler(carried, wish, _capacity())),
        "alternatives/keda.yaml": to_yaml(_keda(carried, wish)),
    }


def labels(name: str) -> dict[str, str]:
    """Return what marks everything of a deployment."""
    return {"app.kubernetes.io/name": "modelloop-gateway", "app.kubernetes.io/instance": name}


def _meta(carried: Carried, name: str | None = None) -> dict[str, Any]:
    return {"name": name or carried.name, "labels": labels(carried.name)}


def _config_map(carried: Carried, wish: Wish) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _meta(carried),
        "data": {"BLOBS_URL": wish.store or CARRIED},
    }


def _deployment(carried: Carried, wish: Wish) -> dict[str, Any]:
    gateway = container("gateway", carried.image(wish), gateway_args("$(BLOBS_URL)", own_state=wish.store is not None))
    gateway["envFrom"] = [{"configMapRef": {"name": carried.name}}]
    if wish.store is not None:
        gateway["envFrom"].append({"secretRef": {"name": f"{carried.name}-store"}})
    notes = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": "/metrics"}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(carried.name)},
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "fsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 30,
        "topologySpreadConstraints": [spread],
        "containers": [gateway],
        "volumes": volumes(wish),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(carried),
        "spec": {
            # no number of replicas: it is the autoscaler's
            "selector": {"matchLabels": labels(carried.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels(carried.name), "annotations": notes}, "spec": pod},
        },
    }


def _service(carried: Carried) -> dict[str, Any]:
    port = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(carried),
        "spec": {"type": "ClusterIP", "selector": labels(carried.name), "ports": [port]},
    }


def _cpu() -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": round(100 * BUSY)}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _capacity() -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": f"{round(1000 * BUSY)}m"}
    return {"type": "Pods", "pods": {"metric": {"name": "modelloop_gateway_capacity_used_ratio"}, "target": target}}


def _autoscaler(carried: Carried, wish: Wish, metric: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _meta(carried),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": carried.name},
            "minReplicas": wish.least,
            "maxReplicas": wish.most,
            "metrics": [metric],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }


def _keda(carried: Carried, wish: Wish) -> dict[str, Any]:
    query = f'sum(modelloop_gateway_capacity_used_ratio{{app_kubernetes_io_instance="{carried.name}"}})'
    trigger = {
        "type": "prometheus",
        "metadata": {
            "serverAddress": "http://prometheus-operated.monitoring.svc:9090",
            "query": query,
            "threshold": str(BUSY),
        },
    }
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": _meta(carried),
        "spec": {
            "scaleTargetRef": {"name": carried.name},
            "minReplicaCount": wish.least,
            "maxReplicaCount": wish.most,
            "triggers": [trigger],
        },
    }


def _budget(carried: Carried) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _meta(carried),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels(carried.name)}},
    }


def _network_policy(carried: Carried, wish: Wish) -> dict[str, Any]:
    asks = {"podSelector": {"matchLabels": {"modelloop.dev/may-ask": carried.name}}}
    scrapes = {"namespaceSelector": {"matchLabels": {"modelloop.dev/monitoring": "yes"}}}
    names = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    store = [] if wish.store is None else [names, {"ports": [{"port": store_port(wish.store), "protocol": "TCP"}]}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta(carried),
        "spec": {
            "podSelector": {"matchLabels": labels(carried.name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [asks, scrapes], "ports": [{"port": "http", "protocol": "TCP"}]}],
            "egress": store,
        },
    }


def _readme(carried: Carried, wish: Wish) -> bytes:
    told = {
        "endpoint": carried.endpoint,
        "name": carried.name,
        "generation": carried.table.generation,
        "claim": wish.claim,
        "least": wish.least,
        "most": wish.most,
    }
    routing = (_CARRIES if wish.store is None else _FOLLOWS).format(**told)
    log = (_LOG_GOES if wish.claim is None else _LOG_STAYS).format(**told)
    return _README.format(**told, routing=routing, log=log).encode()
