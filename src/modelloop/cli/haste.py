"""A command begins and ends quickly: what it loads is garbage at no time, so nobody looks for garbage in it.

Modules make some hundred thousand objects that stay. Python's collector would go through them again and again while
they are loaded, and once more when the process ends: together a third of a short command's time. Only the process of
the command itself does so, never one that calls `cli.main` for its own purposes.
"""

from __future__ import annotations

import atexit
import gc


def begin() -> None:
    """Hold the collector until `loaded`, and let it leave alone what is there when the process ends."""
    gc.disable()
    atexit.register(gc.freeze)


def loaded() -> None:
    """Let the collector work again, on what is made from now on; nothing happens where `begin` was not called."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
