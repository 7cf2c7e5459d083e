"""`modelloop run FOLDER`: everything is checked, the environment is made, then the pipeline runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...ground.core.errors import InvalidInput
from .command import Command, command_of, entry_of
from .environment import described, environment_for
from .pipeline import what_to_run
from .spec import MlProject, file_of, read_mlproject

OWN, LOCAL = "own", "local"


@dataclass(frozen=True, slots=True)
class Ready:
    """What is run, and under which name."""

    pipeline: str
    """A name as pipelines have them, made of the project's."""
    argument: Mapping[str, object]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed."""

    folder: Path
    entry: str
    params: Sequence[str]
    env: str
    """own, local, or empty: own where the project describes one."""


def is_mlproject(text: str) -> bool:
    """Say whether what was typed is a folder with an MLproject file."""
    try:
        return Path(text).is_dir() and file_of(Path(text)) is not None
    except (OSError, ValueError):
        return False


def ready(wanted: Wanted, *, project_dir: Path, home: Path, tell: Callable[[str], None]) -> Ready:
    """Check everything, make the environment where there is none, and return what to run."""
    project = read_mlproject(wanted.folder)
    entry = entry_of(project, wanted.entry)
    made = command_of(project, entry, given(wanted.params), Path.cwd())
    if wanted.env not in ("", OWN, LOCAL):
        raise InvalidInput(f"--env {wanted.env[:40]!r} is neither own nor local.", hint="own: what its file describes.")
    env = wanted.env or (OWN if project.environment is not None else LOCAL)
    notes = [f"{name!r} is none of its parameters: the command gets it as --{name}." for name in made.extra]
    bin_folder = Path(sys.executable).parent
    if env == OWN:
        left_out = described(project).left_out
        if left_out:
            notes.append(f"Not installed, as only conda has them: {', '.join(left_out)}.")
        tell("making the project's environment")
        bin_folder = environment_for(project, home) / "bin"
    facts = _facts(project, made) | {"entry": entry.name, "env": env, "bin": str(bin_folder)}
    return Ready(pipeline_name(project.name), what_to_run(facts | {"project": str(project_dir)}), tuple(notes))


def given(params: Sequence[str]) -> dict[str, str]:
    """Return -P NAME=VALUE pairs as texts: what they mean is the project's business."""
    found: dict[str, str] = {}
    for param in params:
        name, separator, text = param.partition("=")
        if not separator or not name.strip():
            raise InvalidInput(f"-P {param[:60]!r} is not NAME=VALUE.", hint="For instance: -P alpha=0.5.")
        if name in found:
            raise InvalidInput(f"-P {name[:60]!r} was given twice.", hint="Give it once.")
        found[name] = text
    return found


def pipeline_name(name: str) -> str:
    """Return a name that a pipeline may have, of whatever a project is called."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:50]
    return plain if plain[:1].isalpha() else f"mlproject-{plain}".rstrip("-")


def _facts(project: MlProject, made: Command) -> dict[str, object]:
    return {
        "folder": str(project.folder),
        "name": project.name,
        "command": made.text,
        "params": dict(made.params),
    }
