"""Print the requirements of the second lock file that the first one lacks; a build (+cpu) is left to the hash."""

from __future__ import annotations

import re
import sys
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9._-]+")


def blocks(path: str) -> dict[str, str]:
    """Return name -> its lines."""
    found = re.split(r"\n(?=\S)", Path(path).read_text().strip())
    return {match[0].lower(): block for block in found if (match := NAME.match(block))}


first, second = blocks(sys.argv[1]), blocks(sys.argv[2])
for name, block in second.items():
    if name not in first:
        sys.stdout.write(re.sub(r"^(\S+==[0-9.]+)\+\w+", r"\1", block) + "\n")
