"""Peak memory of the 40 checks beside the hand-written query: whole processes, each reading the same file first."""

import subprocess
import sys
from statistics import median

from ..measure import Measured, Work, environ, versions
from ..mixed import stored

_SIDES = {
    "ours": "from modelloop.data.contract.checks import check; check(frame, mixed.contract())",
    "reference": "import modelloop.data.contract.checks; mixed.by_hand(frame)",
}
_PROGRAM = """
import resource, sys
import polars as pl
from benchmarks import mixed
frame = pl.read_parquet(sys.argv[1])
{work}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _peak(side: str) -> float:
    argv = [sys.executable, "-c", _PROGRAM.format(work=_SIDES[side]), str(stored())]
    return int(subprocess.run(argv, check=True, capture_output=True, text=True, env=environ()).stdout) / 1024


def _run() -> Measured:
    stored()
    peaks = [(_peak("ours"), _peak("reference")) for _ in range(5)]
    return Measured(median(a for a, _ in peaks), median(b for _, b in peaks), "MiB at the peak")


WORK = Work(
    "memory of 40 checks of 1,000,000 x 20",
    f"one hand-written Polars query in a process of its own ({versions('polars')})",
    1.2,
    _run,
)
