"""The environment of a project: python_env.yaml, or the pip part of conda.yaml, as a virtual environment made once.

It lies in `.modelloop/environments/HASH`; another description, or another Python, makes another one. What is half made
has no `complete` in it and is made anew. Installing runs what packages run: it happens where the project runs anyway.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...ground.core.errors import InvalidInput, NotReady
from .spec import MlProject, inside, read_yaml

COMPLETE = "complete"
PATIENCE = 3600
_PYTHON = re.compile(r"^python\s*(?:={1,2}|<=|>=)?\s*(?P<version>[\d.]+)?\*?$")
_TOOLS = re.compile(r"^(?:pip|setuptools|wheel)\b")
_FILE = re.compile(r"^(?P<option>-r|-c|--requirement|--constraint)[ =]*(?P<path>\S.*)$")


@dataclass(frozen=True, slots=True)
class Described:
    """What an environment must hold."""

    python: str = ""
    """A version such as 3.11.9; empty: the one that runs Modelloop."""
    requirements: tuple[str, ...] = ()
    """Lines for pip."""
    left_out: tuple[str, ...] = ()
    """Packages that only conda has."""


def described(project: MlProject) -> Described:
    """Return what the project asks for; raises InvalidInput."""
    if project.environment is None:
        return Described()
    file = project.environment
    body = read_yaml(file)
    if project.is_conda:
        found = _from_conda(body, file)
    else:
        build = _lines(body.get("build_dependencies"), file)
        python = body.get("python") or ""
        found = Described(str(python), (*build, *_lines(body.get("dependencies"), file)))
    if found.python and not re.fullmatch(r"\d+(\.\d+){0,2}", found.python):
        raise InvalidInput(f"{file} asks for Python {found.python[:40]!r}.", hint="A version such as 3.11 or 3.11.9.")
    return Described(
        found.python, tuple(_absolute(line, project.folder) for line in found.requirements), found.left_out
    )


def environment_for(project: MlProject, home: Path) -> Path:
    """Return the folder of the environment, made where it is not there; raises NotReady where it cannot be."""
    wanted = described(project)
    place = home / "environments" / _digest(wanted)
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / COMPLETE).exists():
            shutil.rmtree(place, ignore_errors=True)
            _make(place, wanted, project.folder)
            (place / COMPLETE).touch()
    return place


def _make(place: Path, wanted: Described, folder: Path) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    same = not wanted.python or _is_ours(wanted.python)
    if uv is not None:
        _call([uv, "venv", "--quiet", "--python", sys.executable if same else wanted.python, str(place)], folder)
        install = [uv, "pip", "install", "--quiet", "--python", str(place / "bin" / "python")]
    elif same:
        _call([sys.executable, "-m", "venv", str(place)], folder)
        install = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    else:
        raise NotReady(
            f"The project asks for Python {wanted.python}; this is {sys.version.split()[0]}.",
            hint="Install uv, which brings other versions (pip install uv), or run it as it is here: --env local.",
        )
    if wanted.requirements:
        listed = place / "requirements.txt"
        listed.write_text("\n".join(wanted.requirements) + "\n")
        _call([*install, "-r", str(listed)], folder)


def _call(argv: Sequence[str], folder: Path) -> None:
    environ = {
        key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")
    }
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReady(f"The project's environment cannot be made: {error}.") from error
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()[-1500:]
        raise NotReady(
            f"The project's environment cannot be made: {Path(argv[0]).name} ended with {done.returncode}.\n{said}",
            hint="Mend its requirements, or run it in the environment that is here: --env local.",
        )


def _from_conda(body: dict[str, Any], file: Path) -> Described:
    python = ""
    lines: list[str] = []
    left_out: list[str] = []
    for one in body.get("dependencies") or ():
        if isinstance(one, dict) and "pip" in one:
            lines += _lines(one["pip"], file)
        elif not isinstance(one, str):
            raise InvalidInput(f"{file} lists a dependency that is neither a package nor `pip:` with packages.")
        elif (match := _PYTHON.match(one.strip())) is not None:
            python = (match["version"] or "").rstrip(".")
        elif not _TOOLS.match(one):
            left_out.append(one)
    return Described(python, tuple(lines), tuple(left_out))


def _lines(found: Any, file: Path) -> tuple[str, ...]:
    if found is None:
        return ()
    if not isinstance(found, list) or any(not isinstance(one, str) or "\n" in one for one in found):
        raise InvalidInput(f"{file}: dependencies must be a list of lines for pip.")
    return tuple(found)


def _absolute(line: str, folder: Path) -> str:
    """Return a line that holds wherever it is read from: files it refers to must be the project's own."""
    match = _FILE.match(line.strip())
    if match is None:
        return line
    place = inside(folder, match["path"], f"The requirement {line!r}")
    return f"{match['option']} {place}"


def _is_ours(version: str) -> bool:
    parts = [int(part) for part in version.split(".")]
    return parts[:2] == list(sys.version_info[: len(parts[:2])])


def _digest(wanted: Described) -> str:
    """Return the hash of a description, with the content of the files it refers to."""
    made = hashlib.sha256(f"{wanted.python}\0{sys.version}\0{sys.executable}".encode())
    for line in wanted.requirements:
        made.update(b"\0" + line.encode())
        match = _FILE.match(line)
        if match is not None:
            made.update(Path(match["path"]).read_bytes())
    return made.hexdigest()[:24]
