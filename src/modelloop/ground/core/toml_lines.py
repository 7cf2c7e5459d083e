"""Where each key of a TOML text stands: `tomllib` gives values without lines, and nobody likes to search.

The scanner trusts its text: `tomllib` has accepted it before. It only finds where keys and values begin and end.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]
"""Names of tables and settings, and positions in arrays: ("sources", "flights", "path"), ("objective", "slices", 2)."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"[A-Za-z0-9_-]+|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'")
_SCALAR = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # up to two quotes may stand right before the closing three
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|[^,\]}#\n]+",
    re.DOTALL,
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: Path) -> str:
    """Return the path as one writes it: `contracts.flights.columns."dep time".min`, `objective.slices[2]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _BARE.fullmatch(part) else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
        text += f".{name}" if text else name
    return text


class Lines:
    """The line of each key path of a text that `tomllib` accepts."""

    def __init__(self, text: str = "") -> None:
        self._lines = _Scanner(text).scan() if text else {}

    def of(self, path: Path) -> int:
        """Return the line of the path, or of the nearest table around it; 1 for the whole file."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1

    def given(self, path: Path) -> bool:
        """Say whether the text itself says anything at this path (a default does not)."""
        return path in self._lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self._lines: dict[Path, int] = {}
        self._last: dict[Path, int] = {}  # of each array of tables: the position of its last table

    def scan(self) -> dict[Path, int]:
        base: Path = ()
        self._skip()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                base = self._header()
            else:
                self._pair(base)
            self._skip()
        return self._lines

    def _skip(self) -> None:
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _line(self) -> int:
        return bisect_right(self._breaks, self._at - 1) + 1

    def _take(self, mark: str) -> bool:
        self._skip()
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip()
            found = _KEY_PART.match(self._text, self._at)
            if found is None:
                raise ValueError(f"no key in line {self._line()}")
            self._at = found.end()
            token = found.group()
            parts.append(tomllib.loads(f"key = {token}")["key"] if token[0] in "\"'" else token)
            if not self._take("."):
                return parts

    def _header(self) -> Path:
        line = self._line()
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        parts = self._key()
        self._take("]]" if many else "]")
        path: Path = ()
        for place, part in enumerate(parts):
            path += (part,)
            if many and place == len(parts) - 1:
                self._last[path] = self._last.get(path, -1) + 1
                self._lines.setdefault(path, line)
            if path in self._last:
                path += (self._last[path],)
            self._lines.setdefault(path, line)
        self._lines[path] = line  # a header of its own counts more than [path.below] further up
        return path

    def _pair(self, base: Path) -> None:
        line = self._line()
        path = base
        for part in self._key():
            path += (part,)
            self._lines.setdefault(path, line)
        self._take("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip()
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            while not self._take("}"):
                self._pair(path)
                self._take(",")
        else:
            found = _SCALAR.match(self._text, self._at)
            if found is None:
                raise ValueError(f"no value in line {self._line()}")
            self._at = found.end()

    def _array(self, path: Path) -> None:
        place = 0
        while not self._take("]"):
            self._lines.setdefault((*path, place), self._line())
            self._value((*path, place))
            self._take(",")
            place += 1
