"""Where a run happens: Python, platform, packages; and which version of the project's code."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
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


def counted() -> dict[str, str | None]:
    """Return what results depend on besides code and arguments: Python's minor version, the main packages."""
    installed = packages()
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return {"python": python, **{name: installed.get(name) for name in _COUNTED}}


def digest() -> str:
    """Return the digest of what is counted."""
    return hash_json(counted())


def describe() -> bytes:
    """Return the whole environment as JSON."""
    return canonical_json(
        {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "platform": platform.platform(),
            "machine": platform.machine(),
            "packages": packages(),
        }
    )


def packages() -> dict[str, str]:
    """Return name -> version of all installed packages.

    Installers write both into the name of a folder, `NAME-VERSION.dist-info`: to list folders is a hundred times
    quicker than to read each package's description. The first on the path is the one that is imported.
    """
    found: dict[str, str] = {}
    for place in sys.path:
        try:
            names = os.listdir(place or ".")  # noqa: PTH208 - names are all it takes
        except OSError:  # an archive, or a folder that is gone
            continue
        for name in names:
            stem, dot, kind = name.rpartition(".")
            if kind not in ("dist-info", "egg-info") or not dot:
                continue
            package, _, version = stem.partition("-")
            if version:
                found.setdefault(re.sub(r"[-_.]+", "-", package).lower(), version.partition("-py")[0])
    return dict(sorted(found.items()))


def code_version(project: Path) -> tuple[str, str]:
    """Return the git commit of the project folder and the unified diff since then, untracked sources included.

    Without git (or before the first commit) the commit is empty and the diff holds the whole source.
    """
    commit = _git(project, "rev-parse", "HEAD").strip() if _may_be_in_git(project) else ""
    if not commit:
        return "", "".join(_as_added(project, path) for path in _all_files(project))
    changed = _git(project, "diff", "--no-color", "--no-ext-diff", "--relative", "HEAD", "--", ".")
    untracked = _git(project, "ls-files", "--others", "--exclude-standard", "-z", "--", ".").split("\0")
    new = [project / name for name in untracked if name]
    return commit, changed + "".join(_as_added(project, path) for path in new if _is_source(path))


def _may_be_in_git(project: Path) -> bool:
    """Say whether git is worth a process: there is a repository here or above, or the environment names one."""
    here = project.resolve()
    return "GIT_DIR" in os.environ or any((folder / ".git").exists() for folder in (here, *here.parents))


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
