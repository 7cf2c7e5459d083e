"""`python -m modelloop`: the same as the `modelloop` command."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
