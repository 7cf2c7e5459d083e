"""Objectives for crews in the tests."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from modelloop.train.parallel.crew import Pruned


def add(trying):
    return trying["a"] + trying.get("b", 0)


def where(trying):
    return {"pid": os.getpid(), "parent": os.getppid()}


def curve(trying):
    for step in range(trying["steps"]):
        trying.report(step, step * trying["slope"])
    return trying["slope"]


def catching(trying):
    try:
        return curve(trying)
    except Pruned as pruned:
        return 100.0 + pruned.step


def odd_ones_die(trying):
    if trying.number % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return trying.number


def raising(trying):
    return deeper(trying["a"])


def deeper(value):
    raise KeyError(f"no {value}")


def hanging(trying):
    if trying["hangs"]:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(trying["file"]).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    return 1.0


def textual(trying):
    return "much"


def summing(trying):
    """Read all of the shared data, and tell what that costs this process alone."""
    process = psutil.Process()
    before = process.memory_full_info()
    total = float(trying.data["x"].sum())
    if "frame" in trying.data:
        total += float(trying.data["frame"]["a"].sum())
    Path(trying["ready"], f"{trying.number}").touch()
    while len(list(Path(trying["ready"]).iterdir())) < trying["together"]:
        time.sleep(0.01)
    after = process.memory_full_info()
    done = Path(trying["ready"] + "-done")
    (done / f"{trying.number}").touch()
    while len(list(done.iterdir())) < trying["together"]:
        time.sleep(0.01)
    return {"total": total, "uss": after.uss - before.uss, "pss": after.pss - before.pss}


def writing(trying):
    trying.data["x"][0] = 5.0
    return 1.0


def summed(trying):
    return float(trying.data["x"].sum() + trying.data["frame"]["a"].sum()) + trying["a"]


def fold_size(fitting):
    return len(fitting.test) + fitting["plus"] + len(fitting.data["x"])
