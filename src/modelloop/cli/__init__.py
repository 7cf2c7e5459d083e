"""The `modelloop` command: `commands` say what may be typed and import nothing heavy, `acts` do the work.

Help imports no database, no tables and no web server: a command names its act by `MODULE:FUNCTION`, and `face.act`
imports that when the command runs.
"""

from __future__ import annotations

from .shortcut import main

__all__ = ["main"]
