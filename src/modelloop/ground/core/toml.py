"""Typed TOML: text in, one frozen record out, or all mistakes at once, each with its line."""

from __future__ import annotations

import difflib
import json
import math
import re
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from datetime import timedelta
from functools import cache
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from .errors import ProjectFileInvalid
from .toml_lines import Lines, Path, dotted
from .toml_schema import json_schema
from .toml_types import bare, describe, duration, element, frozen, is_enum, plain

__all__ = ["UNREADABLE", "Draft", "Mistake", "draft", "invalid", "json_schema", "parse", "plain", "setting", "suggest"]

T = TypeVar("T")
_INTEGER_LIMIT = 2**63


def setting(
    doc: str,
    *,
    default: Any = MISSING,
    factory: Any = MISSING,
    least: float | None = None,
    most: float | None = None,
    pattern: str | None = None,
) -> Any:
    """Declare one setting of a frozen record: what it means, its default (none: it must be given), its bounds.

    Bounds and pattern hold for each element of an array; the pattern of a mapping holds for its names.
    """
    metadata = {"doc": doc, "least": least, "most": most, "pattern": pattern}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    if default is not MISSING:
        return field(default=default, metadata=metadata)
    return field(metadata=metadata)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a file: where, what was found, what is allowed, what was perhaps meant."""

    line: int
    where: str
    """Dotted path of the setting; empty for the file as a whole."""
    found: str
    allowed: str
    hint: str = ""
    file: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}  " + (f"{self.where}: " if self.where else "")
        parts = [f"found {self.found}", f"allowed: {self.allowed}" if self.allowed else "", self.hint]
        return place + "; ".join(part for part in parts if part)


class _Unreadable:
    def __repr__(self) -> str:
        return "UNREADABLE"


UNREADABLE: Any = _Unreadable()
"""Stands in a draft for a setting with a mistake, so that what can be read is checked further."""


@dataclass(frozen=True, slots=True)
class Draft(Generic[T]):
    """What could be read of a text, with all mistakes found so far."""

    value: T | None
    """None only if the text is not TOML at all. Holds UNREADABLE where a setting has a mistake."""
    mistakes: tuple[Mistake, ...]
    lines: Lines


def parse(text: str, into: type[T], *, file: str) -> T:
    """Read TOML into the frozen record `into`; raises ProjectFileInvalid with every mistake in `detail["mistakes"]`."""
    read = draft(text, into, file=file)
    if read.mistakes or read.value is None:
        raise invalid(read.mistakes)
    return read.value


def draft(text: str, into: type[T], *, file: str) -> Draft[T]:
    """Read as much of the text as can be read; raises nothing. A syntax error is reported alone."""
    try:
        raw = tomllib.loads(text)
        lines = Lines(text)
        reader = _Reader(lines, file)
        return Draft(reader.record(into, raw, ()), tuple(reader.mistakes), lines)
    except RecursionError:
        mistake = Mistake(1, "", "values nested too deeply", "a few levels", file=file)
    except ValueError as error:  # TOMLDecodeError, or an integer of more than 4300 digits
        mistake = _syntax(error, text, file)
    return Draft(None, (mistake,), Lines())


def invalid(mistakes: Iterable[Mistake]) -> ProjectFileInvalid:
    """Return the error that lists the mistakes in the order of their lines."""
    ordered = sorted(mistakes, key=lambda mistake: (mistake.line, mistake.where))
    count = "1 mistake" if len(ordered) == 1 else f"{len(ordered)} mistakes"
    head = f"{ordered[0].file if ordered else 'the file'} has {count}:"
    message = "\n".join([head, *(f"  {mistake}" for mistake in ordered)])
    return ProjectFileInvalid(message, detail={"mistakes": [asdict(mistake) for mistake in ordered]})


def suggest(found: str, allowed: Iterable[str]) -> str:
    """Return `did you mean "..."?` for the closest allowed word, or nothing."""
    close = _closest(found, allowed)
    return f"did you mean {json.dumps(close, ensure_ascii=False)}?" if close else ""


@cache
def _hints(into: Any) -> Mapping[str, Any]:
    return typing.get_type_hints(into)


def _closest(found: str, allowed: Iterable[str]) -> str:
    words = {word.lower(): word for word in allowed}
    close = difflib.get_close_matches(found.lower()[:80], words, n=1)
    return words[close[0]] if close else ""


def _syntax(error: ValueError, text: str, file: str) -> Mistake:
    message = str(error)
    found = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)", message)
    if found is None:
        return Mistake(1, "", f"a value that cannot be read: {message}", "TOML", file=file)
    line = int(found.group(1)) if found.group(1) else max(1, text.rstrip("\n").count("\n") + 1)
    return Mistake(line, "", f"no valid TOML: {message[: found.start()]}", "", "see https://toml.io/en/v1.0.0", file)


def _show(raw: Any) -> str:
    if isinstance(raw, Mapping):
        return "a table"
    if isinstance(raw, list):
        return f"an array of {len(raw)}"
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, int) and not _sane(raw):
        return "an integer beyond 64 bits"
    shown = json.dumps(raw, ensure_ascii=False) if isinstance(raw, str) else str(raw)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _sane(number: float) -> bool:
    return math.isfinite(number) if isinstance(number, float) else -_INTEGER_LIMIT <= number < _INTEGER_LIMIT


class _Reader:
    """Converts raw TOML values by type hints; collects mistakes and goes on."""

    def __init__(self, lines: Lines, file: str) -> None:
        self._lines = lines
        self._file = file
        self.mistakes: list[Mistake] = []

    def refuse(self, path: Path, found: str, allowed: str, hint: str = "") -> Any:
        self.mistakes.append(Mistake(self._lines.of(path), dotted(path), found, allowed, hint, self._file))
        return UNREADABLE

    def record(self, into: Any, raw: Mapping[str, Any], path: Path) -> Any:
        hints = _hints(into)
        misspelt = self._unknown(into, raw, path)
        values: dict[str, Any] = {}
        for part in fields(into):
            name, limits = part.name, part.metadata
            if name in raw:
                values[name] = self._value(hints[name], raw[name], (*path, name), limits)
            elif name in misspelt:  # one mistake, reported once
                values[name] = UNREADABLE
            elif part.default is not MISSING:
                values[name] = frozen(part.default)
            elif part.default_factory is not MISSING:
                values[name] = frozen(part.default_factory())
            else:
                allowed = describe(hints[name], limits)
                values[name] = self.refuse((*path, name), "nothing", allowed, limits.get("doc", ""))
        return into(**values)

    def _unknown(self, into: Any, raw: Mapping[str, Any], path: Path) -> set[str]:
        names = [part.name for part in fields(into)]
        open_names = [name for name in names if name not in raw]
        meant = set()
        for key in raw:
            if key in names:
                continue
            close = _closest(key, open_names) or _closest(key, names)
            kind = "an unknown table" if isinstance(raw[key], Mapping) else "an unknown setting"
            self.refuse((*path, key), kind, ", ".join(names), f'did you mean "{close}"?' if close else "")
            meant.add(close)
        return meant

    def _value(self, hint: Any, raw: Any, path: Path, limits: Mapping[str, Any]) -> Any:
        hint = bare(hint)
        if is_dataclass(hint):
            return self.record(hint, raw, path) if isinstance(raw, dict) else self._wrong(hint, raw, path, limits)
        if is_enum(hint):
            return self._choice(hint, raw, path)
        if hint in (int, float):
            return self._number(hint, raw, path, limits)
        if hint is str:
            return self._text(raw, path, limits)
        if typing.get_origin(hint) is tuple:
            return self._array(hint, raw, path, limits)
        if typing.get_origin(hint) is Mapping:
            return self._mapping(hint, raw, path, limits)
        value = self._simple(hint, raw)
        return self._wrong(hint, raw, path, limits) if value is None else value

    def _simple(self, hint: Any, raw: Any) -> Any:
        if hint is timedelta:
            return duration(raw) if isinstance(raw, str) else None
        if hint is bool:
            return raw if isinstance(raw, bool) else None
        raise TypeError(f"a setting cannot have the type {hint!r}")

    def _wrong(self, hint: Any, raw: Any, path: Path, limits: Mapping[str, Any], hint_text: str = "") -> Any:
        return self.refuse(path, _show(raw), describe(hint, limits), hint_text)

    def _choice(self, hint: Any, raw: Any, path: Path) -> Any:
        words = [str(member) for member in hint]
        if isinstance(raw, str) and raw in words:
            return hint(raw)
        return self._wrong(hint, raw, path, {}, suggest(raw, words) if isinstance(raw, str) else "")

    def _number(self, hint: Any, raw: Any, path: Path, limits: Mapping[str, Any]) -> Any:
        fits = isinstance(raw, int if hint is int else int | float) and not isinstance(raw, bool)
        if not fits or not _sane(raw):
            return self._wrong(hint, raw, path, limits)
        least, most = limits.get("least"), limits.get("most")
        if (least is not None and raw < least) or (most is not None and raw > most):
            return self._wrong(hint, raw, path, limits)
        return hint(raw)

    def _text(self, raw: Any, path: Path, limits: Mapping[str, Any]) -> Any:
        pattern = limits.get("pattern")
        fits = isinstance(raw, str) and (pattern is None or re.fullmatch(pattern, raw) is not None)
        return raw if fits else self._wrong(str, raw, path, limits)

    def _array(self, hint: Any, raw: Any, path: Path, limits: Mapping[str, Any]) -> Any:
        if not isinstance(raw, list):
            example = f"write [{_show(raw)}]" if isinstance(raw, str | int | float) else ""
            return self._wrong(hint, raw, path, limits, example)
        values = [self._value(element(hint), entry, (*path, place), limits) for place, entry in enumerate(raw)]
        return UNREADABLE if any(value is UNREADABLE for value in values) else tuple(values)

    def _mapping(self, hint: Any, raw: Any, path: Path, limits: Mapping[str, Any]) -> Any:
        if not isinstance(raw, dict):
            header = f"write [{dotted(path)}.NAME]" if isinstance(raw, list) else ""
            return self._wrong(hint, raw, path, limits, header)
        inside, pattern = element(hint), limits.get("pattern") or r"[\s\S]+"
        values = {}
        for name, entry in raw.items():
            if not re.fullmatch(pattern, name):
                self.refuse((*path, name), f"the name {_show(name)}", f"a name that matches {pattern}")
            values[name] = frozen(entry) if inside is Any else self._value(inside, entry, (*path, name), {})
        return MappingProxyType(values)
