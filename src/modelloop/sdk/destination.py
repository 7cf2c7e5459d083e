"""Where a run goes: the seam behind which the project's own store and a server over HTTP are the same.

What an implementation raises says what to do: StoreUnavailable, Unauthenticated, Denied and NotReady mean "not now": it
is all kept and tried again. Any other error of ours means that exactly this was refused, and would be refused again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..ground.core.errors import Denied, NotReady, StoreUnavailable, Unauthenticated

NOT_NOW = (StoreUnavailable, Unauthenticated, Denied, NotReady)
CLIENT_ID = "modelloop.client_id"
"""The tag under which a server that chooses ids by itself finds a run that was sent before."""
Point = tuple[str, float, int, int]
"""Name, value, step, milliseconds."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a run is, as the first record of its spool says it."""

    run: str
    """Its id, chosen here."""
    experiment: str
    name: str
    user: str
    start_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    """Where it goes: `store:FOLDER` or a URL; never a token."""
    resumed: bool = False
    """It was there before, and goes on."""
    attached: bool = False
    """Another process began it and ends it; this one only adds."""


@dataclass(frozen=True, slots=True)
class Home:
    """What a run is called where it went."""

    run: str
    experiment: str


class Destination(Protocol):
    """What keeps runs. Used from one thread at a time."""

    moved: int
    """Bytes of files sent so far: whoever waits sees that it gets on."""

    def open(self, header: Header, *, again: bool) -> Home:
        """Make the run, and its experiment, where they are not there yet. `again`: it may have been made before."""
        ...

    def write(self, home: Home, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Add to a run: all of it, or an error and nothing."""
        ...

    def upload(self, home: Home, path: str, source: Path | bytes) -> None:
        """Keep a file with the run; the same path again replaces it."""
        ...

    def finish(self, home: Home, status: str, end_ms: int) -> None:
        """End the run."""
        ...

    def steps(self, run: str) -> Mapping[str, int]:
        """Return the last step of each metric of a run that is there; raises NotFound."""
        ...

    def url(self, home: Home) -> str:
        """Return the address of the run's page, "" where there is none."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


def header_of(record: Mapping[str, Any]) -> Header:
    """Read the first record of a spool."""
    return Header(**{name: record[name] for name in Header.__dataclass_fields__ if name in record})
