"""A context to build an image from: the gateway, what it needs by hash, the routing table and the packages by hash."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from .layout import below, folder
from .pod import PORT, STATE, USER
from .records import Carried, Files, Wish

_LEFT_OUT = frozenset({"__pycache__", "demo", "exports", "static", "templates"})
"""Folders of our source that a gateway never looks into."""

_DOCKERFILE = """\
# The gateway of {endpoint}, generation {generation}: nothing is fetched but what requirements.txt names by hash.
#   docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:DIGEST -t {image} .
ARG BASE
FROM ${{BASE}} AS build
ARG BASE
RUN case "${{BASE}}" in *@sha256:*) ;; *) echo "Pin the base by digest: --build-arg BASE=NAME@sha256:DIGEST" >&2; exit 1 ;; esac
WORKDIR /build
COPY requirements.txt requirements.txt
RUN python -m venv /opt/gateway \\
    && /opt/gateway/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt
COPY app /opt/gateway/app
RUN /opt/gateway/bin/python -m compileall -q /opt/gateway/app

FROM ${{BASE}}
RUN groupadd --gid {user} modelloop \\
    && useradd --uid {user} --gid modelloop --no-create-home --home-dir {state} --shell /usr/sbin/nologin modelloop \\
    && install --directory --owner modelloop --group modelloop --mode 0700 {state}
COPY --from=build /opt/gateway /opt/gateway
COPY deployment /deployment
ENV PATH=/opt/gateway/bin:$PATH \\
    PYTHONPATH=/opt/gateway/app \\
    PYTHONDONTWRITEBYTECODE=1 \\
    PYTHONUNBUFFERED=1
EXPOSE {port}
VOLUME {state}
USER {user}:{user}
ENTRYPOINT ["python", "-m", "modelloop.deploy.gateway"]
CMD ["--blobs", "file:///deployment", "--no-report", "--predictions", "{state}/predictions", "--host", "0.0.0.0", "--allow-remote", "--port", "{port}", "--id", "g1"]
"""  # noqa: E501 - a line of a Dockerfile

_README = """\
# An image that answers {endpoint}

Written by `modelloop deployment export {endpoint} --as oci`: generation {generation} of the routing table.

    docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:DIGEST -t {image} .
    docker run --read-only --tmpfs /tmp --volume state:{state} --publish 127.0.0.1:{port}:{port} {image}

The base is an argument, and the build refuses one without a digest. Packages lie in deployment/content under their
SHA-256 and are checked when they are loaded. The image runs as user {user}, needs neither database nor control nor
object store, and does not ask callers who they are: put something before it that does.

The same image is the one to name in the `kubernetes` and `kserve` exports.
"""


def oci(carried: Carried, wish: Wish) -> Files:
    """Return the build context."""
    told = {
        "endpoint": carried.endpoint,
        "generation": carried.table.generation,
        "image": carried.image(wish),
        "user": USER,
        "state": STATE,
        "port": PORT,
    }
    return {
        "Dockerfile": _DOCKERFILE.format(**told).encode(),
        "README.md": _README.format(**told).encode(),
        "requirements.txt": locked(),
        **below("app", source(carried.release)),
        **below("deployment", folder(carried)),
    }


def locked() -> bytes:
    """Return what a gateway imports, each with its hashes: a part of our own lock."""
    return (files("modelloop") / "deploy" / "exports" / "gateway.txt").read_bytes()


def source(release: str) -> Files:
    """Return our own source, as far as a gateway runs it, in a form that `importlib.metadata` knows."""
    found = dict(sorted(_walk(files("modelloop"), "modelloop")))
    metadata = f"Metadata-Version: 2.1\nName: modelloop\nVersion: {release}\n".encode()
    return {f"modelloop-{release}.dist-info/METADATA": metadata, **found}


def _walk(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for child in folder.iterdir():
        path = f"{name}/{child.name}"
        if child.is_dir() and child.name not in _LEFT_OUT:
            yield from _walk(child, path)
        elif child.is_file() and child.name.endswith((".py", ".typed", ".json")):
            yield path, child.read_bytes()
