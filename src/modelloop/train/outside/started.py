"""One started process of a model, and the socket to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
import psutil

from ...ground.core.errors import InvalidInput, ModelloopError
from ...prepare.records import Columns
from . import wire
from .records import Gone, Limits, Served

if TYPE_CHECKING:
    import numpy.typing as npt

_KEPT = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "TMPDIR")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_TOLD = 4000


class Answered(ModelloopError):
    """The model raised."""


class Started:
    """A process that loads a model and answers. Start it from a thread that lasts; ask from one thread at a time."""

    def __init__(self, place: Path, served: Served, limits: Limits) -> None:
        (place / "served.json").write_bytes(msgspec.json.encode(served))
        self._link, theirs = socket.socketpair()
        reading, self._lifeline = os.pipe()
        module = f"{__package__}.child"
        try:
            self._process = subprocess.Popen(
                [
                    served.interpreter or sys.executable,
                    "-m",
                    module,
                    str(theirs.fileno()),
                    str(reading),
                    str(os.getpid()),
                ],
                cwd=place,
                env=_environment(place, served, limits.threads),
                pass_fds=[theirs.fileno(), reading],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            self._link.close()
            os.close(self._lifeline)
            raise Gone(f"Its process cannot be started: {error}") from error
        finally:
            theirs.close()
            os.close(reading)
        self.pid = self._process.pid
        self.since = time.monotonic()
        self.asked = 0
        self._number = 0
        """Of the question that was sent last."""
        self.first_memory = 0
        """What it took after its first answers."""
        self._said = b""
        self._because = ""
        self._ending = threading.Lock()
        assert self._process.stderr is not None
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def wait_ready(self, seconds: float) -> None:
        """Return when the model is loaded; raises Gone, with the process ended, where it cannot be."""
        try:
            head, _ = self._receive(seconds)
        except Gone as error:
            self.end()
            raise Gone(f"It could not be loaded: {error.message}") from error
        if head.kind != "ready":
            self.end()
            raise Gone(f"It could not be loaded: {head.said}")

    def ask(self, columns: Columns, seconds: float) -> Mapping[str, npt.NDArray[Any]]:
        """Return what it answers; raises Gone where it ended or hangs, Answered where the model raised."""
        self.asked += 1
        self._send("ask", columns, seconds)
        head, found = self._receive(seconds)
        if head.kind != "answer":
            raise Answered(head.said or "The model failed without a word.")
        return found

    def beat(self, seconds: float) -> None:
        """Have it answer nothing; raises Gone unless it does."""
        self._send("beat", {}, seconds)
        self._receive(seconds)

    def ended(self) -> str | None:
        """Return how it ended; None while it runs."""
        return None if self._process.poll() is None else self._how()

    def memory(self) -> int:
        """Return the bytes of memory that it and what it started take; 0 where it is gone."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            taken = int(process.memory_info().rss)
            for child in process.children(recursive=True):
                with suppress(psutil.Error):
                    taken += int(child.memory_info().rss)
            return taken
        return 0

    def end(self, because: str = "") -> None:
        """Kill it and what it started. Once is enough; from any thread. `because` is what its callers are told."""
        with self._ending:
            self._because = self._because or because
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5.0)
            if self._lifeline >= 0:
                os.close(self._lifeline)
                self._lifeline = -1
                with suppress(OSError):
                    self._link.shutdown(socket.SHUT_RDWR)  # wakes who waits for an answer
                self._link.close()

    def _send(self, kind: str, columns: Columns, seconds: float) -> None:
        self._link.settimeout(seconds)
        self._number += 1
        try:
            wire.send(self._link, kind, columns, number=self._number)
        except TimeoutError as error:
            raise Gone(self._hangs(seconds)) from error
        except OSError as error:
            raise Gone(self._how()) from error

    def _receive(self, seconds: float) -> tuple[wire.Head, dict[str, npt.NDArray[Any]]]:
        try:
            head, found = wire.receive(self._link, time.monotonic() + seconds)
        except TimeoutError as error:
            raise Gone(self._hangs(seconds)) from error
        except (EOFError, OSError) as error:
            raise Gone(self._how()) from error
        except InvalidInput as error:
            raise Gone(f"Its process wrote what is no answer: {error.message}") from error
        if head.number != self._number:  # a model that forks answers twice: the second time to somebody else
            raise Gone("Its process answered another question than it was asked, and was ended")
        return head, found

    def _hangs(self, seconds: float) -> str:
        return f"Its process hangs: it did not answer within {seconds:g} seconds, and was ended"

    def _how(self) -> str:
        """Say how it ended; kills it, if only the socket did."""
        if self._because:
            return self._because
        try:
            code = self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            return "Its process closed its end of the line, and was ended"
        self._listener.join(0.5)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        last = self._said.decode(errors="replace").strip().splitlines()[-1:]
        return f"Its process {how}{': ' + last[0][:300] if last else ''}"

    def _listen(self, errors: IO[bytes]) -> None:
        """Keep the last of what it writes on stderr."""
        with errors:
            while block := os.read(errors.fileno(), 65536):
                self._said = (self._said + block)[-_TOLD:]


def _environment(place: Path, served: Served, threads: int) -> dict[str, str]:
    """Return an environment without any token, URL or key of ours: search paths only."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    kept |= dict.fromkeys(_THREADS, str(threads))
    kept |= {"HOME": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    if not served.interpreter:
        kept["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return kept
