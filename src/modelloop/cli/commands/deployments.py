"""Commands about what answers at an endpoint: its way to other platforms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ...deploy.exports.records import Platform
from ..face import act
from ..options import PLAIN, Options

app = App(name="deployment", help="What answers at an endpoint, for other platforms: export.")


@app.command
def export(
    endpoint: str,
    /,
    *,
    as_: Annotated[Platform, Parameter(name="--as")],
    to: Path,
    image: str | None = None,
    store: str | None = None,
    claim: str | None = None,
    replicas: tuple[int, int] = (2, 10),
    face: Options = PLAIN,
) -> int:
    """Write what answers at an endpoint now as files for another platform: Kubernetes, KServe, Ray Serve, an image.

    The same routing table gives the same files. They hold no secret, and no path of this machine.

    Parameters
    ----------
    endpoint
        Its name in the project file.
    as_
        kubernetes: manifests. kserve: ServingRuntime and InferenceService. ray-serve: an application. oci: a context
        to build an image from, which the first two run.
    to
        A folder that is not there yet, or is empty.
    image
        The gateway's image, in place of the one that the oci export builds.
    store
        kubernetes: URL of the object store whose routing table gateways follow; left out: the image carries table and
        packages. kserve: URL of the place to which you upload the folder `models`.
    claim
        kubernetes, kserve: the PersistentVolumeClaim that takes the prediction log.
    replicas
        At least and at most so many gateways.
    """
    wish = {"image": image, "store": store, "claim": claim}
    return act("deployments:export", face, endpoint=endpoint, platform=as_, to=to, wish=wish, replicas=replicas)
