"""What a child is before it becomes what it was started for: `python -m modelloop.ground.pool.child PARENT LIFELINE
ARGV...`.

It asks the kernel to end it and all it will start with its parent, then turns into ARGV. Done here, not between fork
and exec in the parent, where little is safe to call.
"""

from __future__ import annotations

import os
import sys

from ..flow.bound import bind_to


def main(words: list[str]) -> None:
    """Bind this process to its parent and become the program."""
    parent, lifeline, *argv = words
    bind_to(int(parent), int(lifeline), becoming=True)
    os.execvp(argv[0], argv)  # noqa: S606 - an argument vector from our own worker


if __name__ == "__main__":
    main(sys.argv[1:])
