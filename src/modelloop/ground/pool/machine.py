"""What this machine has to share out: processors, memory, GPUs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int:
    """Return how many bytes of memory there are: the machine's, or what its container may have."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _CGROUP_LIMITS:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            found.append(int(text))
    return min(found)


def gpus(environ: Mapping[str, str], devices: Path = Path("/dev")) -> tuple[str, ...]:
    """Return the names of the NVIDIA GPUs that may be used, as CUDA_VISIBLE_DEVICES has them."""
    visible = environ.get(_VISIBLE)
    if visible is None:
        numbers = (path.name.removeprefix("nvidia") for path in devices.glob("nvidia*"))
        return tuple(sorted((n for n in numbers if n.isdecimal()), key=int))
    named: list[str] = []
    for name in (word.strip() for word in visible.split(",")):
        if name in ("", "-1", "NoDevFiles", "void", "none"):  # CUDA stops looking at the first that is none
            break
        named.append(name)
    return tuple(named)


def environment_of(threads: int, devices: tuple[str, ...], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that may use so many threads and these GPUs.

    What the user has set about threads stays.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    made = {**dict.fromkeys(names, str(threads)), **environ}
    return {**made, _VISIBLE: ",".join(devices)} if devices else made
