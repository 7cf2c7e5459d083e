"""Where a run happens: Python, platform, packages; and which version of the project's code."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from ..core.hashing import canonical_json, hash_json
from .sources import Sources

_COUNTED = (
    "modelloop",
    "numpy",
    "polars",
    "scipy",
    "scikit-learn",
    "lightgbm",
    "onnx",
    "onnxruntime",
    "skl2onnx",
    "onnxmltools",
    "optuna",
)
"""Packages whose version is part of every step's key."""

_KEPT = (".py", ".toml", ".json", ".sql", ".yaml", ".yml", ".txt", ".md")
_LARGEST = 200_000
_MOST_FILES = 300
_PATIENCE = 20.0


def digest() -> str:
    """Return the digest of what results depend on besides code and arguments: Python's minor version, main packages."""
    return hash_json([list(sys.version_info[:2]), {name: _version(name) for name in _COUNTED}])


def describe() -> bytes:
    """Return the whole environment as JSON."""
    packages = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"]}
    return canonical_json(
        {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "platform": platform.platform(),
            "machine": platform.machine(),
            "packages": packages,
        }
    )


def code_version(project: Path) -> tuple[str, str]:
    """Return the git commit of the project folder and the unified diff since then, untracked sources included.

    Without git (or before the first commit) the commit is empty and the diff holds the whole source.
    """
    commit = _git(project, "rev-parse", "HEAD").strip()
    if not commit:
        return "", "".join(_as_added(project, path) for path in _all_files(project))
    changed = _git(project, "diff", "--no-color", "--no-ext-diff", "--relative", "HEAD", "--", ".")
    untracked = _git(project, "ls-files", "--others", "--exclude-standard", "-z", "--", ".").split("\0")
    new = [project / name for name in untracked if name]
    return commit, changed + "".join(_as_added(project, path) for path in new if _is_source(path))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(project: Path, *words: str) -> str:
    argv = ["git", "-C", str(project), *words]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def _all_files(project: Path) -> list[Path]:
    sources = Sources(project)
    found: list[Path] = []
    for folder, folders, files in os.walk(project):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__")) and f != "site-packages")
        found += [Path(folder, name) for name in sorted(files) if _is_source(Path(folder, name))]
        if len(found) >= _MOST_FILES:
            break
    return [path for path in found[:_MOST_FILES] if sources.owns(str(path))]


def _is_source(path: Path) -> bool:
    return path.suffix in _KEPT and path.is_file() and path.stat().st_size <= _LARGEST


def _as_added(project: Path, path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    head = f"--- /dev/null\n+++ b/{path.relative_to(project).as_posix()}\n@@ -0,0 +1,{len(lines)} @@\n"
    return head + "".join(f"+{line}\n" for line in lines)
