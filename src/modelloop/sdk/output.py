"""What a run prints, kept beside it: `sys.stdout` and `sys.stderr` write to where they did, and to the run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TextIO


class Tee:
    """A text stream that also tells a run what is written to it. All else is the stream's own."""

    def __init__(self, stream: TextIO, tell: Callable[[str], None]) -> None:
        self._stream = stream
        self._tell: Callable[[str], None] | None = tell

    def write(self, text: str) -> int:
        """Write, and tell."""
        written = self._stream.write(text)
        if self._tell is not None:
            self._tell(text)
        return written

    def writelines(self, lines: Any) -> None:
        """Write all."""
        for line in lines:
            self.write(line)

    def close_ear(self) -> TextIO:
        """Tell nobody any more; return the stream behind."""
        self._tell = None
        return self._stream

    def __iter__(self) -> Any:
        return iter(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_stream"], name)


class Output:
    """Both streams of a process, listened to until `stop`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tees: dict[str, Tee] = {}
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None:
                self._tees[name] = Tee(stream, tell)
                setattr(sys, name, self._tees[name])

    def stop(self) -> None:
        """Put the streams back; one that somebody else replaced meanwhile stays, and tells nobody."""
        for name, tee in self._tees.items():
            stream = tee.close_ear()
            if getattr(sys, name) is tee:
                setattr(sys, name, stream)

    def deaf(self) -> None:
        """Tell nobody any more, in a forked child: what it prints is its own."""
        for tee in self._tees.values():
            tee.close_ear()
