"""Mistakes between the parts of a project file, collected; and how its tables are walked where some cannot be read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from ..ground.core.ids import is_name
from ..ground.core.toml import UNREADABLE, Mistake, suggest
from ..ground.core.toml_lines import Lines, Path, dotted

T = TypeVar("T")

Names = Collection[str] | None
"""Names that may be referred to; None where they cannot all be read."""


@dataclass(frozen=True, slots=True)
class Uses:
    """Which of the settings that only some kinds have, one kind needs and may have."""

    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


class Findings:
    """Collects mistakes, each with the line at which the file says it."""

    def __init__(self, lines: Lines, file: str) -> None:
        self._lines = lines
        self._file = file
        self.mistakes: list[Mistake] = []

    def add(self, path: Path, found: str, allowed: str, hint: str = "") -> None:
        """Note one mistake."""
        self.mistakes.append(Mistake(self._lines.of(path), dotted(path), found, allowed, hint, self._file))

    def given(self, path: Path) -> bool:
        """Say whether the file itself says anything at this path."""
        return self._lines.given(path)

    def refer(self, path: Path, name: str | None, known: Names, nothing: str) -> None:
        """Note a name that leads nowhere; `nothing` says what to write where there is nothing to refer to."""
        if name is None or name is UNREADABLE or known is None or name in known:
            return
        self.add(path, f'"{name}"', ", ".join(sorted(known)) or nothing, suggest(name, known))

    def uses(self, path: Path, item: object, kind: str, table: Mapping[str, Uses]) -> None:
        """Note what the kind needs and has not, and what is given although the kind would not look at it."""
        if kind is UNREADABLE:
            return
        own = table[kind]
        for name in own.needs:
            if getattr(item, name) is None:
                self.add((*path, name), "nothing", f'a value ("{kind}" needs one)')
        wanted = {*own.needs, *own.may}
        others = {name for uses in table.values() for name in (*uses.needs, *uses.may)} - wanted
        for name in sorted(others):
            if self.given((*path, name)):
                allowed = f"with it: {', '.join(sorted(wanted))}" if wanted else "nothing of the kind with it"
                self.add((*path, name), f'a setting that "{kind}" does not use', allowed)


def each(table: Mapping[str, T]) -> Iterator[tuple[str, T]]:
    """Walk the entries that can be read."""
    if table is not UNREADABLE:
        yield from ((name, item) for name, item in table.items() if item is not UNREADABLE)


def names(table: Mapping[str, Any]) -> Names:
    """Return the names of a table."""
    return None if table is UNREADABLE else tuple(table)


def values(table: Mapping[str, Any], setting: str) -> Names:
    """Return what a setting says anywhere in a table, None left out."""
    if table is UNREADABLE:
        return None
    found = {UNREADABLE if item is UNREADABLE else getattr(item, setting) for item in table.values()}
    return None if UNREADABLE in found else {value for value in found if value is not None}


def readable(*parts: object) -> bool:
    """Say whether all parts are there and could be read."""
    return all(part is not None and part is not UNREADABLE for part in parts)


def said(findings: Findings, path: Path, setting: str) -> bool:
    """Say whether the file itself gives a setting of the table at `path`."""
    return findings.given((*path, setting))


def check_positive(findings: Findings, path: Path, length: timedelta | None) -> None:
    """Note a length of time that is none."""
    if length is not UNREADABLE and length is not None and length <= timedelta(0):
        findings.add(path, "no time at all", "more than nothing")


def check_length(findings: Findings, path: Path, name: str | None) -> None:
    """Note a name that is too long."""
    if name is not UNREADABLE and name is not None and not is_name(name):
        findings.add(path, f'"{name[:20]}..."', "at most 63 letters")


def check_arguments(findings: Findings, path: Path, given: Mapping[str, Any], taken: Names) -> None:
    """Note arguments that Python could not take, or that are given already."""
    for argument in names(given) or ():
        if not argument.isidentifier():
            findings.add((*path, argument), f'"{argument}"', "the name of an argument of the function")
        elif argument in (taken or ()):
            findings.add((*path, argument), "an argument given twice", "either an input or a parameter")
