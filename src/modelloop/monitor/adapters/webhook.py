"""Post an alert as JSON to an address that may be called: never one of our own network unless settings say so."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from ...ground.core.errors import AddressRefused

TIMEOUT = 5.0
ALLOW_PRIVATE = "MODELLOOP_ALLOW_PRIVATE_URLS"


def post(url: str, body: Mapping[str, Any], *, key: str, environ: Mapping[str, str]) -> None:
    """Send once; raises AddressRefused or httpx.HTTPError. `key` lets the receiver drop what came twice.

    The connection goes to the very address that was checked, and redirects are not followed: a name that resolves anew,
    or a redirect, cannot lead inside.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefused("The webhook's address is no http or https URL.")
    address = _checked(parts.hostname, private=environ.get(ALLOW_PRIVATE) == "1")
    literal = f"[{address}]" if ":" in address else address
    place = literal if parts.port is None else f"{literal}:{parts.port}"
    target = urlunsplit((parts.scheme, place, parts.path or "/", parts.query, ""))
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    with httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
        answer = client.post(
            target,
            json=dict(body),
            headers={"Host": host, "Idempotency-Key": key},
            extensions={"sni_hostname": parts.hostname},
        )
        answer.raise_for_status()


def _checked(host: str, *, private: bool) -> str:
    """Return an address of `host`; raise AddressRefused if any of its addresses is not public."""
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"The webhook's host {host[:80]!r} cannot be resolved: {error}") from error
    for text in found:
        if not private and not ipaddress.ip_address(text.partition("%")[0]).is_global:
            raise AddressRefused(
                f"The webhook's host {host[:80]!r} is {text}, which is not a public address.",
                hint=f"Set {ALLOW_PRIVATE}=1 where alerts may go to your own network.",
            )
    return found[0]
