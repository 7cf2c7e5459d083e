"""The environment lock of a package: what is installed here, as lines that an installer takes."""

from __future__ import annotations

import platform
from importlib.metadata import distributions


def environment() -> str:
    """Return Python, platform and every installed distribution as `environment.txt` has them: `name==version` lines.

    `pip install -r environment.txt` under that Python makes the same environment again.
    """
    installed = {f"{name}=={found.version}" for found in distributions() if (name := found.metadata["Name"])}
    head = [f"# python {platform.python_version()}", f"# {platform.system()} {platform.machine()}"]
    return "\n".join([*head, *sorted(installed, key=str.lower)]) + "\n"
