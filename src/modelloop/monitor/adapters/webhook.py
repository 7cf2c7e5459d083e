"""Post an alert as JSON to an address that may be called: never one of our own network unless settings say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from ...ground.core.errors import AddressRefused
from ...ground.store.outward import Unresolved, outward

TIMEOUT = 5.0
ALLOW_PRIVATE = "MODELLOOP_ALLOW_PRIVATE_URLS"


def post(url: str, body: Mapping[str, Any], *, key: str, environ: Mapping[str, str]) -> None:
    """Send once; raises AddressRefused or httpx.HTTPError. `key` lets the receiver drop what came twice.

    The connection goes to the very address that was checked, and redirects are not followed: a name that resolves anew,
    or a redirect, cannot lead inside.
    """
    hint = f"Set {ALLOW_PRIVATE}=1 where alerts may go to your own network."
    try:
        place = outward(url, private=environ.get(ALLOW_PRIVATE) == "1", hint=hint)
    except Unresolved as error:
        raise AddressRefused(f"The webhook is not to be reached: {error}.") from error
    with httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
        answer = client.post(
            place.target,
            json=dict(body),
            headers={"Host": place.host, "Idempotency-Key": key},
            extensions={"sni_hostname": place.name},
        )
        answer.raise_for_status()
