"""What an MLproject file says: entry points with typed parameters, and where its environment is described.

YAML is read as plain data, with a limit on its size and on what aliases make of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...ground.core.errors import InvalidInput, NotFound
from ...ground.core.later import needed

FILE = "mlproject"
PYTHON_ENV, CONDA_ENV, DOCKER_ENV = "python_env", "conda_env", "docker_env"
DEFAULT_PYTHON_ENV, DEFAULT_CONDA_ENV = "python_env.yaml", "conda.yaml"
TYPES = ("string", "float", "path", "uri")
MAX_BYTES = 1_000_000
MAX_NODES = 20_000
_KEYS = ("name", "entry_points", PYTHON_ENV, CONDA_ENV, DOCKER_ENV, "databricks_spark_job")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an entry point takes."""

    name: str
    type: str
    default: str | None
    """None: it must be given."""


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """One thing that a project does."""

    name: str
    parameters: Mapping[str, Parameter]
    command: str


@dataclass(frozen=True, slots=True)
class MlProject:
    """A folder with an MLproject file."""

    name: str
    folder: Path
    entries: Mapping[str, EntryPoint]
    environment: Path | None
    """The file that describes it: python_env or conda_env."""
    is_conda: bool = False


def file_of(folder: Path) -> Path | None:
    """Return the MLproject file of a folder, however its name is capitalised, or None."""
    try:
        return next((one for one in sorted(folder.iterdir()) if one.name.lower() == FILE and one.is_file()), None)
    except OSError:
        return None


def read_mlproject(folder: Path) -> MlProject:
    """Read a project; raises InvalidInput that names what is wrong with it."""
    file = file_of(folder)
    if file is None:
        raise NotFound(f"{folder} holds no file MLproject.", hint="Name the folder of an MLflow project.")
    body = read_yaml(file)
    unknown = [key for key in body if key not in _KEYS]
    if unknown:
        raise InvalidInput(f"{file} says {unknown[0]!r}, which no MLproject has.{_near(unknown[0], _KEYS)}")
    if body.get(DOCKER_ENV) is not None:
        raise InvalidInput(
            f"{file} asks for a container (docker_env), which Modelloop does not start.",
            hint="Describe the environment in python_env.yaml, and take docker_env away.",
        )
    if body.get("databricks_spark_job") is not None:
        raise InvalidInput(f"{file} is a job for Databricks (databricks_spark_job), which runs nowhere else.")
    name = body.get("name") or folder.resolve().name
    entries = _mapping(body.get("entry_points"), "entry_points", file)
    environment, is_conda = _environment(folder, body, file)
    return MlProject(
        name=str(name),
        folder=folder.resolve(),
        entries={str(key): _entry(str(key), value, file) for key, value in entries.items()},
        environment=environment,
        is_conda=is_conda,
    )


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a mapping; raises InvalidInput for anything else, for huge files and for aliases that multiply."""
    yaml = needed("yaml", "ml")
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror or error}.") from error
    if len(text) > MAX_BYTES:
        raise InvalidInput(f"{file} has more than {MAX_BYTES:,} bytes: that is no description of a project.")
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{file} is no YAML of plain values: {' '.join(str(error).split())[:200]}.") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{file} says no names with values.", hint="For instance: `name: flights`.")
    _check_size(found, file)
    return found


def _check_size(found: Any, file: Path) -> None:
    """Refuse what its aliases blow up: each use of an alias counts."""
    waiting, seen = [found], 0
    while waiting:
        seen += 1
        if seen > MAX_NODES:
            raise InvalidInput(f"{file} stands for more than {MAX_NODES:,} values: its aliases multiply.")
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _entry(name: str, found: Any, file: Path) -> EntryPoint:
    body = _mapping(found, f"entry point {name!r}", file)
    command = body.get("command")
    if not isinstance(command, str) or not command.strip():
        raise InvalidInput(
            f"{file}: entry point {name!r} has no command.", hint="Give it one: `command: python train.py`."
        )
    parameters = _mapping(body.get("parameters"), f"parameters of {name!r}", file)
    return EntryPoint(name, {str(key): _parameter(str(key), value, file) for key, value in parameters.items()}, command)


def _parameter(name: str, found: Any, file: Path) -> Parameter:
    body = {"type": found} if isinstance(found, str) else _mapping(found, f"parameter {name!r}", file)
    kind, default = body.get("type", "string"), body.get("default")
    if kind not in TYPES:
        near = _near(str(kind), TYPES)
        raise InvalidInput(f"{file}: parameter {name!r} is of type {kind!r}.{near}", hint=f"One of {', '.join(TYPES)}.")
    if isinstance(default, dict | list):
        raise InvalidInput(f"{file}: the default of parameter {name!r} is no plain value.")
    return Parameter(name, kind, None if default is None else str(default))


def _environment(folder: Path, body: Mapping[str, Any], file: Path) -> tuple[Path | None, bool]:
    named = [key for key in (PYTHON_ENV, CONDA_ENV) if body.get(key)]
    if len(named) > 1:
        raise InvalidInput(f"{file} names two environments: {' and '.join(named)}.", hint="Keep one of them.")
    for key in named:
        place = inside(folder, str(body[key]), f"{file}: {key}")
        return place, key == CONDA_ENV
    for default, is_conda in ((DEFAULT_PYTHON_ENV, False), (DEFAULT_CONDA_ENV, True)):
        if (folder / default).is_file():
            return folder / default, is_conda
    return None, False


def inside(folder: Path, path: str, what: str) -> Path:
    """Return a file of the project; raises InvalidInput for one that is not there or lies elsewhere."""
    try:
        place = (folder / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidInput(f"{what} names {path!r}, and there is no such file.") from error
    if not place.is_relative_to(folder.resolve()) or not place.is_file():
        raise InvalidInput(f"{what} names {path!r}, which is no file of the project's folder.")
    return place


def _mapping(found: Any, what: str, file: Path) -> Mapping[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidInput(f"{file}: {what} must be names with values.")
    return found


def _near(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
