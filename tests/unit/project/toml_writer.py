"""Writes values as TOML in all the forms people use, drawn by a random generator."""

from __future__ import annotations

import json
import random
import re
from typing import Any


def text_of(value: str) -> str:
    """Return a basic string."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


class Writer:
    """One text from one generator."""

    def __init__(self, rnd: random.Random) -> None:
        self._rnd = rnd

    def write(self, table: dict[str, Any]) -> str:
        """Return the text of a whole file."""
        return "\n".join(self._table(table, "")) + "\n"

    def _key(self, name: str) -> str:
        bare = re.fullmatch("[A-Za-z0-9_-]+", name)
        return name if bare and self._rnd.random() < 0.8 else text_of(name)

    def _noise(self) -> list[str]:
        return self._rnd.choice([[], [], [""], ['# [not.a.table] = "x"'], ["", "  # x = 1"]])

    def _table(self, table: dict[str, Any], name: str) -> list[str]:
        lines: list[str] = []
        later: list[str] = []
        for key, value in table.items():
            full = f"{name}.{self._key(key)}" if name else self._key(key)
            if isinstance(value, dict) and self._rnd.random() < 0.7:
                if self._rnd.random() < 0.7:
                    later += [*self._noise(), f"[{full}]", *self._table(value, full)]
                else:
                    lines += self._dotted(value, self._key(key))
            elif _tables(value) and self._rnd.random() < 0.7:
                for entry in value:
                    later += [*self._noise(), f"[[ {full} ]]  # one more", *self._table(entry, full)]
            else:
                lines += [*self._noise(), f"{self._key(key)} = {self.value(value)}"]
        return [*lines, *later]

    def _dotted(self, table: dict[str, Any], name: str) -> list[str]:
        if not table:
            return [f"{name} = {{}}"]
        lines = []
        for key, value in table.items():
            full = f"{name} . {self._key(key)}"
            if isinstance(value, dict) and self._rnd.random() < 0.5:
                lines += self._dotted(value, full)
            else:
                lines += [*self._noise(), f"{full}={self.value(value)}"]
        return lines

    def value(self, value: Any) -> str:
        """Return one value; arrays over several lines at times."""
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self._key(key)} = {self.value(entry)}" for key, entry in value.items()) + "}"
        if isinstance(value, list):
            separator = self._rnd.choice([", ", ",\n  ", " , # a, ] and }\n\n"])
            end = self._rnd.choice(["", ",\n"]) if value else ""
            return "[ " + separator.join(self.value(entry) for entry in value) + end + "]"
        if isinstance(value, bool):
            return str(value).lower()
        return self._string(value) if isinstance(value, str) else repr(value)

    def _string(self, value: str) -> str:
        form = self._rnd.random()
        printable = all(letter.isprintable() for letter in value)
        if form < 0.2 and printable and "'" not in value:
            return f"'{value}'"
        if form < 0.3 and printable and "'''" not in value and not value.endswith("'"):
            return f"'''\n{value}'''"
        if form < 0.5:
            return '"""\\\n   ' + _kept(text_of(value)[1:-1]) + '"""'
        return text_of(value)


def _kept(text: str) -> str:
    """Escape a leading blank, which a line-ending backslash would swallow."""
    return "\\u0020" + text[1:] if text.startswith(" ") else text


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)
