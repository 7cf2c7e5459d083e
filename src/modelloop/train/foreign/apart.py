"""Start the child process that reads a foreign model, with limits and without secrets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from ...ground.core.errors import InvalidInput
from .records import Converted, Job

SECONDS = 300
_KEPT = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR")
_TOLD = 2000


def convert_apart(
    folder: Path, job: Job, *, seconds: float = SECONDS, interpreter: str = ""
) -> tuple[Converted, bytes]:
    """Convert the model in `folder/model` in a child process; a child that dies or hangs is a refusal, not an error.

    The child's environment holds no token, URL or key: of ours it gets the search paths only.
    """
    (folder / "job.json").write_bytes(msgspec.json.encode(job))
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment = kept | {"HOME": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    if not interpreter:
        environment |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with (folder / "stderr").open("wb") as errors:
        child = subprocess.Popen(
            [interpreter or sys.executable, "-m", "modelloop.train.foreign.child"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(child)
    if code is None:
        return Converted(refusal=f"Reading it took longer than {seconds:g} seconds, and was ended."), b""
    if code != 0:
        return Converted(refusal=_died(folder, code)), b""
    return _made(folder)


def _made(folder: Path) -> tuple[Converted, bytes]:
    try:
        made = msgspec.json.decode((folder / "made.json").read_bytes(), type=Converted)
        graph = (folder / "model.onnx").read_bytes()
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidInput(f"The child process left nothing that can be read: {error}.") from error
    return made, graph


def _died(folder: Path, code: int) -> str:
    said = (folder / "stderr").read_bytes()[-_TOLD:].decode(errors="replace").strip().splitlines()
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    return f"The process that read it {how}{': ' + said[-1][:300] if said else ''}."


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
