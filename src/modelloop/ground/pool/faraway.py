"""What a node of a cluster does with a message: the call is made in a process of `crew`, as on the run's own machine.

So limits, time-outs, deaths and what is measured mean the same everywhere, and user code never runs in a process of
the cluster's own. A message and its answer are JSON.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..core.errors import BlobMissing, ModelloopError
from ..core.hashing import canonical_json
from ..flow.codecs import from_text
from ..flow.records import RunError, Usage
from ..store.blobs import Blobs
from . import shipping
from .crew import Crew, Kind, call_alone

_MOST_PRINTED = 1_000_000


def message_of(asked: Mapping[str, Any], *, time_limit: float | None, project: str, blobs_url: str) -> bytes:
    """Return the message that asks for a call. `project`: the digest of its packed code."""
    return canonical_json({"asked": asked, "time_limit": time_limit, "project": project, "blobs": blobs_url})


def carry_out(message: bytes, node: str) -> bytes:
    """Make the call that a message asks for, and return how it went."""
    told = from_text(message)
    asked = told["asked"]
    try:
        crew, output = _crew(told["project"], told["blobs"])
    except ModelloopError as error:
        return canonical_json(_refused(error, asked, f"ray node {node}", told["blobs"]))
    before = output.stat().st_size if output.exists() else 0
    devices = tuple(name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name)
    answer = call_alone(crew, asked, told["time_limit"], Kind(1, devices if asked["gpus"] else ()))
    place = f"ray node {node} {answer['place']}"
    return canonical_json({**answer, "place": place, "printed": _printed(output, before)})


@functools.lru_cache(maxsize=2)
def _crew(project: str, blobs_url: str) -> tuple[Crew, Path]:
    """Return the processes for a project, and the file they print to: they are kept for the next message."""
    folder = shipping.unpack(project, Blobs(blobs_url).get)
    handle, name = tempfile.mkstemp(prefix="modelloop-printed-")
    os.close(handle)
    return Crew(folder, blobs_url, output=Path(name), holders=2), Path(name)


def _printed(output: Path, before: int) -> str:
    """Return what was printed since, and begin anew before the file grows large."""
    with output.open("rb") as file:
        file.seek(before)
        text = file.read(_MOST_PRINTED).decode(errors="replace")
    if output.stat().st_size > _MOST_PRINTED:
        os.truncate(output, 0)
    return text


def _refused(error: ModelloopError, asked: Mapping[str, Any], place: str, blobs_url: str) -> dict[str, Any]:
    """Return an answer for a node that could not even begin."""
    said = f"{place} could not fetch the project's code. {error}"
    if isinstance(error, BlobMissing):
        said = (
            f"{place} does not find the project's code in {blobs_url}: the run's bytes are kept where this node "
            "cannot read them. A folder serves one machine only: set MODELLOOP_BLOBS_URL to an object store "
            "(s3://BUCKET/PREFIX), whose keys are in the environment of each node."
        )
    told = RunError("StoreUnavailable", said, said, asked["step"].partition(":")[2])
    made = {"text": "", "seconds": 0.0, "points": [], "artifacts": [], "error": asdict(told)}
    return {**made, "usage": asdict(Usage()), "place": place, "printed": ""}
