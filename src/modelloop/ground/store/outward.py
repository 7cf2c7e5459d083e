"""Addresses that we are told to call: checked before, and called as they were checked."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from ..core.errors import AddressRefused


class Unresolved(OSError):
    """A host has no address now; it may have one later."""


@dataclass(frozen=True, slots=True)
class Outward:
    """Where to connect to, so that a name that resolves anew cannot lead elsewhere."""

    target: str
    """The URL with the checked address in place of the host."""
    host: str
    """For the header `Host`."""
    name: str
    """For TLS (server name)."""


def outward(url: str, *, private: bool, hint: str) -> Outward:
    """Return how to call a URL; raises AddressRefused unless it is http(s) and all addresses of its host are public.

    `private`: addresses of our own network are allowed; `hint` says how to allow them. Raises Unresolved.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefused(f"{url[:200]!r} is no http or https address.")
    address = _checked(parts.hostname, private=private, hint=hint)
    literal = f"[{address}]" if ":" in address else address
    place = literal if parts.port is None else f"{literal}:{parts.port}"
    target = urlunsplit((parts.scheme, place, parts.path or "/", parts.query, ""))
    return Outward(target, parts.netloc.rpartition("@")[2], parts.hostname)


def _checked(host: str, *, private: bool, hint: str) -> str:
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"the host {host[:80]!r} cannot be resolved ({error})") from None
    for text in found:
        one = ipaddress.ip_address(text.partition("%")[0])
        inner = getattr(one, "ipv4_mapped", None) or one
        if not private and not inner.is_global:
            raise AddressRefused(f"The host {host[:80]!r} is {text}, which is not a public address.", hint=hint)
    return found[0]
