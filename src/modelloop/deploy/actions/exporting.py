"""An endpoint for another platform: what answers now, as files. Nothing here changes a fact."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import version as installed_version
from urllib.parse import parse_qs, urlsplit

from ...ground.core.errors import InvalidInput, NotFound
from ...ground.store.context import Context
from ...register import manifest
from ..exports.kserve import kserve
from ..exports.kubernetes import kubernetes
from ..exports.oci import oci
from ..exports.ray_serve import ray_serve
from ..exports.records import Carried, Files, Platform, Wish
from ..records import Arm, Route
from .following import routing

_MAKERS = {
    Platform.KUBERNETES: kubernetes,
    Platform.KSERVE: kserve,
    Platform.RAY_SERVE: ray_serve,
    Platform.OCI: oci,
}
_ELSEWHERE = ("s3", "gs", "az")
_SECRETS = ("secret", "access_key", "account_key", "token", "password", "sas")
RUNTIME = "runtime.json"


def export_deployment(ctx: Context, endpoint: str, platform: Platform, wish: Wish) -> Files:
    """Return the files that deploy what answers at `endpoint` now; the same routing table gives the same bytes."""
    _check(wish)
    carried = carry(ctx, endpoint)
    if wish.store is None or platform is not Platform.KUBERNETES:
        _check_alone(ctx, carried, platform)
    return _MAKERS[platform](carried, wish)


def carry(ctx: Context, endpoint: str) -> Carried:
    """Return the endpoint's route with every byte of its packages; raises NotFound."""
    table = routing(ctx)
    route = next((route for route in table.routes if route.endpoint == endpoint), None)
    if route is None:
        names = [route.endpoint for route in table.routes]
        close = get_close_matches(endpoint, names, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(names) or 'none yet'}."
        raise NotFound(f"Nothing answers at an endpoint {endpoint[:80]!r}.", hint=hint)
    content: dict[str, bytes] = {}
    made_of: dict[Arm, tuple[str, ...]] = {}
    for arm in _arms(route):
        package = manifest.open_package(ctx.blobs, arm.package)
        digests = tuple(sorted({arm.package, *package.files.values()}))
        made_of[arm] = digests
        content |= {digest: ctx.blobs.get(digest) for digest in digests if digest not in content}
    return Carried(endpoint, replace(table, routes=(route,)), content, made_of, installed_version("modelloop"))


def _arms(route: Route) -> list[Arm]:
    held = (route.champion, route.challenger, *route.standby)
    return list(dict.fromkeys(arm for arm in held if arm is not None))


def _check(wish: Wish) -> None:
    parts = urlsplit(wish.store or "s3://any")
    keys = [name for name in parse_qs(parts.query) if any(word in name.lower() for word in _SECRETS)]
    if parts.scheme not in _ELSEWHERE or parts.username or parts.password or keys:
        raise InvalidInput(
            f"--store {parts.scheme}://{parts.hostname or ''}{parts.path} is no object store that another machine "
            "could use, or its URL holds keys.",
            hint="Use s3://BUCKET/PREFIX, gs://BUCKET or az://CONTAINER; keys come from the environment.",
        )
    if not 1 <= wish.least <= wish.most <= 1000:
        raise InvalidInput(
            f"{wish.least} to {wish.most} replicas cannot be.", hint="Expected 1 <= --least <= --most <= 1000."
        )


def _check_alone(ctx: Context, carried: Carried, platform: Platform) -> None:
    """Raise where a gateway could not answer with what the export carries."""
    (route,) = carried.table.routes
    if route.features:
        raise InvalidInput(
            f"{carried.endpoint} looks up online tables, which live in the object store.",
            hint="Export it as kubernetes with --store: its gateways follow control.",
        )
    if platform is Platform.RAY_SERVE:
        return  # its environment is the caller's
    for arm in _arms(route):
        if RUNTIME in manifest.open_package(ctx.blobs, arm.package).files:
            raise InvalidInput(
                f"{arm.version} does not answer by an ONNX graph: the image would lack its libraries.",
                hint="Build an image of your own with them, and export as kubernetes with --store and --image.",
            )
