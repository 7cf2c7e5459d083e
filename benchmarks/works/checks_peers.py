"""The same 40 checks by pandera and pointblank, each in an environment of its own; held against the faster."""

import json
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

from ..measure import Measured, Work
from ..mixed import stored
from ..peers import peer
from .checks import ours

SCRIPT = Path(__file__).parent.parent / "checks_peer.py"
_PEERS = {"pandera": ("pandera[polars]==0.35.0", "polars==2.1.0"), "pointblank": ("pointblank==1.1.1", "polars==2.1.0")}


def asked(name: str, *requirements: str) -> dict[str, Any]:
    """Return what a peer found, and its CPU seconds."""
    argv = [peer(name, *requirements), SCRIPT, name, stored()]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    assert sorted(told["found"].values()) == [100, 400, 500], told
    return told


def mine() -> float:
    """Return our CPU seconds, the middle of five runs after one for warmth."""
    frame = pl.read_parquet(stored())
    return median([ours(frame) for _ in range(6)][1:])


def _run() -> Measured:
    spent = {name: asked(name, *requirements)["cpu"] for name, requirements in _PEERS.items()}
    notes = {f"{name}, CPU s": round(cpu, 3) for name, cpu in spent.items()}
    return Measured(mine(), min(spent.values()), "CPU s", {**notes, "rows found by all": "500, 100, 200 ids again"})


WORK = Work(
    "40 checks beside other tools", "the faster of pandera 0.35.0 and pointblank 1.1.1 (polars 2.1.0)", 1.0, _run
)
