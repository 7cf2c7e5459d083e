"""What `python -m modelloop.deploy.gateway` is told."""

from __future__ import annotations

import argparse
from pathlib import Path

HTTP_PATHS = ("hot", "asgi")
FACES = ("http", "grpc")


def read_options(argv: list[str] | None) -> argparse.Namespace:
    """Return the options; a mistake ends the process with status 2 and says what was expected."""
    parser = argparse.ArgumentParser(prog="python -m modelloop.deploy.gateway", description="One gateway process.")
    _stores(parser)
    _address(parser)
    parser.add_argument("--id", required=True, help="name of this gateway; no two that run may share one")
    parser.add_argument("--face", choices=FACES, default="http", help="which protocol (default http)")
    parser.add_argument(
        "--http", choices=HTTP_PATHS, default="hot", help="hot: answers in the parser's callback (default); asgi: plain"
    )
    options = parser.parse_args(argv)
    options.blobs = options.blobs or None
    if options.blobs is None and not (options.routing or "").startswith(("http://", "https://")):
        parser.error("--blobs is needed, unless --routing names an address of control, which then gives packages too")
    return options


def _stores(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--blobs", help="URL of the object store: packages, routing table, reports")
    parser.add_argument(
        "--routing", help="routing table elsewhere: file:///PATH or https://CONTROL/api/routing (default: the store's)"
    )
    parser.add_argument("--routing-token", type=Path, help="file (0600) with the token for that address")
    parser.add_argument("--poll", type=_seconds, help="seconds between two looks at the table (.1; .25 for addresses)")
    parser.add_argument("--no-report", action="store_true", help="nobody reads this gateway's reports: write none")
    parser.add_argument("--predictions", required=True, type=Path, help="folder of the prediction log")
    parser.add_argument("--log-key", type=Path, help="file (0600) with the key of masked columns")
    parser.add_argument(
        "--state", type=Path, help="folder in which the last table and its packages are kept: starts without the store"
    )


def _address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port", type=_port, default=0, help="0: any free one; the address is the first line of output"
    )
    parser.add_argument("--share-port", action="store_true", help="others may listen on the same port (SO_REUSEPORT)")
    parser.add_argument(
        "--listen-fd", type=int, help="socket that was handed down by the process that started this one"
    )
    parser.add_argument("--ready-fd", type=int, help="pipe of that process, on which this one says that it answers")
    parser.add_argument(
        "--allow-remote", action="store_true", help="listen beyond loopback: what stands before it checks callers"
    )
    parser.add_argument(
        "--drain", type=_seconds, default=1.0, help="seconds that idle connections stay open after SIGTERM (default 1)"
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to 3600")
    return value


def _port(text: str) -> int:
    # checked here: the resolver takes 70000 for 4464, and the gateway would answer where nobody looks for it
    if not text.isdecimal() or not text.isascii() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not a port: a whole number from 0 to 65535")
    return int(text)
