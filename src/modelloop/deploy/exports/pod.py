"""The gateway's container, as Kubernetes and KServe describe it alike."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from .records import Wish

PORT = 8080
USER = 10001
STATE = "/state"


def gateway_args(blobs: str, *, own_state: bool) -> list[str]:
    """Return the gateway's options; its name is the pod's."""
    more = ["--state", f"{STATE}/gateways"] if own_state else ["--no-report"]
    return [
        *("--blobs", blobs, "--predictions", f"{STATE}/predictions", *more, "--host", "0.0.0.0"),  # noqa: S104 - in its pod
        *("--allow-remote", "--port", str(PORT), "--id", "$(POD_NAME)", "--drain", "5"),
    ]


def container(name: str, image: str | None, args: list[str]) -> dict[str, Any]:
    """Return the container: nobody special, a file system that cannot be written, probes, limits, time to end."""
    return {
        "name": name,
        **({} if image is None else {"image": image}),
        "args": args,
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "PYTHONUNBUFFERED", "value": "1"},
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": _probe("/v2/health/ready", 1, 60),
        "readinessProbe": _probe("/v2/health/ready", 5, 2),
        "livenessProbe": _probe("/v2/health/live", 10, 3),
        # the service stops sending before the gateway stops listening
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
        "resources": {
            "requests": {"cpu": "500m", "memory": "256Mi"},
            "limits": {"memory": "1Gi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "state", "mountPath": STATE}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def volumes(wish: Wish) -> list[dict[str, Any]]:
    """Return what the container may write to."""
    claimed = {"persistentVolumeClaim": {"claimName": wish.claim}}
    free = {"emptyDir": {"sizeLimit": "2Gi"}}
    return [
        {"name": "state", **(claimed if wish.claim else free)},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]


def store_port(store: str) -> int:
    """Return the port at which the object store answers."""
    endpoint = parse_qs(urlsplit(store).query).get("endpoint", ["https://"])[0]
    parts = urlsplit(endpoint)
    return parts.port or (80 if parts.scheme == "http" else 443)


def _probe(path: str, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }
