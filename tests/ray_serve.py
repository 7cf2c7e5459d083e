"""An environment that holds Ray Serve beside `modelloop[serve]`'s requirements: what an exported application runs in.

`python tests/ray_serve.py` builds it from its lock under build/peers (seconds to a minute); instant where it is there.
Modelloop itself is not installed into it: PYTHONPATH leads to this checkout. Runs under a bare Python.
"""

from __future__ import annotations

import sys

from locked_environment import ROOT, Environment, install

LOCK = ROOT / "requirements" / "ray_serve.txt"
RAY_SERVE = Environment("ray-serve", (LOCK,), lambda draft: install(draft, LOCK))

if __name__ == "__main__":
    sys.stdout.write(f"{RAY_SERVE.build()}\n")
