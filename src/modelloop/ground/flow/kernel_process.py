"""The process of a notebook: `python -m modelloop.ground.flow.kernel_process PARENT LIFELINE DRAWER ARGUMENTS...`.

It binds itself and what it will start to the run's process, opens the session, and becomes a kernel of IPython with
the further arguments.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from .bound import bind_to
from .kernel import NotebookSession
from .step import current


def main(words: list[str]) -> None:
    """Be a kernel until told to end."""
    parent, lifeline, drawer, *rest = words
    bind_to(int(parent), int(lifeline))
    current.set(NotebookSession(Path(drawer)))
    sys.argv = ["ipykernel_launcher", *rest]
    runpy.run_module("ipykernel_launcher", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
