"""What a source must know and nobody may see: passwords, tokens, keys.

The project file says under which name a secret is known; its value comes from the environment, or from
`.modelloop/secrets/sources.toml`, which only its owner may read. A value is in no repr, and `redacted` takes it out of
whatever others say (a database's error, a URL) before it becomes a message.
"""

from __future__ import annotations

import base64
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from ...ground.core.errors import InvalidInput

FILE = Path("secrets") / "sources.toml"
"""Under the home of a project."""
_SHORT = 4


class Credentials:
    """The secrets of one source. Shows nothing but what they are for."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self._values))})"

    def get(self, what: str) -> str | None:
        """Return a secret; None where the source has none of this kind."""
        return self._values.get(what)

    def all(self) -> dict[str, str]:
        """Return all, for a library that takes them by name. Never to be shown."""
        return dict(self._values)

    def redacted(self, text: str) -> str:
        """Return the text without any secret, plain, quoted for a URL, or in base 64."""
        for value in sorted(filter(None, self._values.values()), key=len, reverse=True):
            for shown in (value, quote(value, safe=""), quote_plus(value), base64.b64encode(value.encode()).decode()):
                found = re.escape(shown)
                text = re.sub(rf"(?<!\w){found}(?!\w)" if len(shown) < _SHORT else found, "***", text)
        return text


class Secrets:
    """Where the secrets of all sources are looked up: the environment first, then the file."""

    def __init__(self, environ: Mapping[str, str], home: Path) -> None:
        self._environ = environ
        self._file = home / FILE

    def __repr__(self) -> str:
        return f"Secrets({self._file})"

    def of(self, source: str, names: Mapping[str, str]) -> Credentials:
        """Return the values of a source's secrets; raises InvalidInput, with what to do, where one is not to be had."""
        missing = [name for name in names.values() if name not in self._environ]
        lines = self._read() if missing and self._file.exists() else {}
        unknown = [name for name in missing if name not in lines]
        if unknown:
            raise InvalidInput(
                f"The source {source!r} needs the secret {', '.join(unknown)}, which is neither in the environment nor "
                f"in {self._file}.",
                hint=f'Set the environment variable {unknown[0]}, or write a line {unknown[0]} = "..." into that file, '
                "which only its owner may read (chmod 600).",
            )
        values = {what: self._environ.get(name, lines.get(name, "")) for what, name in names.items()}
        if any("\0" in value or "\n" in value for value in values.values()):
            raise InvalidInput(f"A secret of the source {source!r} has a line break or NUL in it.", hint="Mend it.")
        return Credentials(values)

    def _read(self) -> dict[str, str]:
        mode = self._file.stat().st_mode
        if mode & 0o077:
            raise InvalidInput(
                f"{self._file} can be read by others (mode {mode & 0o777:04o}), so it is not used.",
                hint=f"chmod 600 {self._file}, and change the passwords in it if others have an account here.",
            )
        fault = ""
        try:
            lines = tomllib.loads(self._file.read_text("utf-8"))
            if not all(isinstance(value, str) for value in lines.values()):
                fault = 'a value is no text; every line is NAME = "..."'
        except tomllib.TOMLDecodeError as error:
            fault = str(error)
        except (UnicodeDecodeError, OSError) as error:
            fault = type(error).__name__
        if fault:  # raised here, so that no error it came from carries a line of the file along
            raise InvalidInput(f"{self._file} cannot be read: {fault}.", hint='Every line is NAME = "...".')
        return lines
