"""Seeds, found by themselves: what is seeded while a run goes on, and the state of generators at its start.

`random.seed`, `numpy.random.seed`, `numpy.random.default_rng` and `torch.manual_seed` are listened to while the run
goes on: each does what it always does. Libraries that nobody imported are left alone.
"""

from __future__ import annotations

import functools
import os
import random
import sys
from collections.abc import Callable
from typing import Any

_HEARD = (("random", "seed"), ("numpy.random", "seed"), ("numpy.random", "default_rng"), ("torch", "manual_seed"))
_FRESH = 624
"""The position of numpy's generator before its first draw."""
_UNSEEDED = 0x8000_0000
_MOST = 50


class Seeds:
    """Listens from when it is made until `stop`. `tell` hears each seed once: (where, seed)."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._told: set[tuple[str, str]] = set()
        self._ears: list[tuple[Any, str, Any, Any]] = []
        self.listen()

    def listen(self) -> None:
        """Listen to the libraries that are there by now."""
        listening = {(id(module), name) for module, name, _, _ in self._ears}
        for place, name in _HEARD:
            module = sys.modules.get(place)
            function = getattr(module, name, None)
            if module is None or function is None or (id(module), name) in listening:
                continue
            ear = self._ear(f"{place}.{name}", function)
            setattr(module, name, ear)
            self._ears.append((module, name, function, ear))

    def stop(self) -> None:
        """Put the functions back, where nobody else replaced them meanwhile."""
        for module, name, function, ear in reversed(self._ears):
            if getattr(module, name, None) is ear:
                setattr(module, name, function)
        self._ears.clear()
        self._told.update(("", str(place)) for place in range(_MOST))  # an ear that somebody kept tells nobody

    def _ear(self, where: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def heard(*args: Any, **kwargs: Any) -> Any:
            given = args[0] if args else next(iter(kwargs.values()), None)
            if isinstance(given, int | str) or hasattr(given, "__index__"):
                self._hear(where, str(given)[:100])
            return function(*args, **kwargs)

        return heard

    def _hear(self, where: str, seed: str) -> None:
        if (where, seed) not in self._told and len(self._told) < _MOST:
            self._told.add((where, seed))
            self._tell(where, seed)


def at_start() -> dict[str, str]:
    """Return the seeds that can be told from the generators as they are: given before, and not drawn from yet."""
    found = {}
    if (hashing := os.environ.get("PYTHONHASHSEED")) not in (None, "", "random"):
        found["PYTHONHASHSEED"] = str(hashing)
    if (numpy := sys.modules.get("numpy.random")) is not None:
        kind, key, position, *_ = numpy.get_state()
        if kind == "MT19937" and position == _FRESH and int(key[0]) != _UNSEEDED:
            found["numpy.random.seed"] = str(int(key[0]))
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "initial_seed"):
        found["torch.manual_seed"] = str(int(torch.initial_seed()))
    return found


def states() -> dict[str, Any]:
    """Return the generators' states as JSON holds them: set again, they give the same numbers."""
    version, inner, gauss = random.getstate()
    found: dict[str, Any] = {"random": [version, list(inner), gauss]}
    if (numpy := sys.modules.get("numpy.random")) is not None:
        kind, key, *rest = numpy.get_state()
        found["numpy.random"] = [kind, [int(word) for word in key], *rest]
    return found
