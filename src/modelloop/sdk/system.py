"""What the machine and the process are busy with, under the names that MLflow's pages know."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

_MB = 1e6
_QUERY = "index,utilization.gpu,memory.used,memory.total,power.draw"


class System:
    """Measures since it was made. Each call takes about a millisecond, some more where nvidia-smi is asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = psutil.Process()
        self._network = psutil.net_io_counters()
        self._disk = psutil.disk_io_counters()
        self._gpus = _gpus()
        psutil.cpu_percent()
        self._process.cpu_percent()

    def measure(self) -> dict[str, float]:
        """Return what there is to say now."""
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self._folder))
        found = {
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/system_memory_usage_megabytes": memory.used / _MB,
            "system/system_memory_usage_percentage": memory.percent,
            "system/disk_usage_megabytes": disk.used / _MB,
            "system/disk_usage_percentage": disk.percent,
            "system/disk_available_megabytes": disk.free / _MB,
            "system/process_cpu_percentage": self._process.cpu_percent(),
            "system/process_memory_megabytes": self._process.memory_info().rss / _MB,
        }
        return {**found, **self._traffic(), **self._gpus()}

    def _traffic(self) -> dict[str, float]:
        found = {}
        if (network := psutil.net_io_counters()) is not None and self._network is not None:
            found["system/network_receive_megabytes"] = (network.bytes_recv - self._network.bytes_recv) / _MB
            found["system/network_transmit_megabytes"] = (network.bytes_sent - self._network.bytes_sent) / _MB
        if (disk := psutil.disk_io_counters()) is not None and self._disk is not None:
            found["system/disk_read_megabytes"] = (disk.read_bytes - self._disk.read_bytes) / _MB
            found["system/disk_write_megabytes"] = (disk.write_bytes - self._disk.write_bytes) / _MB
        return found


def parse_smi(text: str) -> dict[str, float]:
    """Return what nvidia-smi's table says of each GPU."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) != len(_QUERY.split(",")) or not words[0].isdecimal():
            continue
        _, busy, used, total, power = (_number(word) for word in words)
        share = None if used is None or not total else used / total * 100
        # nvidia-smi counts in MiB
        megabytes = None if used is None else used * 1.048576
        found |= _of_gpu(words[0], busy, megabytes, share, power)
    return found


def _gpus() -> Callable[[], Mapping[str, float]]:
    """Return what asks the GPUs: the driver's library where its binding is installed, else nvidia-smi, else nothing."""
    if find_spec("pynvml") is not None and (asked := _by_library()) is not None:
        return asked
    program = shutil.which("nvidia-smi")
    if program is None:
        return dict

    def ask() -> Mapping[str, float]:
        argv = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(
                argv, capture_output=True, timeout=10.0, check=False, stdin=subprocess.DEVNULL, text=True
            )
        except (OSError, subprocess.TimeoutExpired):
            return {}
        return parse_smi(done.stdout) if done.returncode == 0 else {}

    return ask


def _by_library() -> Callable[[], Mapping[str, float]] | None:
    pynvml: Any = import_module("pynvml")
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(place) for place in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return None

    def ask() -> Mapping[str, float]:
        found: dict[str, float] = {}
        for place, handle in enumerate(handles):
            try:
                found |= _asked(pynvml, str(place), handle)
            except pynvml.NVMLError:  # a GPU that cannot say, or was taken away
                continue
        return found

    return ask if handles else None


def _asked(pynvml: Any, place: str, handle: Any) -> dict[str, float]:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
    power = pynvml.nvmlDeviceGetPowerUsage(handle) / 1000
    return _of_gpu(place, busy, memory.used / _MB, memory.used / memory.total * 100, power)


def _of_gpu(
    place: str, busy: float | None, megabytes: float | None, share: float | None, power: float | None
) -> dict[str, float]:
    told = {
        "utilization_percentage": busy,
        "memory_usage_megabytes": megabytes,
        "memory_usage_percentage": share,
        "power_usage_watts": power,
    }
    return {f"system/gpu_{place}_{name}": value for name, value in told.items() if value is not None}


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:  # [N/A]
        return None
