"""The child process: `python -m modelloop.train.foreign.child`, started by `apart` in an empty folder.

It reads `job.json` and `model/`, writes `made.json` and `model.onnx`, and ends. It is given no secret, no settings, and
limits on memory, time and what it may write; nothing of it is trusted but bytes that are checked again.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import msgspec

from .convert import convert
from .records import Job

MEMORY = 16 * 1024**3
SECONDS = 600
LARGEST = 2 * 1024**3
"""What may be written into one file: ONNX holds at most this in one graph."""


def main() -> int:
    """Convert what lies in the present folder."""
    _limit()
    here = Path.cwd()
    job = msgspec.json.decode((here / "job.json").read_bytes(), type=Job)
    sys.path.insert(0, str(here / "model" / "code"))  # modules that a pickle was told to need
    made, graph = convert(here / "model", job)
    (here / "model.onnx").write_bytes(graph)
    (here / "made.json").write_bytes(msgspec.json.encode(made))
    return 0


def _limit() -> None:
    for what, wanted in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, LARGEST),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_AS, MEMORY),
    ):
        _, hard = resource.getrlimit(what)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    sys.exit(main())
