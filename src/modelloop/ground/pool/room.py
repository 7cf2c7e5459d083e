"""Sharing out what a machine has among the calls that run at the same time. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import PipelineInvalid
from ..flow.elsewhere import Resources

_UNITS = 10_000
"""Shares are counted in parts of this size, so that ten tenths are one."""
_LEAST = _UNITS // 16
"""However little of a processor calls ask for, no more than 16 share one: each is a process."""


@dataclass(frozen=True, slots=True)
class Lot:
    """What one call has got."""

    cpus: int
    memory: int
    gpus: tuple[tuple[str, int], ...] = ()

    @property
    def devices(self) -> tuple[str, ...]:
        """Return the names of its GPUs."""
        return tuple(name for name, _ in self.gpus)


class Room:
    """What there is, less what is in use."""

    def __init__(self, cpus: float, memory: int, gpus: tuple[str, ...] = ()) -> None:
        self._all = cpus, memory, gpus
        self._cpus, self._memory = round(cpus * _UNITS), memory
        self._gpus = dict.fromkeys(gpus, _UNITS)

    def check(self, resources: Resources) -> None:
        """Raise PipelineInvalid for what can never be given."""
        cpus, memory, gpus = self._all
        asked, hint = "", "Ask for less, use a bigger machine, or a Ray cluster: [pool] in the project file."
        if min(resources.cpus, resources.memory, resources.gpus) < 0:
            asked = f"less than nothing ({resources})"
        elif resources.gpus > 1 and resources.gpus != int(resources.gpus):
            asked, hint = f"{resources.gpus:g} GPUs", "A share of a GPU, or a whole number of them."
        elif resources.cpus > cpus:
            asked = f"{resources.cpus:g} processors"
        elif resources.memory > memory:
            asked = f"{resources.memory / 1e6:,.0f} MB of memory"
        elif resources.gpus > len(gpus):
            asked = f"{resources.gpus:g} GPUs"
        if asked:
            have = f"{cpus:g} processors, {memory / 1e6:,.0f} MB of memory, {len(gpus)} GPUs"
            raise PipelineInvalid(f"A step asks for {asked}; here are {have}.", hint=hint)

    def take(self, resources: Resources) -> Lot | None:
        """Set something apart, or return None while too much is in use."""
        cpus = max(round(resources.cpus * _UNITS), _LEAST)
        found = self._devices(round(resources.gpus * _UNITS))
        if cpus > self._cpus or resources.memory > self._memory or found is None:
            return None
        lot = Lot(cpus, resources.memory, found)
        self._change(lot, -1)
        return lot

    def give(self, lot: Lot) -> None:
        """Take a lot back."""
        self._change(lot, 1)

    def _devices(self, wanted: int) -> tuple[tuple[str, int], ...] | None:
        """Return GPUs for a call: a share of the one that is fullest and still has it, or whole ones."""
        if wanted == 0:
            return ()
        if wanted < _UNITS:
            fits = [(left, name) for name, left in self._gpus.items() if left >= wanted]
            return ((min(fits)[1], wanted),) if fits else None
        whole = [name for name, left in self._gpus.items() if left == _UNITS]
        count = wanted // _UNITS
        return tuple((name, _UNITS) for name in whole[:count]) if len(whole) >= count else None

    def _change(self, lot: Lot, sign: int) -> None:
        self._cpus += sign * lot.cpus
        self._memory += sign * lot.memory
        for name, share in lot.gpus:
            self._gpus[name] += sign * share
