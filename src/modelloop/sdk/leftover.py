"""What dead processes left in their spools: found, and sent by whoever comes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..deploy.log import read_frames
from ..ground.core.errors import ModelloopError
from . import spool as spools
from . import where
from .delivery import Delivery
from .destination import Destination, header_of
from .problems import Problems
from .spool import Spool

KILLED = "KILLED"


@dataclass(frozen=True, slots=True)
class Left:
    """A spool that was found, and what became of it."""

    run: str
    target: str
    state: str
    """sent, waits, or held: its process still lives."""
    reason: str
    folder: str


def send_all(root: Path, target: str, destination: Destination, stop: Callable[[], bool], *, run: str = "") -> None:
    """Send what waits under `root` for one destination until `stop` says so; raises what NOT_NOW lists.

    `run`: only what other processes left of this run.
    """
    problems = Problems()
    for folder in spools.left(root):
        if stop():
            return
        if run and _run(folder) != run:
            continue
        spool = spools.adopt(folder)
        if spool is None:
            continue
        sent = False
        try:
            sent = _target(spool) == target and _send(spool, destination, problems, stop)
        finally:
            spool.close(remove=sent)


def sync(roots: tuple[Path, ...], environ: Mapping[str, str], here: Path, tell: Callable[[str], None]) -> list[Left]:
    """Send all that waits under `roots`, each to where it belongs; what cannot be sent now stays, with the reason."""
    problems = Problems(tell)
    found = []
    for root in roots:
        for folder in spools.left(root):
            found += _one(root, folder, environ, here, problems)
    return found


def _one(root: Path, folder: Path, environ: Mapping[str, str], here: Path, problems: Problems) -> list[Left]:
    spool = spools.adopt(folder)
    if spool is None:
        return [Left(_run(folder), "", "held", "its process still lives", str(folder))] if folder.exists() else []
    target, sent, reason = _target(spool), False, ""
    if not target:  # its process died before it said anything
        spool.close(remove=True)
        return []
    try:
        destination = where.destination(where.again(target, root, environ, here))
        try:
            sent = _send(spool, destination, problems, lambda: False)
        finally:
            destination.close()
    except (ModelloopError, OSError) as error:
        reason = str(error)
    finally:
        spool.close(remove=sent)
    return [Left(_run(folder), target, "sent" if sent else "waits", reason, str(folder))]


def _send(spool: Spool, destination: Destination, problems: Problems, stop: Callable[[], bool]) -> bool:
    """Send one spool to its end; a run whose process died in its midst is ended as killed."""
    delivery = Delivery(spool, destination, problems, again=True)
    while not delivery.ended:
        if stop():
            return False
        if not delivery.some():
            break
    header = _first(spool.folder)
    if delivery.ended or delivery.home is None or header is None or header_of(header).attached:
        return True
    delivery.send_output()
    if not _goes_on(spool):
        delivery.finish(KILLED, int((spool.folder / "log").stat().st_mtime * 1000))
    return True


def _goes_on(spool: Spool) -> bool:
    """Say whether a later process goes on with the run, and will end it."""
    later = (folder for folder in spools.left(spool.folder.parent) if folder.name > spool.folder.name)
    headers = (_first(folder) for folder in later if _run(folder) == _run(spool.folder))
    return any(header is not None and not header_of(header).attached for header in headers)


def _first(folder: Path) -> Mapping[str, object] | None:
    try:
        records, _ = read_frames(folder / "log", 0, limit=1)
    except OSError:  # its own process has just sent it, and removed it
        return None
    return records[0] if records else None


def _target(spool: Spool) -> str:
    first = _first(spool.folder)
    return "" if first is None else header_of(first).target


def _run(folder: Path) -> str:
    return folder.name.split(".")[0]
