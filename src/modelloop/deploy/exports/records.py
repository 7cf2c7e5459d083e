"""Nouns of exports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from ..records import Arm, RoutingTable

Files: TypeAlias = Mapping[str, bytes]
"""Path below the export's folder -> content."""


class Platform(StrEnum):
    """Where a deployment goes."""

    KUBERNETES = "kubernetes"
    KSERVE = "kserve"
    RAY_SERVE = "ray-serve"
    OCI = "oci"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the route does not say."""

    image: str | None = None
    """The gateway's image; left out: the one that the `oci` export of the same endpoint builds."""
    store: str | None = None
    """Kubernetes: URL of the object store whose routing table gateways follow; left out: the image carries table and
    packages. KServe: URL of the place to which the folder `models` is uploaded."""
    claim: str | None = None
    """Kubernetes: the PersistentVolumeClaim that takes the prediction log; left out: it goes with the pod."""
    least: int = 2
    most: int = 10
    """Replicas."""


@dataclass(frozen=True, slots=True)
class Carried:
    """An endpoint with everything that answering it takes."""

    endpoint: str
    table: RoutingTable
    """With this endpoint only."""
    content: Mapping[str, bytes]
    """Hash -> bytes, of all versions."""
    of: Mapping[Arm, tuple[str, ...]]
    """Version -> the hashes that it is made of."""
    release: str
    """Of Modelloop."""

    @property
    def name(self) -> str:
        """Return the name in the form that Kubernetes takes."""
        return self.endpoint.replace("_", "-").rstrip("-")

    def image(self, wish: Wish) -> str:
        """Return the image that is run."""
        return wish.image or f"modelloop/{self.name}:{self.release}-{self.table.generation}"
