"""A pipeline of ten trivial steps, the whole process, all results new: beside the fastest peer that keeps results."""

import tempfile
from pathlib import Path

from .. import flows
from ..measure import Measured, Work


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        others = flows.measure([flows.ours(Path(folder) / "ours"), *flows.peers(Path(folder))], fresh=True)
    made = others.pop("modelloop")
    fastest = min(others, key=lambda name: others[name].cpu)
    notes: dict[str, float | str] = {"wall s": round(made.wall, 3), "bar of wall s": 0.5, "fastest peer": fastest}
    for name, taken in others.items():
        notes |= {f"{name} CPU s": round(taken.cpu, 3), f"{name} wall s": round(taken.wall, 3)}
    return Measured(made.cpu, others[fastest].cpu, "CPU s a process", notes)


WORK = Work(
    "a ten-step pipeline, whole process",
    "the fastest of sf-hamilton 1.90.0 (cache), kedro 1.7.0 (pickled catalog), dbos 3.4.0 (SQLite)",
    0.5,
    _run,
)
