"""Carries out a notebook in a fresh kernel. The only file that touches papermill, nbconvert and Jupyter's client."""

from __future__ import annotations

import html
import importlib
import json
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import ExtraMissing

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LONGEST_SOCKET = 95
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}}
pre{{background:#8881;padding:.6rem;overflow:auto}}table{{border-collapse:collapse}}td,th{{padding:.2rem .6rem;
border-bottom:1px solid #8884;text-align:right}}img{{max-width:100%}}.jp-InputPrompt,.jp-OutputPrompt,
.prompt{{color:#888;font-size:12px}}</style></head><body>
{body}
</body></html>
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a notebook did not come to its end."""

    kind: str
    """Class of the exception; KernelDied, TimeOut: there was none."""
    message: str
    source: str = ""
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Executed:
    """A notebook with what its cells put out."""

    copy: bytes
    page: bytes
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a notebook works."""

    folder: Path
    """Its working directory."""
    modules: Path
    """Where it finds the project's modules."""
    drawer: Path
    """What it hands back: see `flow.kernel`."""
    seconds: float | None
    """All it may take."""


def execute(notebook: Mapping[str, Any], parameters: Mapping[str, Any], desk: Desk, *, title: str) -> Executed:
    """Carry out a notebook with parameters; raises ExtraMissing. Its kernel ends with this process at the latest."""
    papermill, nbformat = _library("papermill"), _library("nbformat")
    errors, dead = _library("papermill.exceptions"), _library("nbclient.exceptions")
    copy = desk.drawer / "executed.ipynb"
    over = threading.Event()
    failure: Failure | None = None
    with _silenced(), _kernels(desk, over) as manager:
        node = nbformat.reads(json.dumps(notebook), as_version=4)
        try:
            papermill.execute_notebook(
                node,
                str(copy),
                parameters=dict(parameters),
                kernel_name="python3",
                progress_bar=False,
                cwd=str(desk.folder),
                kernel_manager_class=manager,
            )
        except errors.PapermillExecutionError as error:
            traceback = _COLOURS.sub("", "\n".join(error.traceback))
            failure = Failure(error.ename, _COLOURS.sub("", error.evalue), source=error.source, traceback=traceback)
        except dead.DeadKernelError as error:
            failure = Failure("TimeOut" if over.is_set() else "KernelDied", str(error))
        executed = nbformat.read(str(copy), as_version=4) if copy.is_file() else node
        return Executed(nbformat.writes(executed).encode(), _page(executed, title), failure)


@contextmanager
def _kernels(desk: Desk, over: threading.Event) -> Iterator[type]:
    """Yield a class of kernel managers whose kernel, with all it starts, ends here or when its time is over.

    It is bound by a pipe (see `flow.bound`): closing our end is what ends it, whoever does that.
    """
    reading, writing = os.pipe()
    end = _Once(writing)
    path = os.pathsep.join(filter(None, (str(desk.modules), os.environ.get("PYTHONPATH", ""))))
    # neither history nor settings of a person: what it does depends on the notebook alone
    env = {**os.environ, "PYTHONPATH": path, "IPYTHONDIR": str(desk.drawer / "ipython")}
    argv = [
        sys.executable,
        "-m",
        "modelloop.ground.flow.kernel_process",
        str(os.getpid()),
        str(reading),
        str(desk.drawer),
    ]
    plain: Any = _library("jupyter_client.manager").AsyncKernelManager

    socket = desk.drawer / "kernel.json"
    # files of this user's instead of ports of the machine's, where the path is short enough for a socket
    link = {"transport": "ipc", "connection_file": str(socket)} if len(str(socket)) < _LONGEST_SOCKET else {}

    class BoundKernel(plain):  # type: ignore[misc]  # untyped library
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, **link})

        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            return [*argv, "-f", os.path.realpath(self.connection_file), *(extra_arguments or [])]

        async def start_kernel(self, **options: Any) -> None:
            await super().start_kernel(**{**options, "env": env, "pass_fds": [reading]})

    def stop() -> None:
        over.set()
        end()

    timer = None if desk.seconds is None else threading.Timer(desk.seconds, stop)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield BoundKernel
    finally:
        if timer is not None:
            timer.cancel()
        end()
        os.close(reading)


class _Once:
    """Closes a file descriptor, once, from any thread."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


def _page(node: Any, title: str) -> bytes:
    """Return a page that runs nothing and loads nothing."""
    exporter = _library("nbconvert").HTMLExporter(template_name="basic", sanitize_html=True, embed_images=False)
    body, _ = exporter.from_notebook_node(node)
    return _PAGE.format(title=html.escape(title), body=body).encode()


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep what these libraries warn of (their own deprecations) from the user, who can do nothing about it."""
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"A notebook as a step needs {name.partition('.')[0]}.",
            hint='Install it: pip install "modelloop[notebook]".',
        ) from error
