"""The same ten steps when all results are kept: beside the peer that finds kept results too."""

import tempfile
from pathlib import Path

from .. import flows
from ..measure import Measured, Work


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        hamilton = next(engine for engine in flows.peers(Path(folder)) if engine.name == "hamilton")
        both = flows.measure([flows.ours(Path(folder) / "ours"), hamilton], fresh=False)
    made, taken = both["modelloop"], both["hamilton"]
    notes: dict[str, float | str] = {
        "wall s": round(made.wall, 3),
        "bar of wall s": 0.3,
        "hamilton wall s": round(taken.wall, 3),
    }
    return Measured(made.cpu, taken.cpu, "CPU s a process", notes)


WORK = Work("a ten-step pipeline, everything kept, whole process", "sf-hamilton 1.90.0 with its cache", 0.5, _run)
