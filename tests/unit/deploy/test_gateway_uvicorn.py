"""The fast way is a subclass of uvicorn's protocol: what it uses of that is there, and the version is bound."""

from __future__ import annotations

import ast
import asyncio
import importlib
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

ROOT = Path(__file__).parents[3]
HOT = ROOT / "src" / "modelloop" / "deploy" / "gateway" / "hot.py"
TREE = ast.parse(HOT.read_text())
CLASSES = {node.name: node for node in TREE.body if isinstance(node, ast.ClassDef)}
PROTOCOLS = ("WatchedProtocol", "HotProtocol")
OF_ASYNCIO = {"connection_made", "connection_lost", "data_received"}
ASKED = b"POST /v2 HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{"
CYCLE = ("response_complete", "keep_alive", "disconnected", "message_event")


def missing(what: str) -> str:
    return (
        f"uvicorn {version('uvicorn')} has no {what}, which gateway/hot.py uses. Change hot.py and the bound in "
        "pyproject.toml together; until then `--http asgi` is the way out."
    )


def imported() -> list[tuple[str, str]]:
    """Return what hot.py imports from uvicorn."""
    nodes = [node for node in TREE.body if isinstance(node, ast.ImportFrom)]
    nodes = [node for node in nodes if (node.module or "").startswith("uvicorn")]
    return [(node.module or "", name.name) for node in nodes for name in node.names]


def inherited() -> list[str]:
    """Return what the protocols of hot.py use of themselves without having made it."""
    used: set[str] = set()
    own: set[str] = set()
    for name in PROTOCOLS:
        for node in ast.walk(CLASSES[name]):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                used.add(node.attr)
        own |= {node.name for node in CLASSES[name].body if isinstance(node, ast.FunctionDef)}
        start = next(n for n in CLASSES[name].body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
        own |= {n.attr for n in ast.walk(start) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    return sorted(used - own)


def overridden() -> list[str]:
    """Return the methods of uvicorn's that hot.py stands in front of, and the parser or the server calls."""
    named = {node.name for name in PROTOCOLS for node in CLASSES[name].body if isinstance(node, ast.FunctionDef)}
    return sorted(name for name in named if name.startswith("on_") or name in OF_ASYNCIO | {"send_400_response"})


class Wire(asyncio.Transport):
    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002 - asyncio's
        return default

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nobody reads."""


async def _app(_scope: object, _receive: object, _send: object) -> None:
    return None


def theirs(asked: bytes = b"") -> Any:
    """Return uvicorn's own protocol on a connection, after these bytes."""
    module = importlib.import_module("uvicorn.protocols.http.httptools_impl")

    async def made() -> Any:
        config = uvicorn.Config(_app, http="httptools", ws="none", lifespan="off", log_config=None)
        protocol = module.HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})
        protocol._start_asgi_task = lambda *_: None  # nobody answers
        protocol.connection_made(Wire())
        if asked:
            protocol.data_received(asked)
        return protocol

    return asyncio.run(made())


def test_the_bound_is_one_minor_series_and_the_installed_version_is_of_it() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (bound,) = [one for one in listed if one.startswith("uvicorn")]
    found = re.fullmatch(r"uvicorn>=0\.(\d+),<0\.(\d+)", bound)
    assert found, f"{bound}: hot.py uses uvicorn's inside, which may change with every minor version"
    assert int(found[2]) == int(found[1]) + 1
    assert version("uvicorn").startswith(f"0.{found[1]}.")


@pytest.mark.parametrize(("module", "name"), imported())
def test_what_is_imported_is_there(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name), missing(f"{module}.{name}")


@pytest.mark.parametrize("name", inherited())
def test_what_is_inherited_is_there(name: str) -> None:
    assert hasattr(theirs(ASKED), name), missing(f"HttpToolsProtocol.{name}")


@pytest.mark.parametrize("name", overridden())
def test_what_is_overridden_is_called(name: str) -> None:
    module = importlib.import_module("uvicorn.protocols.http.httptools_impl")
    assert name in vars(module.HttpToolsProtocol), missing(f"HttpToolsProtocol.{name}")


def test_the_test_sees_what_is_used() -> None:
    assert {"transport", "flow", "pipeline", "server_state", "cycle", "parser", "_start_asgi_task"} <= {*inherited()}
    assert {"on_headers_complete", "on_response_complete", "data_received", "send_400_response"} <= {*overridden()}


def test_a_request_is_what_the_fast_way_takes_it_for() -> None:
    protocol = theirs(ASKED)
    for name in CYCLE:
        assert hasattr(protocol.cycle, name), missing(f"RequestResponseCycle.{name}")
    assert protocol.cycle.response_complete is False
    assert protocol.headers == [(b"host", b"here"), (b"content-length", b"2")], missing("lower-case headers")
    assert protocol.url == b"/v2"
    assert protocol.flow.write_paused is False
    assert not protocol.pipeline
    assert protocol.server_state.default_headers == []


def test_what_stands_for_a_request_does_for_uvicorn() -> None:
    stand_in = importlib.import_module("modelloop.deploy.gateway.hot")._Answering()
    assert {name for name in CYCLE if hasattr(stand_in, name)} == {*CYCLE}
    protocol = theirs()
    protocol.cycle = stand_in
    protocol.shutdown()
    assert stand_in.keep_alive is False
    protocol.connection_lost(ConnectionError())
    assert stand_in.disconnected is True


def test_status_lines_are_whole_lines() -> None:
    lines = importlib.import_module("uvicorn.protocols.http.httptools_impl").STATUS_LINE
    assert lines[200] == b"HTTP/1.1 200 OK\r\n", missing("STATUS_LINE as whole lines")
