"""Where a run comes from: git commit and uncommitted changes, packages, Python, command line, machine."""

from __future__ import annotations

import getpass
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ..ground.flow.environment import code_version, describe

LARGEST_DIFF = 8 * 1024 * 1024
_SECRET = re.compile(r"(token|secret|passw|api[-_]?key|credential|auth)", re.IGNORECASE)
_PATIENCE = 10.0


def user() -> str:
    """Return who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user id
        return f"uid-{os.getuid()}"


def source() -> tuple[Path, str]:
    """Return the folder of the code, and the name of what was started: a script, a module, or a notebook's kernel."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main is None or in_notebook():
        return Path.cwd(), "notebook" if in_notebook() else "interactive"
    path = Path(main).absolute()
    return path.parent, str(path)


def in_notebook() -> bool:
    """Say whether this is IPython: an error in a cell does not end anything there."""
    found = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return found is not None and found() is not None


def tags() -> dict[str, str]:
    """Return what is known without starting a process."""
    _, name = source()
    return {
        "mlflow.user": user(),
        "mlflow.source.name": name,
        "mlflow.source.type": "NOTEBOOK" if name == "notebook" else "LOCAL",
        "modelloop.python": platform.python_version(),
        "modelloop.platform": platform.platform(),
        "modelloop.host": socket.gethostname(),
        "modelloop.folder": str(Path.cwd()),
        "modelloop.command": command(sys.argv),
        "modelloop.pid": str(os.getpid()),
    }


def command(argv: Sequence[str]) -> str:
    """Return the command line, without what follows a word such as --token."""
    shown, hide = [], False
    for word in argv:
        name, equals, _ = word.partition("=")
        secret = _SECRET.search(name) is not None and name.startswith("-")
        shown.append("***" if hide else f"{name}=***" if secret and equals else word)
        hide = secret and not equals
    return " ".join(shown)[:4000]


def code() -> tuple[dict[str, str], str]:
    """Return tags that name the code's version, and what was not committed as a unified diff (untracked files too).

    Outside of git there is no version: the diff is the script that was started.
    """
    folder, name = source()
    if not _in_git(folder):
        return {}, _script(Path(name))
    commit, diff = code_version(folder)
    if not commit:
        return {}, _script(Path(name))
    told = {
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": _git(folder, "rev-parse", "--abbrev-ref", "HEAD"),
        "mlflow.source.git.repoURL": _without_secrets(_git(folder, "remote", "get-url", "origin")),
        "modelloop.git.dirty": "yes" if diff else "no",
    }
    return {name: value for name, value in told.items() if value}, diff[:LARGEST_DIFF]


def packages() -> bytes:
    """Return Python, platform and all packages with their versions, as JSON."""
    return describe()


def _in_git(folder: Path) -> bool:
    return "GIT_DIR" in os.environ or any((above / ".git").exists() for above in (folder, *folder.parents))


def _script(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return f"--- /dev/null\n+++ b/{path.name}\n@@ -0,0 +1,{len(lines)} @@\n" + "".join(f"+{line}\n" for line in lines)


def _git(folder: Path, *words: str) -> str:
    argv = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def _without_secrets(url: str) -> str:
    """Return a repository's address without the name and password that may stand in it."""
    parts = urlsplit(url)
    if not parts.scheme or "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
