"""From an entry point and what was given with -P to the command, by MLflow's rules. Nothing is run here.

Values are quoted for the shell before they are put into the command, so a value is one word of it whatever it holds.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from string import Formatter
from urllib.parse import urlsplit

from ...ground.core.errors import InvalidInput, NotFound
from .spec import EntryPoint, MlProject, Parameter

_SCRIPTS = {".py": "python", ".sh": "bash"}


@dataclass(frozen=True, slots=True)
class Command:
    """What is run."""

    text: str
    """For `bash -c`."""
    params: Mapping[str, str]
    """All values: given, defaults, and those that the entry point does not declare."""
    extra: tuple[str, ...] = ()
    """Those that it does not declare."""


def entry_of(project: MlProject, name: str) -> EntryPoint:
    """Return an entry point, or a script of the folder under its own name; raises NotFound."""
    if name in project.entries:
        return project.entries[name]
    runner = _SCRIPTS.get(Path(name).suffix)
    if runner is not None and _is_script(project, name):
        return EntryPoint(name, {}, f"{runner} {shlex.quote(name).replace('{', '{{').replace('}', '}}')}")
    near = get_close_matches(name, project.entries, n=1)
    if near:
        hint = f"Did you mean {near[0]!r}?"
    elif project.entries:
        hint = f"It has: {', '.join(project.entries)}. A script of the folder (.py, .sh) may be named too."
    else:
        hint = "It declares none. Name a script of the folder: -e train.py."
    raise NotFound(f"The project {project.name!r} has no entry point {name[:80]!r}.", hint=hint)


def command_of(project: MlProject, entry: EntryPoint, given: Mapping[str, str], here: Path) -> Command:
    """Return the command; raises InvalidInput that names every parameter that is missing or of the wrong kind."""
    mistakes = _mistakes(entry, given)
    values: dict[str, str] = {}
    for name, parameter in entry.parameters.items():
        text = given.get(name, parameter.default)
        if text is not None:
            values[name], wrong = _value(parameter, text, (here,) if name in given else (project.folder, here))
            mistakes += [wrong] if wrong else []
    if mistakes:
        takes = ", ".join(_told(one) for one in entry.parameters.values()) or "no parameters"
        raise InvalidInput(" ".join(mistakes), hint=f"{entry.name} takes {takes}.", detail={"mistakes": mistakes})
    extra = {name: text for name, text in given.items() if name not in values}
    text = _filled(entry, values)
    more = [f"--{shlex.quote(name)} {shlex.quote(value)}" for name, value in extra.items()]
    return Command(" ".join([text, *more]), values | extra, tuple(extra))


def _mistakes(entry: EntryPoint, given: Mapping[str, str]) -> list[str]:
    """Name what is missing; where a word that was given is close to it, that was meant."""
    found = []
    for name, parameter in entry.parameters.items():
        if name in given or parameter.default is not None:
            continue
        near = get_close_matches(name, [word for word in given if word not in entry.parameters], n=1)
        meant = f" Did you mean it by {near[0]!r}?" if near else ""
        found.append(f"{entry.name} needs {name!r} ({parameter.type}), and it was not given.{meant}")
    return found


def _value(parameter: Parameter, text: str, places: tuple[Path, ...]) -> tuple[str, str]:
    """Return the value as the command gets it, and what is wrong with it."""
    name = parameter.name
    if "\0" in text:
        return text, f"{name!r} holds a NUL character."
    if parameter.type == "float":
        return text, "" if _is_number(text) else f"{name!r} must be a number, not {text[:60]!r}."
    if parameter.type == "uri":
        fine = bool(urlsplit(text).scheme)
        return text, "" if fine else f"{name!r} must be a URI such as s3://bucket/file, not {text[:60]!r}."
    if parameter.type == "path":
        return _path(name, text, places)
    return text, ""


def _path(name: str, text: str, places: tuple[Path, ...]) -> tuple[str, str]:
    split = urlsplit(text)
    if split.scheme and split.scheme != "file":
        wrong = (
            f"{name!r} is at {split.scheme}://: give a path of this machine, or declare it as uri and load it yourself."
        )
        return text, wrong
    local = split.path if split.scheme == "file" else text
    for place in places:
        found = (place / local).resolve()
        if found.exists():
            return str(found), ""
    return text, f"{name!r} must be a file or folder, and there is no {text[:100]!r}."


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text)) or text.strip().lower().lstrip("+-") == "nan"
    except ValueError:
        return False


def _filled(entry: EntryPoint, values: Mapping[str, str]) -> str:
    """Put values where {name} stands; {{ and }} stand for braces."""
    parts = []
    try:
        pieces = list(Formatter().parse(entry.command))
    except ValueError as error:
        raise InvalidInput(
            f"The command of {entry.name!r} has a brace without its other half: {error}.",
            hint="A brace of the command itself is written twice: {{ and }}.",
        ) from error
    for literal, name, form, conversion in pieces:
        parts.append(literal)
        if name is None:
            continue
        if name not in values or form or conversion:
            near = get_close_matches(name, values, n=1)
            more = f"Did you mean {{{near[0]}}}? " if near else ""
            raise InvalidInput(
                f"The command of {entry.name!r} uses {{{name[:60]}}}, which is none of its parameters.",
                hint=f"{more}It has: {', '.join(values) or 'none'}. A brace of its own is written {{{{ and }}}}.",
            )
        parts.append(shlex.quote(values[name]))
    return "".join(parts)


def _is_script(project: MlProject, name: str) -> bool:
    place = (project.folder / name).resolve()
    return place.is_relative_to(project.folder) and place.is_file()


def _told(one: Parameter) -> str:
    return f"{one.name} ({one.type}{'' if one.default is None else f', default {one.default}'})"
