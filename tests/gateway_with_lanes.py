"""A gateway process whose versions are opened with lanes: `python gateway_with_lanes.py ARGUMENTS`."""

from __future__ import annotations

import sys

from modelloop.deploy.gateway import standing
from modelloop.deploy.gateway.__main__ import main
from modelloop.deploy.gateway.opening import open_arm

standing.load_arm = open_arm  # type: ignore[assignment]

if __name__ == "__main__":
    sys.exit(main())
