"""Settings of a process, read once in `app.py`: given an environment and a project folder, one frozen record.

Nothing here looks at the machine: the environment is an argument, and so is what the token file holds.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from .errors import AddressRefused, InvalidInput

GATEWAY_HTTP = ("hot", "asgi")
LOG_LEVELS = ("debug", "info", "warning", "error")
VARIABLES: Mapping[str, str] = {
    "MODELLOOP_HOME": "the folder of Modelloop's own files (default: .modelloop in the project folder)",
    "MODELLOOP_DATABASE_URL": "where facts are: sqlite:///PATH or postgresql://USER@HOST/DATABASE",
    "MODELLOOP_BLOBS_URL": "where bytes are: file:///PATH, s3://BUCKET/PREFIX, gs://BUCKET, az://CONTAINER",
    "MODELLOOP_HOST": "the address control and gateways bind (default 127.0.0.1)",
    "MODELLOOP_CONTROL_PORT": "control's port (default 8900; 0: any free one)",
    "MODELLOOP_GATEWAY_PORT": "the first gateway's port, the next ones count on (default 8901; 0: any free ones)",
    "MODELLOOP_GATEWAYS": "how many gateways `modelloop up` starts, each at a port of its own (default 1)",
    "MODELLOOP_GATEWAY_PROCESSES": "how many processes share each gateway's port, one a core at most (default 1)",
    "MODELLOOP_GATEWAY_HTTP": "hot: requests are answered in the parser's callback (default); asgi: the plain way",
    "MODELLOOP_GRPC_PORT": "port of a gateway that speaks gRPC; 0: there is none (default)",
    "MODELLOOP_ROUTING": "gateways: the routing table elsewhere than in the store: file:///PATH or an http(s) address",
    "MODELLOOP_ROUTING_TOKEN_FILE": "gateways: the file (0600) with the token for that address",
    "MODELLOOP_WORKERS": "how many workers `modelloop up` starts (default 1)",
    "MODELLOOP_LOG_LEVEL": "debug, info, warning or error (default info)",
    "MODELLOOP_ALLOW_REMOTE": "yes: an address beyond loopback may be bound, given a token file (default no)",
    "MODELLOOP_ALLOW_PRIVATE_URLS": "1: webhooks may go to addresses of your own network (default: they may not)",
    "MODELLOOP_TRACKING_URI": "where runs of the SDK are logged: a server's address, or a project's folder",
    "MODELLOOP_TRACKING_TOKEN": "the token of that server",
    "MODELLOOP_TOKEN_FILE": "the file that holds the access token (default: secrets/token under the home)",
}
"""All variables that are read, and what they mean."""

_YES = {"yes": True, "true": True, "1": True, "on": True, "no": False, "false": False, "0": False, "off": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process needs to know to start."""

    project_dir: Path
    home: Path
    database_url: str
    blobs_url: str
    host: str
    control_port: int
    gateway_port: int
    gateways: int
    workers: int
    log_level: str
    allow_remote: bool
    token_file: Path
    gateway_processes: int = 1
    gateway_http: str = "hot"
    grpc_port: int = 0
    """0: no gateway speaks gRPC."""
    routing: str | None = None
    """None: the routing table is in the object store."""
    routing_token_file: Path | None = None

    @property
    def predictions(self) -> Path:
        """Return the folder of the gateways' prediction logs."""
        return self.home / "predictions"

    @property
    def is_local(self) -> bool:
        """Say whether only this machine can connect."""
        return is_loopback(self.host)


def read_settings(environ: Mapping[str, str], project_dir: Path) -> Settings:
    """Return the settings; raise InvalidInput with all mistakes at once, AddressRefused for an unsafe address."""
    reader = _Reader(environ)
    project_dir = project_dir.absolute()
    home = reader.folder("MODELLOOP_HOME", project_dir / ".modelloop", project_dir)
    settings = Settings(
        project_dir=project_dir,
        home=home,
        database_url=reader.url("MODELLOOP_DATABASE_URL", f"sqlite:///{home / 'facts.sqlite'}", _DATABASES),
        blobs_url=reader.url("MODELLOOP_BLOBS_URL", (home / "blobs").as_uri(), _STORES),
        host=reader.text("MODELLOOP_HOST", "127.0.0.1"),
        control_port=reader.number("MODELLOOP_CONTROL_PORT", 8900, 0, 65535),
        gateway_port=reader.number("MODELLOOP_GATEWAY_PORT", 8901, 0, 65535),
        gateways=reader.number("MODELLOOP_GATEWAYS", 1, 1, 64),
        workers=reader.number("MODELLOOP_WORKERS", 1, 1, 64),
        log_level=reader.choice("MODELLOOP_LOG_LEVEL", "info", LOG_LEVELS),
        allow_remote=reader.yes("MODELLOOP_ALLOW_REMOTE", default=False),
        token_file=reader.folder("MODELLOOP_TOKEN_FILE", home / "secrets" / "token", project_dir),
        gateway_processes=reader.number("MODELLOOP_GATEWAY_PROCESSES", 1, 1, 64),
        gateway_http=reader.choice("MODELLOOP_GATEWAY_HTTP", "hot", GATEWAY_HTTP),
        grpc_port=reader.number("MODELLOOP_GRPC_PORT", 0, 0, 65535),
        routing=reader.url("MODELLOOP_ROUTING", "", _TABLES) or None,
        routing_token_file=reader.file("MODELLOOP_ROUTING_TOKEN_FILE", project_dir),
    )
    _check_ports(reader, settings)
    reader.finish()
    return settings


def check_address(settings: Settings, token: str | None) -> None:
    """Raise AddressRefused unless the address is loopback, or remote access is allowed and a token guards it."""
    if settings.is_local:
        return
    if not settings.allow_remote:
        raise AddressRefused(
            f"MODELLOOP_HOST={settings.host} can be reached from other machines.",
            hint="Bind 127.0.0.1, or set MODELLOOP_ALLOW_REMOTE=yes and give a token in MODELLOOP_TOKEN_FILE.",
        )
    if token is None or len(token.strip()) < 32:
        raise AddressRefused(
            f"MODELLOOP_HOST={settings.host} can be reached from other machines, and no token guards it.",
            hint=f"Write at least 32 random letters into {settings.token_file} (mode 0600).",
        )


def is_loopback(host: str) -> bool:
    """Say whether `host` is this machine seen from itself. A name other than localhost is not trusted to be."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


_DATABASES = ("sqlite", "postgresql", "postgresql+psycopg")
_STORES = ("file", "memory", "s3", "gs", "az")
_TABLES = ("file", "http", "https")


class _Reader:
    """Reads variables one by one and remembers what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.mistakes: list[str] = []
        for name in environ:
            if name.startswith("MODELLOOP_") and name not in VARIABLES:
                near = get_close_matches(name, VARIABLES, n=1)
                self.mistakes.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "."))

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, "").strip() or default

    def number(self, name: str, default: int, least: int, most: int) -> int:
        found = self.text(name, str(default))
        if found.isascii() and found.isdigit() and least <= int(found) <= most:
            return int(found)
        self.mistakes.append(f"{name}={found!r} is not a whole number from {least} to {most}.")
        return default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        found = self.text(name, default).lower()
        if found in allowed:
            return found
        near = get_close_matches(found, allowed, n=1)
        suffix = f" Did you mean {near[0]}?" if near else ""
        self.mistakes.append(f"{name}={found!r} is not one of {', '.join(allowed)}.{suffix}")
        return default

    def yes(self, name: str, *, default: bool) -> bool:
        found = self.text(name, "yes" if default else "no").lower()
        if found not in _YES:
            self.mistakes.append(f"{name}={found!r} is neither yes nor no.")
        return _YES.get(found, default)

    def url(self, name: str, default: str, schemes: tuple[str, ...]) -> str:
        found = self.text(name, default)
        if not found:
            return found
        scheme, separator, rest = found.partition("://")
        if separator and scheme in schemes and (rest or scheme == "sqlite"):
            return found
        # what was found is not shown: a database URL may hold a password
        self.mistakes.append(f"{name} starts with {scheme[:20]!r}; expected one of {', '.join(schemes)} and ://.")
        return default

    def folder(self, name: str, default: Path, base: Path) -> Path:
        found = self.text(name, "")
        return base / Path(found).expanduser() if found else default

    def file(self, name: str, base: Path) -> Path | None:
        found = self.text(name, "")
        return base / Path(found).expanduser() if found else None

    def finish(self) -> None:
        if self.mistakes:
            raise InvalidInput(
                "The environment has " + _counted(len(self.mistakes)) + ": " + " ".join(self.mistakes),
                hint="Correct or unset them.",
                detail={"mistakes": list(self.mistakes)},
            )


def _check_ports(reader: _Reader, settings: Settings) -> None:
    first, last = settings.gateway_port, settings.gateway_port + settings.gateways - 1
    if first and last > 65535:
        reader.mistakes.append(f"MODELLOOP_GATEWAY_PORT={first} leaves no room for {settings.gateways} gateways.")
    if first and first <= settings.control_port <= last:
        reader.mistakes.append(f"MODELLOOP_CONTROL_PORT={settings.control_port} is also a gateway's port.")
    if settings.grpc_port and (settings.grpc_port == settings.control_port or first <= settings.grpc_port <= last):
        reader.mistakes.append(f"MODELLOOP_GRPC_PORT={settings.grpc_port} is also control's or a gateway's port.")


def _counted(number: int) -> str:
    return "a mistake" if number == 1 else f"{number} mistakes"
