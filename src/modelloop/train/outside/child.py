"""The process of one model: `python -m modelloop.train.outside.child LINK LIFELINE PARENT`, started by `process`.

It stands in a folder with `served.json` and `model/`, answers frames on the socket LINK, and ends with its parent. It
is given no secret and no settings; nothing of it is trusted but arrays whose names, types and shapes are checked again.
"""

from __future__ import annotations

import resource
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...ground.core.errors import ModelloopError
from ...ground.flow.bound import bind_to
from ...ground.flow.failure import attempt
from ...prepare.records import Columns
from ..foreign.answers import named
from ..foreign.loading import load_foreign
from . import wire
from .records import Served

if TYPE_CHECKING:
    import numpy.typing as npt

LARGEST = 256 << 20
"""Bytes of one file that it may write."""
Answer = Callable[[Columns], "dict[str, npt.NDArray[Any]]"]


def main() -> int:
    """Load what lies in the present folder, then answer until there is nobody to answer."""
    link_number, lifeline, parent = map(int, sys.argv[1:4])
    bind_to(parent, lifeline)
    _at_most(resource.RLIMIT_CORE, 0)
    _at_most(resource.RLIMIT_FSIZE, LARGEST)
    link = socket.socket(fileno=link_number)
    served = msgspec.json.decode(Path("served.json").read_bytes(), type=Served)
    answer, error = attempt(partial(_opened, served))
    if answer is None:
        wire.send(link, "failed", said=_told(error))
        return 1
    if sys.platform == "linux":
        _at_most(resource.RLIMIT_AS, _address_space() + served.memory)
    wire.send(link, "ready")
    while _one(link, answer):
        pass
    return 0


def _opened(served: Served) -> Answer:
    """Load the model, and return what answers."""
    folder = Path.cwd() / "model"
    sys.path.insert(0, str(folder / "code"))  # modules that a pickle was told to need
    loaded = load_foreign(served.flavor, folder, served.data, served.settings, pickle=served.pickle)

    def answer(columns: Columns) -> dict[str, npt.NDArray[Any]]:
        return dict(named(loaded, columns, served.inputs, words=served.words).outputs)

    return answer


def _one(link: socket.socket, answer: Answer) -> bool:
    """Answer one frame; say whether there may be another."""
    try:
        head, columns = wire.receive(link)
    except (EOFError, OSError):
        return False
    if head.kind == "beat":
        wire.send(link, "answer", number=head.number)
        return True
    found, error = attempt(partial(answer, columns))
    if found is not None:
        _, error = attempt(partial(wire.send, link, "answer", found, number=head.number), passing=(OSError,))
    if error is not None:
        wire.send(link, "failed", said=_told(error), number=head.number)
    return True


def _told(error: BaseException | None) -> str:
    if isinstance(error, ModelloopError):
        return str(error)[:2000]
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:2000]


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _at_most(what: int, wanted: int) -> None:
    _, hard = resource.getrlimit(what)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    sys.exit(main())
