"""Sockets: one of our own, one that several gateways share, or one that a supervisor holds and hands down.

Where several processes share a port, the system gives each new connection to one of them. A socket that is closed takes
the connections with it that wait in its queue; so a supervisor keeps the sockets open across restarts, and a caller
that comes in between waits a moment and is answered.
"""

from __future__ import annotations

import ipaddress
import os
import socket

from ...ground.core.errors import AddressRefused, InvalidInput

Hosts = frozenset[str] | None
"""The Host headers that are answered; None: any."""


def listen(host: str, port: int, *, remote: bool = False, share: bool = False) -> tuple[socket.socket, Hosts]:
    """Return a bound socket and the Host headers it answers to. `share`: others of this user may bind it as well."""
    try:
        family, _, _, _, place = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        _check(str(place[0]), remote=remote)
        listener = bound(family, place, share=share)
    except OSError as error:
        raise AddressRefused(f"Cannot listen at {host}:{port}: {error}.", hint="Choose another --port.") from error
    return listener, _names(host, listener, remote=remote)


def inherit(number: int, host: str, *, remote: bool = False) -> tuple[socket.socket, Hosts]:
    """Return the socket that the process which started this one holds open for it; raises InvalidInput."""
    try:
        listener = socket.socket(fileno=number)
        place = listener.getsockname()
    except OSError as error:
        raise InvalidInput(f"--listen-fd {number} is no socket that was handed down: {error}.") from error
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or listener.type != socket.SOCK_STREAM:
        raise InvalidInput(f"--listen-fd {number} is not a TCP socket.")
    _check(str(place[0]), remote=remote)
    os.set_inheritable(number, False)
    return listener, _names(host, listener, remote=remote)


def bound(family: int, place: object, *, share: bool = False) -> socket.socket:
    """Return a socket bound to an address; raises OSError."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(place)  # type: ignore[arg-type]
    except OSError:
        listener.close()
        raise
    return listener


def address_of(host: str, listener: socket.socket) -> str:
    """Return HOST:PORT as an address shows it."""
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{shown}:{listener.getsockname()[1]}"


def _check(address: str, *, remote: bool) -> None:
    if not remote and not ipaddress.ip_address(address).is_loopback:
        raise AddressRefused(
            f"{address} can be reached from other machines, and the gateway does not ask callers who they are.",
            hint="Use 127.0.0.1, or put an authenticating proxy before it and say --allow-remote.",
        )


def _names(host: str, listener: socket.socket, *, remote: bool) -> Hosts:
    if remote:
        return None
    names = {host.lower(), "127.0.0.1", "localhost", "[::1]"}
    return frozenset(f"{name}:{listener.getsockname()[1]}" for name in names)
