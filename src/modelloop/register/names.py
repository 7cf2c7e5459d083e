"""Pure: what may name a model, an alias, a tag; and how a version is said. No name is ever part of a path."""

from __future__ import annotations

import re
import unicodedata

from ..ground.core.errors import InvalidInput

MAX_NAME = 256
MAX_ALIAS = 255
MAX_TAG_KEY = 250
MAX_TEXT = 100_000
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_ALIAS = re.compile(r"[\w-]+")


def check_model(name: str) -> str:
    """Return `name` if it may name a model (MLflow's rule, and no control characters), else raise InvalidInput."""
    if not isinstance(name, str) or not is_model(name):
        raise InvalidInput(
            f"{str(name)[:80]!r} cannot name a registered model.",
            hint=f"1 to {MAX_NAME} characters without '/', ':', control characters, or spaces at the ends.",
        )
    return name


def is_model(name: str) -> bool:
    """Say whether `name` may name a model."""
    if not 0 < len(name) <= MAX_NAME or name != name.strip() or {"/", ":"} & set(name):
        return False
    return not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name)


def check_alias(alias: str) -> str:
    """Return `alias` if it may be one (MLflow's rule), else raise InvalidInput."""
    fine = isinstance(alias, str) and len(alias) <= MAX_ALIAS and _ALIAS.fullmatch(alias) is not None
    if not fine or alias.lower() == "latest" or re.fullmatch(r"v\d+", alias.lower()):
        raise InvalidInput(
            f"{str(alias)[:80]!r} cannot be an alias.",
            hint="Letters, digits, '-' and '_'; not `latest`, and not a `v` with a number: those say versions.",
        )
    return alias


def check_tag(key: str, value: str) -> tuple[str, str]:
    """Return key and value of a tag, else raise InvalidInput."""
    if not key or len(key) > MAX_TAG_KEY or "\0" in key:
        raise InvalidInput(f"{key[:80]!r} cannot be the key of a tag.", hint=f"1 to {MAX_TAG_KEY} characters.")
    return key, check_text(value, f"the tag {key[:80]!r}")


def check_text(text: str, what: str) -> str:
    """Return a description or value that the database can hold, else raise InvalidInput."""
    if len(text) > MAX_TEXT or "\0" in text:
        found = "a NUL character" if "\0" in text else f"{len(text)} characters"
        raise InvalidInput(f"{what[:1].upper()}{what[1:]} has {found}.", hint=f"At most {MAX_TEXT}, without NUL.")
    return text


def split(text: str) -> tuple[str, int | str] | None:
    """Return model and number of `model:number`, model and alias of `model@alias`, or None for anything else."""
    name, colon, number = text.rpartition(":")
    if colon and is_model(name) and _NUMBER.fullmatch(number):
        return name, int(number)
    name, at, alias = text.rpartition("@")
    if at and is_model(name) and _ALIAS.fullmatch(alias):
        return name, alias
    return None
